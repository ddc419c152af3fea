// What expires of chords and groups, and what does not while a chord lives. And groups, which are saved by id.
#include "contract/chords.hpp"

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using broker::SettleStatus;
using testing::IsEmpty;
using testing::Optional;
using testing::SizeIs;

constexpr std::chrono::seconds kLong = kResultExpires + 1min;
constexpr std::chrono::seconds kNearly = kResultExpires - 1min;

class ChordExpiry : public ChordTest {
 protected:
  std::optional<std::string> group(const std::string& id) {
    return store->backend()->restore_group(id, patience()).value();
  }
  void save(const std::string& id, const std::string& text) {
    const auto saved = store->backend()->save_group(id, text, patience());
    ASSERT_TRUE(saved) << saved.error().message;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, ChordExpiry, testing::ValuesIn(engines()), engine_name);

TEST_P(ChordExpiry, ResultsOfALiveChordStayAndExpireCountedFromItsEnd) {
  Worker worker(*store);
  start(2);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  broker::Settlement alone;
  alone.token = reserve(worker, "alone");
  alone.results.push_back(success("alone"));
  EXPECT_EQ(worker.settle(std::move(alone)), SettleStatus::settled);
  store->pass(kLong);
  EXPECT_TRUE(has_result("a"));
  EXPECT_FALSE(has_result("alone")) << "it is no part of a chord";

  const Token last = reserve(worker, "b");
  EXPECT_EQ(worker.settle(ended(last, part("b", 1))), SettleStatus::carries_on);
  store->pass(kLong);
  EXPECT_TRUE(has_result("a") && has_result("b")) << "while the continuation waits";
  EXPECT_EQ(worker.settle(joined(last, {"a", "b"})), SettleStatus::settled);
  store->pass(kNearly);
  EXPECT_TRUE(has_result("a") && has_result("b"));
  store->pass(2min);
  EXPECT_FALSE(has_result("a") || has_result("b"));
}

TEST_P(ChordExpiry, ResultsExpireAfterAChordWithoutSettlementsToo) {
  start(1);
  const auto result = success("a");
  ASSERT_TRUE(store->backend()->store({&result, 1}, patience()).front());
  ASSERT_TRUE(
      store->backend()->count_parts({.group_id = "g", .parts = {part("a", 0)}, .continuation = {}}, patience()));
  store->pass(kLong);
  EXPECT_TRUE(has_result("a"));
  ASSERT_TRUE(store->backend()->end_chord({"g", {"a"}}, patience()));
  store->pass(kNearly);
  EXPECT_TRUE(has_result("a"));
  store->pass(2min);
  EXPECT_FALSE(has_result("a"));
}

TEST_P(ChordExpiry, AChordThatWaitsLongStillFires) {
  Worker worker(*store);
  start(1);
  ASSERT_TRUE(store->backend()->extend_chord("g", patience()));
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  store->pass(3 * kLong);
  EXPECT_THAT(parts(), SizeIs(1));
  EXPECT_EQ(end(worker, part("b", 0)), SettleStatus::carries_on);
  store->pass(3 * kLong);
  EXPECT_THAT(parts(), SizeIs(2));
}

// A header task was lost for good: purged, say.
TEST_P(ChordExpiry, ResultsAndTheGroupOfAChordThatNeverEndsExpireAtLast) {
  Worker worker(*store);
  start(2);
  save("g", "text");
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  store->pass(broker::kChordLasts);
  EXPECT_TRUE(has_result("a"));
  EXPECT_THAT(group("g"), Optional(std::string("text")));
  store->pass(kLong);
  EXPECT_FALSE(has_result("a"));
  EXPECT_EQ(group("g"), std::nullopt);
  EXPECT_EQ(end(worker, part("b", 1)), SettleStatus::carries_on) << "its parts stay, should it end after all";
  EXPECT_THAT(parts(), SizeIs(2));
}

TEST_P(ChordExpiry, WhatIsCountedForASizeThatNobodySaysExpires) {
  Worker worker(*store);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(store->backend()->extend_chord("g", patience()));
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  store->pass(kNearly);
  EXPECT_THAT(parts(), SizeIs(1));
  store->pass(2min);
  EXPECT_THAT(parts(), IsEmpty());
  start(1);
  EXPECT_EQ(end(worker, part("b", 0)), SettleStatus::carries_on) << "no extension is left";
}

TEST_P(ChordExpiry, APartThatCameBeforeTheSizeNoLongerExpiresOnceItIsKnown) {
  Worker worker(*store);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  start(2);
  store->pass(kLong);
  EXPECT_EQ(end(worker, part("b", 1)), SettleStatus::carries_on);
  EXPECT_THAT(parts(), SizeIs(2));
}

TEST_P(ChordExpiry, GroupsAreSavedRestoredAndForgotten) {
  EXPECT_EQ(group("g"), std::nullopt);
  const std::string text = R"({"result": [["g", null], [[["a", null], null]]]})";
  save("g", text);
  save("h", "another");
  EXPECT_THAT(group("g"), Optional(text));
  save("g", "changed");
  EXPECT_THAT(group("g"), Optional(std::string("changed")));
  ASSERT_TRUE(store->backend()->forget_group("g", patience()));
  EXPECT_EQ(group("g"), std::nullopt);
  EXPECT_THAT(group("h"), Optional(std::string("another")));
  EXPECT_TRUE(store->backend()->forget_group("no such", patience()));
}

TEST_P(ChordExpiry, AGroupExpires) {
  save("g", "text");
  store->pass(kNearly);
  EXPECT_THAT(group("g"), Optional(std::string("text")));
  store->pass(2min);
  EXPECT_EQ(group("g"), std::nullopt);
}

TEST_P(ChordExpiry, TheGroupOfALiveChordExpiresCountedFromItsEnd) {
  start(1);
  save("g", "text");
  store->pass(kLong);
  EXPECT_THAT(group("g"), Optional(std::string("text")));
  ASSERT_TRUE(store->backend()->end_chord({"g", {}}, patience()));
  store->pass(kNearly);
  EXPECT_THAT(group("g"), Optional(std::string("text")));
  store->pass(2min);
  EXPECT_EQ(group("g"), std::nullopt);
}

}  // namespace
}  // namespace lovage::contract
