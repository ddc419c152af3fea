// Incarnations: registering, leases, the sweeper, suspects and strikes.
#include "contract/contract.hpp"

#include <lovage/states.hpp>

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using broker::Disposal;
using broker::SettleStatus;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto kShort = 150ms;  // a lease that tests can wait for

class Leases : public ContractTest {
 protected:
  std::vector<broker::WorkerInfo> workers() {
    auto infos = store->broker()->workers(patience());
    if (!infos) throw std::runtime_error(infos.error().message);
    return *infos;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, Leases, testing::ValuesIn(engines()), engine_name);

TEST_P(Leases, AWorkerIsRegisteredUntilItCloses) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  worker.take_one();
  const auto registered = workers();
  ASSERT_THAT(registered, SizeIs(1));
  EXPECT_EQ(registered[0].incarnation, worker.incarnation());
  EXPECT_EQ(registered[0].node_name, "celery@test");
  EXPECT_EQ(registered[0].reserved, 1U);
  worker.stop_reserving();
  worker.close();
  EXPECT_THAT(workers(), IsEmpty());
}

TEST_P(Leases, EachRenewalRaisesTheCounter) {
  Worker worker(*store);
  worker.await_connected();
  const auto before = workers().at(0).counter;
  EXPECT_EQ(worker.lease().renew(patience()).value(), broker::Lease::Renewal::renewed);
  EXPECT_EQ(worker.lease().renew(patience()).value(), broker::Lease::Renewal::renewed);
  EXPECT_EQ(workers().at(0).counter, before + 2);
}

TEST_P(Leases, ClosingReturnsEverythingInOrderAndUnsuspected) {
  publish(*store->broker(), {message("1"), message("2"), message("3"), message("4")});
  {
    Worker worker(*store);
    worker.credit(3);
    worker.take(3);
    worker.stop_reserving();
    worker.close();
  }
  Worker next(*store);
  next.credit(4);
  const auto deliveries = next.take(4);
  EXPECT_THAT(ids_of(deliveries), ElementsAre("1", "2", "3", "4"));
  for (const auto& delivery : deliveries) EXPECT_FALSE(delivery.suspect);
}

TEST_P(Leases, TheDeadAreSweptAndTheirMessagesComeFirstAgainEachAlone) {
  publish(*store->broker(), {message("1"), message("2"), message("3")});
  {
    Worker killed(*store, {"q"}, kShort);
    killed.credit(2);
    killed.take(2);
  }
  Worker sweeper(*store, {"q"}, kShort);
  sweeper.await_connected();
  const auto swept = sweep_until_somebody_dies(sweeper);
  ASSERT_THAT(swept, SizeIs(1));
  EXPECT_EQ(swept[0].node_name, "celery@test");
  EXPECT_EQ(swept[0].messages, 2U);
  EXPECT_THAT(workers(), SizeIs(1));

  sweeper.credit(3);
  const auto first = sweeper.take(1).front();
  EXPECT_EQ(id_of(first), "1");
  EXPECT_TRUE(first.suspect);
  EXPECT_EQ(first.strikes, 0) << "it never started";
  sweeper.credit(3);
  EXPECT_EQ(sweeper.settle(first.token), SettleStatus::settled);
  const auto second = sweeper.take(1).front();
  EXPECT_EQ(id_of(second), "2") << "alone: the third waits until nothing else is held";
  EXPECT_TRUE(second.suspect);
  EXPECT_EQ(sweeper.settle(second.token), SettleStatus::settled);
  const auto third = sweeper.take(1).front();
  EXPECT_EQ(id_of(third), "3");
  EXPECT_FALSE(third.suspect);
}

TEST_P(Leases, ASuspectWaitsUntilNothingElseIsHeld) {
  publish(*store->broker(), {message("1")});
  {
    Worker killed(*store, {"q"}, kShort);
    killed.take_one();
  }
  publish(*store->broker(), {message("other", "busy")});
  Worker worker(*store, {"busy"}, kShort);
  const auto held = worker.take_one();
  sweep_until_somebody_dies(worker);
  worker.on_loop([](broker::Consumer& consumer) {
    consumer.add_queue(queue_named("q"));
    consumer.set_credit(5, 1u << 20);
  });
  // Answered: the look that could have brought the suspect is over.
  EXPECT_EQ(worker.record_start(held.token), SettleStatus::settled);
  EXPECT_EQ(store->broker()->queues(std::vector<std::string>{"q"}, patience()).value().at(0).reserved, 0U);
  EXPECT_EQ(worker.settle(held.token), SettleStatus::settled);
  EXPECT_TRUE(worker.take(1).front().suspect);
}

TEST_P(Leases, OnlyARecordedStartThatWasNeverSettledIsAStrike) {
  publish(*store->broker(), {message("1")});
  for (const bool starts : {false, true, false, true}) {
    Worker killed(*store, {"q"}, kShort);
    const auto delivery = killed.take_one();
    if (starts) {
      EXPECT_EQ(killed.record_start(delivery.token), SettleStatus::settled);
    }
    Worker sweeper(*store, {"nothing"}, kShort);
    sweeper.await_connected();
    sweep_until_somebody_dies(sweeper);
    sweeper.close();
  }
  Worker worker(*store);
  const auto delivery = worker.take_one();
  EXPECT_TRUE(delivery.suspect);
  EXPECT_EQ(delivery.strikes, 2);
}

TEST_P(Leases, ASweptWorkerIsFencedAndToldThatItIsLost) {
  publish(*store->broker(), {message("1")});
  Worker stopped(*store, {"q"}, kShort);
  const auto delivery = stopped.take_one();
  Worker sweeper(*store, {"nothing"}, kShort);
  sweeper.await_connected();
  sweep_until_somebody_dies(sweeper);

  broker::Settlement late;
  late.token = delivery.token;
  late.results.push_back({"1", std::string(states::success), R"({"status": "SUCCESS"})"});
  late.sends.push_back(message("link"));
  EXPECT_EQ(stopped.settle(std::move(late)), SettleStatus::fenced);
  stopped.await_lost();
  EXPECT_EQ(stopped.lease().renew(patience()).value(), broker::Lease::Renewal::lost);
  EXPECT_EQ(store->backend()->get("1", patience()).value(), std::nullopt);
  const auto queue = store->broker()->queues(std::vector<std::string>{"q"}, patience()).value().at(0);
  EXPECT_EQ(queue.ready, 1U);
  EXPECT_EQ(queue.reserved, 0U);
  stopped.close();
}

TEST_P(Leases, WhoRenewsIsNeverSwept) {
  publish(*store->broker(), {message("1")});
  Worker busy(*store, {"q"}, kShort);
  const auto delivery = busy.take_one();
  Worker sweeper(*store, {"nothing"}, kShort);
  sweeper.await_connected();
  // Longer than the death of a silent worker takes.
  const auto end = Deadline::after(3 * kShort);
  while (!end.passed()) {
    ASSERT_EQ(busy.lease().renew(patience()).value(), broker::Lease::Renewal::renewed);
    ASSERT_EQ(sweeper.lease().renew(patience()).value(), broker::Lease::Renewal::renewed);
    ASSERT_THAT(sweeper.lease().sweep(patience()).value(), IsEmpty());
  }
  EXPECT_EQ(busy.settle(delivery.token), SettleStatus::settled);
}

TEST_P(Leases, OneStoreHasOneSweeper) {
  {
    Worker killed(*store, {"q"}, kShort);
    killed.await_connected();
  }
  Worker first(*store, {"q"}, kShort);
  Worker second(*store, {"q"}, kShort);
  first.await_connected();
  second.await_connected();
  std::size_t by_second = 0;
  std::size_t by_first = 0;
  // The office is held for two thirds of a lease: on a machine that stands still for so long it passes on.
  bool was_away = false;
  Deadline held = Deadline::after(2 * kShort / 3);
  const Deadline deadline = patience();
  while (by_first + by_second == 0 && !deadline.passed()) {
    for (Worker* worker : {&first, &second}) ASSERT_TRUE(worker->lease().renew(deadline));
    const Deadline next = Deadline::after(2 * kShort / 3);
    by_first += first.lease().sweep(deadline).value().size();
    was_away = was_away || held.passed();
    held = next;
    by_second += second.lease().sweep(deadline).value().size();
    was_away = was_away || held.passed();
  }
  EXPECT_EQ(by_first + by_second, 1U);
  EXPECT_TRUE(was_away || by_second == 0) << by_second;
}

}  // namespace
}  // namespace lovage::contract
