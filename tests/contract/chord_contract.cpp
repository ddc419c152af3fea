// Chords: who is counted, when the last part has come, and what that leaves.
#include <algorithm>
#include <future>

#include "contract/chords.hpp"

namespace lovage::contract {
namespace {

using broker::ChordCount;
using broker::ChordPart;
using broker::Disposal;
using broker::Settlement;
using broker::SettleStatus;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Chords : public ChordTest {
 protected:
  bool count(std::vector<ChordPart> parts, const std::string& group = "g") {
    const ChordCount count{.group_id = group, .parts = std::move(parts), .continuation = {}};
    auto complete = store->backend()->count_parts(count, patience());
    if (!complete) throw std::runtime_error(complete.error().message);
    return *complete;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, Chords, testing::ValuesIn(engines()), engine_name);

TEST_P(Chords, TheLastPartLeavesTheContinuationUnderItsMessagesToken) {
  Worker worker(*store);
  start(2);
  EXPECT_EQ(end(worker, part("b", 1)), SettleStatus::settled);
  EXPECT_EQ(info().reserved, 0U);
  const Token last = reserve(worker, "a");
  EXPECT_EQ(worker.settle(ended(last, part("a", 0))), SettleStatus::carries_on);
  EXPECT_THAT(parts(), ElementsAre(part("a", 0).text, part("b", 1).text));
  EXPECT_TRUE(has_result("a"));
  const auto seen = survey();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].place, broker::Place::reserved);
  EXPECT_TRUE(seen[0].is_continuation);
  EXPECT_EQ(seen[0].bytes, "join g");
  EXPECT_EQ(seen[0].queue, "q");
  EXPECT_EQ(seen[0].holder, worker.incarnation());

  auto join = joined(last, {"a", "b"});
  join.sends.push_back(message("body", "bodies"));
  EXPECT_EQ(worker.settle(join), SettleStatus::settled);
  EXPECT_EQ(worker.settle(join), SettleStatus::fenced);
  EXPECT_EQ(info("bodies").ready, 1U);
  EXPECT_EQ(info().reserved, 0U);
  EXPECT_THAT(parts(), IsEmpty());
}

TEST_P(Chords, OneThatATaskStartsIsKnownBeforeItsTasksAreSent) {
  Worker worker(*store);
  Settlement launches;
  launches.token = reserve(worker, "1");
  launches.chords = {{"g", 1}, {"other", 2}};
  launches.sends = {message("a"), message("b")};
  EXPECT_EQ(worker.settle(std::move(launches)), SettleStatus::settled);
  worker.credit(2);
  const auto deliveries = worker.take(2);
  EXPECT_EQ(worker.settle(ended(deliveries[0].token, part("a", 0))), SettleStatus::carries_on);
  EXPECT_EQ(worker.settle(ended(deliveries[1].token, part("b", 0), "other")), SettleStatus::settled);
}

TEST_P(Chords, APartCountsOnceByItsTasksId) {
  Worker worker(*store);
  start(2);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  EXPECT_EQ(end(worker, {0, "a", R"([1, "a", "SUCCESS", "run again"])"}), SettleStatus::settled);
  EXPECT_THAT(parts(), ElementsAre(part("a", 0).text)) << "what came first stays";
  EXPECT_EQ(end(worker, part("b", 1)), SettleStatus::carries_on);
}

TEST_P(Chords, ItCarriesOnOnceWhateverIsRunAgain) {
  Worker worker(*store);
  start(1);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::carries_on);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  EXPECT_THAT(parts(), SizeIs(1)) << "they wait for the continuation";
  EXPECT_EQ(info().reserved, 1U);
}

TEST_P(Chords, PartsComeInTheOrderOfTheirIndicesAndThoseWithoutBehind) {
  start(6);
  count({part("none", std::nullopt), part("b", 10), part("a", 9)});
  count({part("twin", 9), part("first", 0)});
  const auto all = parts();
  ASSERT_THAT(all, SizeIs(5));
  EXPECT_EQ(all[0], part("first", 0).text);
  EXPECT_THAT((std::vector<std::string>{all[1], all[2]}),
              testing::UnorderedElementsAre(part("a", 9).text, part("twin", 9).text));
  EXPECT_EQ(all[3], part("b", 10).text);
  EXPECT_EQ(all[4], part("none", std::nullopt).text);
  for (std::size_t most = 1; most <= 6; ++most) EXPECT_EQ(parts("g", most), all) << "in pages of " << most;
  EXPECT_THAT(parts("g", 0), IsEmpty());
}

TEST_P(Chords, ASizeThatIsKnownLateIsMetByTheNextPart) {
  Worker worker(*store);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("b", 1)), SettleStatus::settled);
  start(3);
  EXPECT_EQ(end(worker, part("c", 2)), SettleStatus::carries_on);
  EXPECT_THAT(parts(), SizeIs(3));
}

TEST_P(Chords, StartingOneAgainChangesItsSizeAlone) {
  Worker worker(*store);
  start(5);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  start(2);
  EXPECT_THAT(parts(), SizeIs(1));
  EXPECT_EQ(end(worker, part("b", 1)), SettleStatus::carries_on);
}

TEST_P(Chords, OneThatWasExtendedWaitsForTheTasksThatWereAdded) {
  Worker worker(*store);
  start(1);
  ASSERT_TRUE(store->backend()->extend_chord("g", patience()));
  ASSERT_TRUE(store->backend()->extend_chord("g", patience()));
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("added", 0)), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("added too", 0)), SettleStatus::carries_on);
}

TEST_P(Chords, OneMayBeExtendedBeforeItsSizeIsKnown) {
  Worker worker(*store);
  ASSERT_TRUE(store->backend()->extend_chord("g", patience()));
  start(1);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("added", 0)), SettleStatus::carries_on);
}

TEST_P(Chords, WhatATaskAddsIsExpectedFromTheStepThatCountsTheTaskAndOnce) {
  Worker worker(*store);
  start(1);
  auto adding = ended(reserve(worker, "a"), part("a", 0));
  adding.counts->added = 2;
  adding.sends = {message("added"), message("added too")};
  EXPECT_EQ(worker.settle(adding), SettleStatus::settled);
  EXPECT_EQ(store->broker()->purge("q", patience()).value(), 2U);
  adding.token = reserve(worker, "a");
  EXPECT_EQ(worker.settle(adding), SettleStatus::settled) << "run again: they are expected already";
  EXPECT_EQ(store->broker()->purge("q", patience()).value(), 2U);
  EXPECT_EQ(end(worker, part("added", 0)), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("added too", 0)), SettleStatus::carries_on);
}

TEST_P(Chords, SeveralPartsOfOneSettlementCountEach) {
  Worker worker(*store);
  start(3);
  auto chain_broke = ended(reserve(worker, "a"), part("a", 0));
  chain_broke.counts->parts.push_back(part("b", 1));
  chain_broke.counts->parts.push_back(part("b", 1));
  EXPECT_EQ(worker.settle(std::move(chain_broke)), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("c", 2)), SettleStatus::carries_on);
}

TEST_P(Chords, ChordsAreCountedEachForItself) {
  Worker worker(*store);
  start(2);
  start(2, "h");
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("a", 0), "h"), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("b", 1), "h"), SettleStatus::carries_on);
  EXPECT_THAT(parts(), SizeIs(1));
}

TEST_P(Chords, ADeadLetterCountsToo) {
  Worker worker(*store);
  start(2);
  for (const std::string id : {"a", "b"}) {
    auto settlement = ended(reserve(worker, id), part(id, id == "b"));
    settlement.disposal = Disposal::dead_letter;
    settlement.dead_letter = {id, "tasks.add", "poison", "three strikes"};
    EXPECT_EQ(worker.settle(std::move(settlement)), id == "a" ? SettleStatus::settled : SettleStatus::carries_on);
  }
  const auto letters = store->broker()->dead_letters(10, patience()).value();
  ASSERT_THAT(letters, SizeIs(2));
  for (const auto& letter : letters) EXPECT_EQ(wire::decode_envelope(letter.bytes)->id, letter.letter.task_id);
  EXPECT_EQ(info().reserved, 1U) << "the continuation";
}

TEST_P(Chords, WhoIsFencedCountsNothing) {
  Worker worker(*store);
  start(1);
  start(9, "h");
  EXPECT_EQ(end(worker, part("of h", 0), "h"), SettleStatus::settled);
  const Token token = reserve(worker, "a");
  EXPECT_EQ(worker.settle(token), SettleStatus::settled);
  auto late = ended(token, part("a", 0));
  late.chords.push_back({"h", 1});
  late.ended_chord = broker::ChordEnd{"h", {"of h"}};
  EXPECT_EQ(worker.settle(std::move(late)), SettleStatus::fenced);
  EXPECT_THAT(parts(), IsEmpty());
  EXPECT_FALSE(has_result("a"));
  EXPECT_THAT(parts("h"), SizeIs(1));
  EXPECT_EQ(end(worker, part("more of h", 1), "h"), SettleStatus::settled) << "its size is what it was";
}

TEST_P(Chords, ASettlementThatFailsCountsNothing) {
  Worker worker(*store);
  start(1);
  auto unroutable = ended(reserve(worker, "a"), part("a", 0));
  unroutable.chords.push_back({"h", 1});
  unroutable.sends.push_back(message("link"));
  unroutable.sends.back().exchange = "nowhere";
  EXPECT_EQ(worker.settle(unroutable), SettleStatus::failed);
  EXPECT_THAT(parts(), IsEmpty());
  EXPECT_EQ(end(worker, part("of h", 0), "h"), SettleStatus::settled) << "it has not been started";
  unroutable.sends.clear();
  EXPECT_EQ(worker.settle(unroutable), SettleStatus::carries_on);
}

TEST_P(Chords, OfAHeaderThatEndsInOneTurnOneTaskIsTheLast) {
  constexpr std::size_t kTasks = 300;
  start(kTasks);
  std::vector<wire::TaskMessage> messages;
  for (std::size_t i = 0; i < kTasks; ++i) messages.push_back(message(std::to_string(i)));
  publish(*store->broker(), messages);
  Worker worker(*store);
  worker.credit(kTasks);
  const auto deliveries = worker.take(kTasks);
  const auto settlement = [&](std::size_t i) {
    const auto id = id_of(deliveries[i]);
    return ended(deliveries[i].token, part(id, std::stoll(id)));
  };
  worker.on_loop([&](broker::Consumer& consumer) {
    for (std::size_t i = 0; i + 1 < kTasks; ++i) consumer.settle(settlement(i));
  });
  EXPECT_EQ(worker.settle(settlement(kTasks - 1)), SettleStatus::carries_on);
  EXPECT_EQ(info().reserved, 1U);
  EXPECT_THAT(parts(), SizeIs(kTasks));
}

TEST_P(Chords, OfTwoWorkersThatEndTheLastTwoPartsAtOnceOneIsTold) {
  Worker one(*store);
  Worker two(*store);
  for (int round = 0; round < 30; ++round) {
    const std::string group = "g" + std::to_string(round);
    start(2, group);
    const Token first = reserve(one, "a");
    const Token second = reserve(two, "b");
    auto other = std::async(std::launch::async, [&] { return two.settle(ended(second, part("b", 1), group)); });
    const bool first_is_last = one.settle(ended(first, part("a", 0), group)) == SettleStatus::carries_on;
    const bool second_is_last = other.get() == SettleStatus::carries_on;
    ASSERT_NE(first_is_last, second_is_last) << "round " << round;
    ASSERT_THAT(parts(group), SizeIs(2));
    ASSERT_EQ((first_is_last ? one : two).settle(joined(first_is_last ? first : second, {"a", "b"}, group)),
              SettleStatus::settled);
  }
  EXPECT_EQ(info().reserved, 0U);
}

TEST_P(Chords, TenThousandPartsAreReadInChunks) {
  constexpr std::int64_t kParts = 10'000;
  constexpr std::int64_t kAtOnce = 500;
  start(kParts);
  for (std::int64_t last = kParts; last > 0; last -= kAtOnce) {  // the last ones first
    std::vector<ChordPart> some;
    for (std::int64_t i = last - kAtOnce; i < last; ++i) some.push_back(part("task-" + std::to_string(i), i));
    const bool is_last = last == kAtOnce;
    if (is_last) some.pop_back();  // and one of them last of all
    EXPECT_FALSE(count(std::move(some)));
  }
  Worker worker(*store);
  const std::int64_t missing = kAtOnce - 1;
  EXPECT_EQ(end(worker, part("task-" + std::to_string(missing), missing)), SettleStatus::carries_on);
  const auto read = parts("g", 512);
  ASSERT_THAT(read, SizeIs(kParts));
  for (std::int64_t i = 0; i < kParts; ++i) {
    ASSERT_EQ(read[static_cast<std::size_t>(i)], part("task-" + std::to_string(i), i).text);
  }
}

TEST_P(Chords, WithoutASettlementTheyAreCountedToo) {
  start(2);
  EXPECT_FALSE(count({part("a", 0)}));
  EXPECT_FALSE(count({part("a", 0)}));
  EXPECT_TRUE(count({part("b", 1)}));
  EXPECT_TRUE(count({part("b", 1)})) << "until it has ended, for whoever did not hear it";
  EXPECT_THAT(parts(), ElementsAre(part("a", 0).text, part("b", 1).text));
}

TEST_P(Chords, OfOneThatHasEndedNothingIsLeft) {
  start(1);
  ASSERT_TRUE(store->backend()->extend_chord("g", patience()));
  EXPECT_FALSE(count({part("a", 0)}));
  ASSERT_TRUE(store->backend()->end_chord({"g", {"a"}}, patience()));
  EXPECT_THAT(parts(), IsEmpty());
  EXPECT_FALSE(count({part("late", 0)})) << "no size is left";
  start(2);
  EXPECT_TRUE(count({part("later", 1)})) << "and no extension";
  ASSERT_TRUE(store->backend()->end_chord({"no such", {"no such"}}, patience()));
}

}  // namespace
}  // namespace lovage::contract
