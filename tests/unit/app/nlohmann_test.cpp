// The adaptor for users of nlohmann::json.
#include <gtest/gtest.h>

#include <lovage/nlohmann.hpp>

struct Size {
  int width = 0;
  int height = 0;
  friend bool operator==(const Size&, const Size&) = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Size, width, height)
template <>
struct lovage::Convert<Size> : lovage::ConvertWithNlohmann<Size> {};

namespace lovage {
namespace {

TEST(Nlohmann, RoundTripsEveryKind) {
  const Value value = Object{{"null", nullptr},
                             {"flag", true},
                             {"int", -1},
                             {"big", std::uint64_t{1} << 63},
                             {"real", 0.5},
                             {"text", "häß"},
                             {"bytes", Bytes{"\xff\x01"}},
                             {"list", Array{1, Array{}}},
                             {"table", Object{{"z", 1}, {"a", 2}}}};
  EXPECT_EQ(to_value(from_value<nlohmann::json>(value)), value);
  EXPECT_EQ(to_value(from_value<nlohmann::ordered_json>(value)), value);
  EXPECT_EQ(from_value<nlohmann::ordered_json>(Object{{"z", 1}, {"a", 2}}).dump(), R"({"z":1,"a":2})");
  EXPECT_EQ(from_value<nlohmann::json>(Decimal{"1.5"}), nlohmann::json("1.5"));
}

TEST(Nlohmann, LendsItsConversionsToOtherTypes) {
  const Value value = Object{{"width", 3}, {"height", 4}};
  EXPECT_EQ(from_value<Size>(value), (Size{3, 4}));
  EXPECT_EQ(to_value(Size{3, 4}), value);
  EXPECT_THROW(from_value<Size>(Object{{"width", "wide"}}), TypeError);
}

}  // namespace
}  // namespace lovage
