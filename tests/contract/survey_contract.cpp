// Where messages are: each in one place, as it was stored, with who holds it, when it is due and why it is dead.
#include "contract/contract.hpp"

#include <map>

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using broker::Disposal;
using broker::Place;
using broker::SettleStatus;
using broker::Sighting;
using testing::ElementsAre;
using testing::SizeIs;

class Surveys : public ContractTest {
 protected:
  std::vector<std::pair<std::string, Sighting>> survey() {
    std::vector<std::pair<std::string, Sighting>> seen;
    auto done = store->broker()->survey(
        [&](Sighting sighting) {
          const auto message = wire::decode_envelope(sighting.bytes);
          seen.emplace_back(message ? message->id : "?", std::move(sighting));
        },
        kPatience);
    if (!done) throw std::runtime_error(done.error().message);
    return seen;
  }
  std::map<std::string, Sighting> by_id() {
    std::map<std::string, Sighting> found;
    for (auto& [id, sighting] : survey()) {
      EXPECT_TRUE(found.emplace(id, std::move(sighting)).second) << id << " was seen twice";
    }
    return found;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, Surveys, testing::ValuesIn(engines()), engine_name);

TEST_P(Surveys, AnEmptyStoreShowsNothing) {
  EXPECT_THAT(survey(), SizeIs(0));
}

TEST_P(Surveys, EveryMessageIsSeenOnceWhereItIs) {
  Worker worker(*store);
  publish(*store->broker(), {message("held"), message("later"), message("dead")});
  worker.credit(3);
  const auto deliveries = worker.take(3);
  worker.stop_reserving();
  broker::Settlement later;
  later.token = deliveries[1].token;
  later.disposal = Disposal::schedule;
  later.due.delay = 1h;
  later.marks = broker::Marks{true, 2, 3s};
  ASSERT_EQ(worker.settle(std::move(later)), SettleStatus::settled);
  broker::Settlement dead;
  dead.token = deliveries[2].token;
  dead.disposal = Disposal::dead_letter;
  dead.dead_letter = {"dead", "tasks.add", "poison", "signal 11"};
  ASSERT_EQ(worker.settle(std::move(dead)), SettleStatus::settled);
  publish(*store->broker(), {message("1"), message("2"), message("first", "q", 0), message("last", "q", 9)});

  const auto seen = by_id();
  ASSERT_THAT(seen, SizeIs(7));
  const auto& first = seen.at("1");
  EXPECT_EQ(first.place, Place::queued);
  EXPECT_EQ(first.queue, "q");
  EXPECT_EQ(first.ahead, 0U);
  EXPECT_EQ(seen.at("2").ahead, 1U);
  EXPECT_EQ(seen.at("last").step, 9);
  EXPECT_EQ(seen.at("last").ahead, 0U) << "of its own list";
  const auto& held = seen.at("held");
  EXPECT_EQ(held.place, Place::reserved);
  EXPECT_EQ(held.queue, "q");
  EXPECT_EQ(held.holder, worker.incarnation());
  EXPECT_TRUE(held.registered);
  EXPECT_FALSE(held.started);
  EXPECT_EQ(held.bytes, envelope_of(deliveries[0]));
  const auto& scheduled = seen.at("later");
  EXPECT_EQ(scheduled.place, Place::scheduled);
  EXPECT_EQ(scheduled.queue, "q");
  ASSERT_TRUE(scheduled.due);
  EXPECT_GT(*scheduled.due, Clock::system().now() + 30min);
  EXPECT_EQ(scheduled.marks, (broker::Marks{true, 2, 3s}));
  EXPECT_EQ(scheduled.bytes, envelope_of(deliveries[1]));
  const auto& letter = seen.at("dead");
  EXPECT_EQ(letter.place, Place::dead);
  EXPECT_EQ(letter.letter.reason, "poison");
  EXPECT_EQ(letter.letter.task_id, "dead");
  EXPECT_EQ(store->broker()->dead_letter(letter.letter_key, patience()).value()->letter.task_id, "dead");
}

TEST_P(Surveys, ManyMessagesAreSeenInTheOrderOfTheirLists) {
  std::vector<wire::TaskMessage> many;
  for (int i = 0; i < 3'000; ++i) many.push_back(message(std::to_string(i), i % 2 == 0 ? "q" : "other"));
  publish(*store->broker(), many);
  const auto seen = by_id();
  ASSERT_THAT(seen, SizeIs(many.size()));
  for (int i = 0; i < 3'000; i += 250) {
    EXPECT_EQ(seen.at(std::to_string(i)).ahead, static_cast<std::uint64_t>(i / 2));
    EXPECT_EQ(seen.at(std::to_string(i)).queue, i % 2 == 0 ? "q" : "other");
  }
}

TEST_P(Surveys, ARecordedStartIsSeen) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  ASSERT_EQ(worker.record_start(delivery.token), SettleStatus::settled);
  const auto seen = by_id();
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_TRUE(seen.at("1").started);
}

TEST_P(Surveys, WhatADeadWorkerHeldIsItsOwnUntilItIsSwept) {
  publish(*store->broker(), {message("1")});
  std::string killed_id;
  {
    Worker killed(*store, {"q"}, 150ms);
    killed_id = killed.incarnation().get();
    killed.take_one();
  }
  EXPECT_EQ(by_id().at("1").holder.get(), killed_id);
  EXPECT_TRUE(by_id().at("1").registered);
  Worker sweeper(*store, {"nothing"}, 150ms);
  sweeper.await_connected();
  sweep_until_somebody_dies(sweeper);
  EXPECT_EQ(by_id().at("1").place, Place::queued);
}

TEST_P(Surveys, SchedulesAreReleasedWithoutAWorkerWhatIsDueOrAll) {
  {
    Worker worker(*store);
    publish(*store->broker(), {message("due"), message("later")});
    worker.credit(2);
    const auto deliveries = worker.take(2);
    worker.stop_reserving();
    for (const auto& delivery : deliveries) {
      broker::Settlement settlement;
      settlement.token = delivery.token;
      settlement.disposal = Disposal::schedule;
      settlement.due.delay = id_of(delivery) == "due" ? 0h : 1h;
      ASSERT_EQ(worker.settle(std::move(settlement)), SettleStatus::settled);
    }
    EXPECT_EQ(store->broker()->release(broker::Broker::Scheduled::due, patience()).value(), 1U);
    EXPECT_EQ(by_id().at("due").place, Place::queued);
    EXPECT_EQ(by_id().at("later").place, Place::scheduled);
    EXPECT_EQ(store->broker()->release(broker::Broker::Scheduled::all, patience()).value(), 1U);
  }
  EXPECT_EQ(by_id().at("later").place, Place::queued);
  EXPECT_EQ(by_id().at("later").queue, "q");
  EXPECT_EQ(store->broker()->release(broker::Broker::Scheduled::all, patience()).value(), 0U);
}

TEST_P(Surveys, TheDeadAreSweptWithoutAWorker) {
  publish(*store->broker(), {message("1")});
  {
    Worker killed(*store, {"q"}, 150ms);
    killed.take_one();
  }
  const auto sweeper = store->broker()->make_sweeper(150ms);
  std::vector<broker::Lease::Swept> swept;
  for (const Deadline deadline = patience(); swept.empty() && !deadline.passed();) {
    swept = sweeper->sweep(deadline).value();
  }
  ASSERT_THAT(swept, SizeIs(1));
  EXPECT_EQ(swept[0].messages, 1U);
  EXPECT_EQ(by_id().at("1").place, Place::queued);
  EXPECT_THAT(store->broker()->workers(patience()).value(), SizeIs(0));
}

}  // namespace
}  // namespace lovage::contract
