#include "worker/embed_reader.hpp"

#include <gtest/gtest.h>

#include "unit/worker/support.hpp"

namespace lovage::worker {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the support of these tests

constexpr const char* kOfAChord =
    R"({"callbacks": null, "errbacks": null, "chain": null, "chord": {"task": "t.body", "args": ["[", "\"]"]}}])";

wire::TaskMessage with_body(const std::string& arguments, const std::string& embed = kOfAChord) {
  wire::TaskMessage message = message_of();
  message.body = "[" + arguments + ", " + embed;
  return message;
}

class Embeds : public ::testing::Test {
 protected:
  std::shared_ptr<const wire::Embed> read(const wire::TaskMessage& message) {
    auto embed = reader_.read(message);
    if (!embed) throw std::runtime_error(embed.error().detail);
    return *embed;
  }
  World world_;
  const Facts facts_ = world_.facts();
  EmbedReader reader_{facts_};
};

TEST_F(Embeds, OfOneChordAreReadOnce) {
  const auto first = read(with_body("[1, 2], {}"));
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(*first->chord->find("task"), Value("t.body"));
  EXPECT_EQ(read(with_body(R"([["a", "]], {"], {"x\\\"": {}}], {"k": "}"})")), first);
}

TEST_F(Embeds, OfOthersAreTheirOwn) {
  const auto first = read(with_body("[1], {}"));
  const auto other = read(with_body(
      "[1], {}", R"({"callbacks": null, "errbacks": null, "chain": null, "chord": {"task": "t.other", "args": []}}])"));
  EXPECT_EQ(*other->chord->find("task"), Value("t.other"));
  EXPECT_NE(first, other);
  const auto linked = read(
      with_body("[1], {}", R"({"callbacks": [{"task": "t.link"}], "errbacks": null, "chain": null, "chord": null}])"));
  EXPECT_FALSE(linked->chord);
  EXPECT_EQ(linked->callbacks->size(), 1U);
}

TEST_F(Embeds, AreNoneWhereNothingFollows) {
  EXPECT_EQ(read(message_of()), nullptr);
  EXPECT_EQ(read(with_body("[1], {}", "{}]")), nullptr);
}

TEST_F(Embeds, OfBodiesThatCannotBeReadAreRefusedTheFirstTime) {
  EXPECT_FALSE(reader_.read(with_body("[1, {}")));
  EXPECT_FALSE(reader_.read(with_body("[1}, {}")));
  EXPECT_FALSE(reader_.read(with_body("[1], {}", R"({"callbacks": 1, "chord": {"task": "t.body"}}])")));
}

// The arguments are read where the task runs, which refuses them then.
TEST_F(Embeds, OfAKnownChordStandBesideArgumentsThatNobodyHasRead) {
  const auto first = read(with_body("[1], {}"));
  EXPECT_EQ(read(with_body("[1 2], {}")), first);
}

}  // namespace
}  // namespace lovage::worker
