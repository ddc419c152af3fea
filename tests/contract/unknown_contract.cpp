// Messages of tasks that the worker which took them does not know.
#include "contract/contract.hpp"

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using broker::SettleStatus;
using testing::ElementsAre;
using testing::IsEmpty;

class UnknownTasks : public ContractTest {
 protected:
  // Takes the next message and gives it back for others.
  void give_up(Worker& worker, std::chrono::milliseconds delay) {
    const auto delivery = worker.take_one();
    broker::Settlement settlement;
    settlement.token = delivery.token;
    settlement.disposal = broker::Disposal::schedule;
    settlement.due.delay = delay;
    settlement.unknown_task = "tasks.new";
    settlement.marks = broker::Marks{.waited_unknown = delivery.waited_unknown + delay};
    EXPECT_EQ(worker.settle(std::move(settlement)), SettleStatus::settled);
  }
  broker::QueueInfo info() {
    const std::vector<std::string> names{"q"};
    return store->broker()->queues(names, patience()).value().front();
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, UnknownTasks, testing::ValuesIn(engines()), engine_name);

TEST_P(UnknownTasks, AreOfferedToOthersAtOnce) {
  publish(*store->broker(), {message("1")});
  Worker without(*store);
  give_up(without, 1h);
  without.credit(1);
  Worker with(*store);
  const auto delivery = with.take_one();
  EXPECT_EQ(id_of(delivery), "1");
  EXPECT_LT(delivery.waited_unknown, 1min) << "it has not waited for the hour";
  EXPECT_EQ(with.settle(delivery.token), SettleStatus::settled);
  EXPECT_THAT(without.stop_reserving(), IsEmpty());
}

TEST_P(UnknownTasks, GoToTheOneOfTwoIdleWorkersThatHasNotTried) {
  publish(*store->broker(), {message("1")});
  Worker without(*store);
  without.credit(1);
  const auto taken = without.take(1).front();
  Worker with(*store);
  with.credit(1);
  with.await_connected();
  broker::Settlement settlement;
  settlement.token = taken.token;
  settlement.disposal = broker::Disposal::schedule;
  settlement.due.delay = 300ms;
  settlement.unknown_task = "tasks.new";
  settlement.marks = broker::Marks{.waited_unknown = 300ms};
  EXPECT_EQ(without.settle(std::move(settlement)), SettleStatus::settled);
  without.credit(1);
  EXPECT_EQ(id_of(with.take(1).front()), "1");
  EXPECT_THAT(without.stop_reserving(), IsEmpty());
}

TEST_P(UnknownTasks, ComeBackWhenTheyAreDueAndNobodyElseIsThere) {
  publish(*store->broker(), {message("1")});
  Worker without(*store);
  const auto before = Clock::system().now();
  give_up(without, 300ms);
  const auto again = without.take_one();
  EXPECT_EQ(id_of(again), "1");
  EXPECT_EQ(again.waited_unknown, 300ms);
  EXPECT_GE(Clock::system().now() - before, 300ms);
  EXPECT_LT(Clock::system().now() - before, 2500ms) << "found by a look, not by its time";
}

TEST_P(UnknownTasks, AreTakenAsFarAsTheCreditGoes) {
  publish(*store->broker(), {message("1"), message("2"), message("3")});
  Worker without(*store);
  for (int i = 0; i < 3; ++i) give_up(without, 1h);
  Worker with(*store);
  with.credit(2);
  EXPECT_THAT(ids_of(with.take(2)), ElementsAre("1", "2"));
  EXPECT_THAT(with.stop_reserving(), IsEmpty());
  EXPECT_EQ(info().scheduled, 1U);
}

TEST_P(UnknownTasks, DoNotHoldUpOthers) {
  publish(*store->broker(), {message("1"), message("2")});
  Worker without(*store);
  give_up(without, 1h);
  without.credit(2);
  EXPECT_EQ(id_of(without.take(1).front()), "2");
  EXPECT_EQ(info().scheduled, 1U);
}

}  // namespace
}  // namespace lovage::contract
