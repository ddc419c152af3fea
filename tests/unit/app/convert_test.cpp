// Types to Values and back, and the binding of arguments to parameters.
#include <gmock/gmock.h>

#include <chrono>
#include <limits>

#include <lovage/convert.hpp>
#include <lovage/task_call.hpp>

struct Point {
  int x = 0;
  int y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

template <>
struct lovage::Convert<Point> {
  static Value to_value(const Point& p) { return Object{{"x", p.x}, {"y", p.y}}; }
  static Point from_value(const Value& value) {
    const Value* x = value.find("x");
    const Value* y = value.find("y");
    if (x == nullptr || y == nullptr)
      throw TypeError("must be a Point, not " + std::string(python_type_name(value.kind())));
    return {lovage::from_value<int>(*x), lovage::from_value<int>(*y)};
  }
};

namespace lovage {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;
using testing::HasSubstr;
using testing::ThrowsMessage;

template <class T>
void expect_round_trip(const T& value, const Value& wire) {
  EXPECT_EQ(to_value(value), wire);
  EXPECT_EQ(from_value<T>(wire), value);
}

template <class T>
std::string refusal(const Value& value) {
  try {
    from_value<T>(value);
  } catch (const TypeError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Convert, RoundTripsScalars) {
  expect_round_trip(true, Value(true));
  expect_round_trip(-7, Value(-7));
  expect_round_trip(std::int8_t{-128}, Value(-128));
  expect_round_trip(std::numeric_limits<std::int64_t>::min(), Value(std::numeric_limits<std::int64_t>::min()));
  expect_round_trip(std::numeric_limits<std::uint64_t>::max(), Value(BigInt{"18446744073709551615"}));
  expect_round_trip(1.5, Value(1.5));
  expect_round_trip(1.5F, Value(1.5));
  expect_round_trip(std::string("häß"), Value("häß"));
  EXPECT_EQ(to_value(std::string_view("a")), Value("a"));
  EXPECT_EQ(to_value("a literal"), Value("a literal"));
}

TEST(Convert, RoundTripsContainers) {
  expect_round_trip(std::vector<int>{1, 2}, Value(Array{1, 2}));
  expect_round_trip(std::vector<bool>{true, false}, Value(Array{true, false}));
  expect_round_trip(std::array<std::string, 2>{"a", "b"}, Value(Array{"a", "b"}));
  expect_round_trip(std::map<std::string, int>{{"a", 1}}, Value(Object{{"a", 1}}));
  expect_round_trip(std::unordered_map<std::string, int>{{"a", 1}}, Value(Object{{"a", 1}}));
  expect_round_trip(std::optional<int>{}, Value());
  expect_round_trip(std::optional<int>{3}, Value(3));
  expect_round_trip(std::pair<int, std::string>{1, "x"}, Value(Array{1, "x"}));
  expect_round_trip(std::tuple<int, bool, double>{1, true, 0.5}, Value(Array{1, true, 0.5}));
  expect_round_trip(std::variant<int, std::string>{"x"}, Value("x"));
  expect_round_trip(std::vector<std::optional<std::vector<int>>>{{{1}}, {}}, Value(Array{Array{1}, nullptr}));
}

TEST(Convert, KeepsValueTypesAndUserTypes) {
  expect_round_trip(Bytes{"\xff"}, Value(Bytes{"\xff"}));
  expect_round_trip(Decimal{"1.50"}, Value(Decimal{"1.50"}));
  expect_round_trip(Array{1, "x"}, Value(Array{1, "x"}));
  expect_round_trip(Object{{"a", 1}}, Value(Object{{"a", 1}}));
  expect_round_trip(Point{1, 2}, Value(Object{{"x", 1}, {"y", 2}}));
  expect_round_trip(std::vector<Point>{{1, 2}}, Value(Array{Object{{"x", 1}, {"y", 2}}}));
}

TEST(Convert, TakesTheStringsThatCelery52WritesForTypes) {
  EXPECT_EQ(from_value<Decimal>("1.50"), Decimal{"1.50"});
  EXPECT_EQ(from_value<Uuid>("12345678-1234-5678-1234-567812345678"), Uuid{"12345678123456781234567812345678"});
  EXPECT_EQ(from_value<BigInt>(5), BigInt{"5"});
  EXPECT_EQ(refusal<Bytes>("abc"), "must be bytes, not str");
}

TEST(Convert, TimePointsAreDatetimesAndDurationsSeconds) {
  using namespace std::chrono;
  const system_clock::time_point time = sys_days(year(2024) / 1 / 2) + 3h + 4min + 5s + 678900us;
  expect_round_trip(time, Value(DateTime{"2024-01-02T03:04:05.678900+00:00"}));
  EXPECT_EQ(from_value<system_clock::time_point>(DateTime{"2024-01-02T04:04:05.678900+01:00"}), time);
  EXPECT_THAT(refusal<system_clock::time_point>("yesterday"), HasSubstr("must be an ISO 8601 datetime"));
  expect_round_trip(milliseconds(1500), Value(1.5));
  EXPECT_EQ(from_value<seconds>(2), 2s);
  EXPECT_EQ(refusal<nanoseconds>(1e300), "is no duration in seconds that can be held");
  EXPECT_EQ(refusal<seconds>(std::numeric_limits<double>::quiet_NaN()), "is no duration in seconds that can be held");
}

TEST(Convert, RefusesWithTheExpectedTypeAndThePlace) {
  EXPECT_EQ(refusal<int>("x"), "must be int, not str");
  EXPECT_EQ(refusal<int>(true), "must be int, not bool");
  EXPECT_EQ(refusal<int>(1.0), "must be int, not float");
  EXPECT_EQ(refusal<bool>(1), "must be bool, not int");
  EXPECT_EQ(refusal<double>("1"), "must be float, not str");
  EXPECT_EQ(refusal<std::string>(Value()), "must be str, not NoneType");
  EXPECT_EQ(refusal<std::int8_t>(128), "must be between -128 and 127, not 128");
  EXPECT_EQ(refusal<unsigned>(-1), "must be between 0 and 4294967295, not -1");
  EXPECT_EQ(refusal<std::int64_t>(BigInt{"9223372036854775808"}),
            "must be between -9223372036854775808 and 9223372036854775807, not 9223372036854775808");
  EXPECT_EQ(refusal<std::vector<int>>(Array{1, "x"}), "item 1 must be int, not str");
  EXPECT_EQ((refusal<std::map<std::string, std::vector<int>>>(Object{{"a", Array{nullptr}}})),
            "member 'a' item 0 must be int, not NoneType");
  EXPECT_EQ((refusal<std::pair<int, int>>(Array{1})), "must have 2 items, not 1");
  EXPECT_EQ((refusal<std::variant<int, bool>>("x")), "has a type that is not accepted: str");
  EXPECT_EQ(refusal<Point>(3), "must be a Point, not int");
}

const std::vector<Parameter> kXY{{"x"}, {"y", Value(5)}};

TEST(Bind, PutsKeywordsAndDefaultsInPlace) {
  EXPECT_EQ(detail::bind_arguments("t", kXY, {1, 2}, {}), (Array{1, 2}));
  EXPECT_EQ(detail::bind_arguments("t", kXY, {1}, {}), (Array{1, 5}));
  EXPECT_EQ(detail::bind_arguments("t", kXY, {}, {{"y", 2}, {"x", 1}}), (Array{1, 2}));
}

TEST(Bind, RefusesInPythonsWords) {
  const auto bind = [](Array args, Object kwargs) {
    return [=] { detail::bind_arguments("tasks.add", kXY, args, kwargs); };
  };
  EXPECT_THAT(bind({}, {}), ThrowsMessage<TypeError>("tasks.add() missing 1 required positional argument: 'x'"));
  EXPECT_THAT(bind({1, 2, 3}, {}),
              ThrowsMessage<TypeError>("tasks.add() takes 2 positional arguments but 3 were given"));
  EXPECT_THAT(bind({1}, {{"x", 1}}), ThrowsMessage<TypeError>("tasks.add() got multiple values for argument 'x'"));
  EXPECT_THAT(bind({1}, {{"z", 1}}), ThrowsMessage<TypeError>(HasSubstr("got an unexpected keyword argument 'z'")));
}

TEST(Bind, PositionalOnlyParametersTakeNoKeywords) {
  const std::vector<Parameter> nameless(1);
  EXPECT_THROW(detail::bind_arguments("t", nameless, {}, {{"", 1}}), TypeError);
  EXPECT_THAT([&] { detail::bind_arguments("t", nameless, {}, {}); },
              ThrowsMessage<TypeError>("t() missing 1 required positional argument: 1"));
}

}  // namespace
}  // namespace lovage
