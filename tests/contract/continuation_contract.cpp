// Continuations: reserved like messages, never in a queue, and adopted when their worker has gone.
#include <chrono>
#include <set>

#include "contract/chords.hpp"

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using broker::Delivery;
using broker::Disposal;
using broker::Place;
using broker::Settlement;
using broker::SettleStatus;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto kShort = 150ms;  // a lease that tests can wait for

class Continuations : public ChordTest {
 protected:
  static Settlement carry_on(Token token, const std::string& text) {
    Settlement settlement;
    settlement.token = token;
    settlement.disposal = Disposal::carry_on;
    settlement.continuation = text;
    return settlement;
  }
  // The token of a message that has become a continuation.
  Token carried_on(Worker& worker, const std::string& text = "text") {
    const Token token = reserve(worker, "1");
    EXPECT_EQ(worker.settle(carry_on(token, text)), SettleStatus::carries_on);
    return token;
  }
  // Whoever holds something without renewing its lease is swept.
  void sweep() {
    Worker sweeper(*store, {"nothing"}, kShort);
    sweeper.await_connected();
    sweep_until_somebody_dies(sweeper);
    sweeper.close();
  }
  void leave_one(const std::string& text = "text") {
    {
      Worker killed(*store, {"q"}, kShort);
      carried_on(killed, text);
    }
    sweep();
  }
  void expect_waiting(const std::string& text = "text") {
    const auto seen = survey();
    ASSERT_THAT(seen, SizeIs(1));
    EXPECT_EQ(seen[0].place, Place::adoption);
    EXPECT_TRUE(seen[0].is_continuation);
    EXPECT_EQ(seen[0].queue, "q");
    EXPECT_EQ(seen[0].bytes, text);
    const auto q = info();
    EXPECT_EQ(q.ready + q.reserved + q.scheduled, 0U);
  }
  void expect_adopted(Worker& worker, const Delivery& delivery, const std::string& text = "text") {
    EXPECT_TRUE(delivery.is_continuation);
    EXPECT_EQ(delivery.bytes, text);
    EXPECT_EQ(delivery.queue, "q");
    EXPECT_FALSE(delivery.suspect);
    EXPECT_EQ(info().reserved, 1U);
    EXPECT_EQ(survey().at(0).marks, broker::Marks());
    EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
    EXPECT_EQ(worker.settle(delivery.token), SettleStatus::fenced);
    EXPECT_THAT(survey(), IsEmpty());
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, Continuations, testing::ValuesIn(engines()), engine_name);

TEST_P(Continuations, OneTakesTheMessagesPlaceAndStaysUntilItIsSettled) {
  Worker worker(*store);
  const Token token = carried_on(worker, "first");
  const auto seen = survey();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].place, Place::reserved);
  EXPECT_TRUE(seen[0].is_continuation);
  EXPECT_EQ(seen[0].bytes, "first");
  EXPECT_EQ(seen[0].holder, worker.incarnation());
  EXPECT_EQ(info().reserved, 1U);
  EXPECT_EQ(worker.settle(carry_on(token, "second")), SettleStatus::carries_on);
  EXPECT_EQ(survey().at(0).bytes, "second");
  EXPECT_EQ(info().reserved, 1U);
  EXPECT_EQ(worker.settle(token), SettleStatus::settled);
  EXPECT_EQ(worker.settle(token), SettleStatus::fenced);
  EXPECT_THAT(survey(), IsEmpty());
}

TEST_P(Continuations, WhoCarriesOnDoesAllElseOfTheSettlement) {
  Worker worker(*store);
  auto settlement = carry_on(reserve(worker, "1"), "text");
  settlement.results.push_back(success("1"));
  settlement.sends.push_back(message("link", "links"));
  settlement.chords.push_back({"g", 1});
  EXPECT_EQ(worker.settle(std::move(settlement)), SettleStatus::carries_on);
  EXPECT_TRUE(has_result("1"));
  EXPECT_EQ(info("links").ready, 1U);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::carries_on) << "the chord has been started";
}

TEST_P(Continuations, OnesOwnSettlementMayCompleteAChord) {
  Worker worker(*store);
  const Token token = carried_on(worker);
  start(1);
  EXPECT_EQ(worker.settle(ended(token, part("a", 0))), SettleStatus::carries_on);
  EXPECT_EQ(survey().at(0).bytes, "join g");
  EXPECT_EQ(worker.settle(token), SettleStatus::settled);
}

TEST_P(Continuations, WhoDoesNotHoldTheMessageLeavesNone) {
  Worker worker(*store);
  const Token token = reserve(worker, "1");
  EXPECT_EQ(worker.settle(token), SettleStatus::settled);
  EXPECT_EQ(worker.settle(carry_on(token, "text")), SettleStatus::fenced);
  EXPECT_THAT(survey(), IsEmpty());
}

TEST_P(Continuations, NoneGoesToAQueueOrIntoTheSchedule) {
  Worker worker(*store);
  const Token token = carried_on(worker);
  for (const Disposal disposal : {Disposal::return_head, Disposal::return_tail, Disposal::schedule}) {
    EXPECT_EQ(worker.settle(token, disposal), SettleStatus::failed);
    EXPECT_EQ(info().reserved, 1U);
  }
  EXPECT_EQ(info().ready + info().scheduled, 0U);
  EXPECT_EQ(worker.settle(token), SettleStatus::settled);
}

TEST_P(Continuations, AWorkerAdoptsAtItsStartWhatTheDeadHeld) {
  leave_one();
  expect_waiting();
  Worker heir(*store);
  expect_adopted(heir, heir.take(1).front());
}

TEST_P(Continuations, AWorkerThatRunsAdoptsWhatTheDeadHeld) {
  Worker heir(*store, {"q"}, kShort);
  heir.await_connected();
  {
    Worker killed(*store, {"q"}, kShort);
    carried_on(killed);
  }
  const auto swept = sweep_until_somebody_dies(heir);
  ASSERT_THAT(swept, SizeIs(1));
  EXPECT_EQ(swept[0].messages, 1U);
  expect_adopted(heir, heir.take(1).front());
}

TEST_P(Continuations, ACleanCloseLeavesItToOthers) {
  {
    Worker leaving(*store);
    carried_on(leaving);
    leaving.stop_reserving();
    leaving.close();
  }
  expect_waiting();
  Worker heir(*store);
  expect_adopted(heir, heir.take(1).front());
}

TEST_P(Continuations, ThoseOfOtherQueuesAreLeftToTheirWorkers) {
  leave_one();
  Worker other(*store, {"elsewhere"}, kShort);
  publish(*store->broker(), {message("2", "elsewhere")});
  EXPECT_EQ(id_of(other.take_one()), "2");
  EXPECT_EQ(other.stop_reserving().size(), 0U);
  other.close();
  EXPECT_EQ(info().reserved, 0U);
  EXPECT_EQ(survey().at(1).place, Place::adoption);
}

TEST_P(Continuations, OneIsAdoptedBesideTheCredit) {
  leave_one();
  publish(*store->broker(), {message("2"), message("3")});
  Worker heir(*store, {"q"}, kShort);
  const auto adopted = heir.take(1).front();
  EXPECT_TRUE(adopted.is_continuation);
  heir.credit(1);
  EXPECT_EQ(id_of(heir.take(1).front()), "2");
  EXPECT_THAT(heir.stop_reserving(), IsEmpty());
  EXPECT_EQ(info().ready, 1U);
}

TEST_P(Continuations, OneLeavesTheCreditAsItWas) {
  Worker leaving(*store);
  carried_on(leaving);
  Worker heir(*store, {"q"}, kShort);
  heir.credit(2);
  leaving.close();
  EXPECT_TRUE(heir.take(1).front().is_continuation);
  publish(*store->broker(), {message("2"), message("3"), message("4")});
  EXPECT_THAT(ids_of(heir.take(2)), testing::ElementsAre("2", "3"));
  EXPECT_THAT(heir.stop_reserving(), IsEmpty());
  EXPECT_EQ(info().ready, 1U);
}

TEST_P(Continuations, OneThatTwoCouldHaveComesToOne) {
  Worker one(*store, {"q"}, kShort);
  Worker two(*store, {"q"}, kShort);
  one.await_connected();
  two.await_connected();
  {
    Worker leaving(*store);
    carried_on(leaving);
    leaving.close();
  }
  for (const Deadline deadline = patience(); info().reserved == 0 && !deadline.passed();) {
  }
  EXPECT_EQ(one.stop_reserving().size() + two.stop_reserving().size(), 1U);
}

TEST_P(Continuations, OneIsHandedOnFromHeirToHeir) {
  leave_one("first");
  {
    Worker heir(*store, {"q"}, kShort);
    const auto adopted = heir.take(1).front();
    EXPECT_EQ(adopted.bytes, "first");
    EXPECT_EQ(heir.settle(carry_on(adopted.token, "second")), SettleStatus::carries_on);
  }
  sweep();
  expect_waiting("second");
  Worker heir(*store);
  expect_adopted(heir, heir.take(1).front(), "second");
}

TEST_P(Continuations, WhoWasSweptIsFenced) {
  Worker stopped(*store, {"q"}, kShort);
  const Token token = carried_on(stopped);
  sweep();
  EXPECT_EQ(stopped.settle(carry_on(token, "late")), SettleStatus::fenced);
  stopped.await_lost();
  expect_waiting();
}

TEST_P(Continuations, TheMessagesBesideItGoBackToTheirQueue) {
  {
    Worker killed(*store, {"q"}, kShort);
    carried_on(killed);
    reserve(killed, "2");
  }
  sweep();
  EXPECT_EQ(info().ready, 1U);
  const auto seen = survey();
  ASSERT_THAT(seen, SizeIs(2));
  EXPECT_EQ(seen[0].place, Place::queued);
  EXPECT_EQ(seen[1].place, Place::adoption);
  Worker heir(*store);
  EXPECT_EQ(heir.settle(heir.take(1).front().token), SettleStatus::settled);
  const auto message = heir.take_one();
  EXPECT_EQ(id_of(message), "2");
  EXPECT_TRUE(message.suspect);
}

TEST_P(Continuations, ASuspectThatCarriesOnIsNoneAnyMore) {
  {
    Worker killed(*store, {"q"}, kShort);
    reserve(killed, "1");
  }
  sweep();
  {
    Worker worker(*store, {"q"}, kShort);
    const auto suspect = worker.take_one();
    ASSERT_TRUE(suspect.suspect);
    EXPECT_EQ(worker.record_start(suspect.token), SettleStatus::settled);
    EXPECT_EQ(worker.settle(carry_on(suspect.token, "text")), SettleStatus::carries_on);
  }
  sweep();
  Worker heir(*store);
  expect_adopted(heir, heir.take(1).front());
}

TEST_P(Continuations, PurgeReleaseAndSweepLeaveThemWhereTheyAre) {
  Worker worker(*store);
  const Token held = carried_on(worker);
  EXPECT_EQ(store->broker()->purge("q", patience()).value(), 0U);
  EXPECT_EQ(store->broker()->release(broker::Broker::Scheduled::all, patience()).value(), 0U);
  EXPECT_EQ(worker.settle(held), SettleStatus::settled);
  worker.close();
  leave_one();
  EXPECT_EQ(store->broker()->purge("q", patience()).value(), 0U);
  EXPECT_EQ(store->broker()->release(broker::Broker::Scheduled::all, patience()).value(), 0U);
  ASSERT_TRUE(store->broker()->make_sweeper(kShort)->sweep(patience()));
  expect_waiting();
}

TEST_P(Continuations, TextsAreOpaque) {
  const auto text = "\x01 line\n and\0 nothing, no utf-8: \xff\xfe"s;
  leave_one(text);
  expect_waiting(text);
  Worker heir(*store);
  expect_adopted(heir, heir.take(1).front(), text);
}

TEST_P(Continuations, ManyAreAllAdopted) {
  constexpr std::size_t kMany = 50;
  {
    Worker leaving(*store);
    for (std::size_t i = 0; i < kMany; ++i) carried_on(leaving, std::to_string(i));
    leaving.close();
  }
  Worker heir(*store, {"q"}, 1h);  // whose next tick nobody waits for
  std::set<std::string> texts;
  for (std::size_t i = 0; i < kMany; ++i) {
    const auto delivery = heir.take(1).front();
    EXPECT_TRUE(texts.insert(delivery.bytes).second) << delivery.bytes << " came twice";
    EXPECT_EQ(heir.settle(delivery.token), SettleStatus::settled);
  }
  EXPECT_THAT(survey(), IsEmpty());
}

}  // namespace
}  // namespace lovage::contract
