// Results: reading, waiting, the rule which state may replace which.
#include <future>

#include <lovage/states.hpp>

#include "contract/contract.hpp"

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::Eq;
using testing::Optional;

class Results : public ContractTest {
 protected:
  static broker::StoreResult result(const std::string& id, std::string_view state, const std::string& text = "") {
    return {id, std::string(state),
            R"({"status": ")" + std::string(state) + R"(", "result": ")" + text + R"(", "task_id": ")" + id + "\"}"};
  }
  void put(const broker::StoreResult& value) {
    for (const auto& outcome : store->backend()->store({&value, 1}, patience())) {
      ASSERT_TRUE(outcome) << outcome.error().message;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, Results, testing::ValuesIn(engines()), engine_name);

TEST_P(Results, AnUnknownIdHasNone) {
  EXPECT_EQ(store->backend()->get("no such", patience()).value(), std::nullopt);
}

TEST_P(Results, ManyAreReadInOrder) {
  put(result("a", states::success));
  put(result("c", states::started));
  const std::vector<std::string> ids{"c", "b", "a"};
  EXPECT_THAT(store->backend()->get_many(ids, patience()).value(),
              ElementsAre(Optional(result("c", states::started).meta), Eq(std::nullopt),
                          Optional(result("a", states::success).meta)));
}

struct Step {
  std::string_view before;
  std::string_view after;
  bool replaces;
};

TEST_P(Results, ReadyStatesAreFinal) {
  constexpr Step kSteps[] = {
      {states::started, "PROGRESS", true},       {"PROGRESS", states::started, true},
      {states::started, states::success, true},  {states::success, states::started, false},
      {states::success, states::failure, false}, {states::failure, states::retry, false},
      {states::failure, states::success, true},  {states::revoked, states::started, false},
      {states::retry, states::started, true},
  };
  int number = 0;
  for (const Step& step : kSteps) {
    const std::string id = std::to_string(number++);
    put(result(id, step.before, "before"));
    put(result(id, step.after, "after"));
    const auto wanted = step.replaces ? result(id, step.after, "after") : result(id, step.before, "before");
    EXPECT_THAT(store->backend()->get(id, patience()).value(), Optional(wanted.meta)) << step.before << step.after;
  }
}

TEST_P(Results, AForgottenResultIsGone) {
  put(result("a", states::success));
  ASSERT_TRUE(store->backend()->forget("a", patience()));
  EXPECT_EQ(store->backend()->get("a", patience()).value(), std::nullopt);
  EXPECT_TRUE(store->backend()->forget("no such", patience()));
}

TEST_P(Results, WaitingEndsWhenTheResultIsThereAlready) {
  put(result("a", states::failure));
  EXPECT_THAT(store->backend()->wait("a", patience()).value(), Optional(result("a", states::failure).meta));
}

TEST_P(Results, WaitingEndsWithTheDeadline) {
  put(result("a", states::started));
  EXPECT_EQ(store->backend()->wait("a", Deadline::after(50ms)).value(), std::nullopt);
}

TEST_P(Results, AWaiterIsWokenByTheSettlement) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  auto backend = store->backend();
  std::promise<void> waiting;
  auto waiter = std::async(std::launch::async, [&] {
    waiting.set_value();
    return backend->wait("1", patience());
  });
  waiting.get_future().wait();
  worker.store_state(delivery.token, result("1", states::started));
  broker::Settlement done;
  done.token = delivery.token;
  done.results.push_back(result("1", states::success, "5"));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(worker.settle(std::move(done)), broker::SettleStatus::settled);
  EXPECT_THAT(waiter.get().value(), Optional(result("1", states::success, "5").meta));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1500ms) << "found by a look, not by a wake-up";
}

TEST_P(Results, ManyWaitForOne) {
  auto backend = store->backend();
  std::vector<std::future<Result<std::optional<std::string>>>> waiters;
  for (int i = 0; i < 40; ++i) {
    waiters.push_back(std::async(std::launch::async, [&] { return backend->wait("1", patience()); }));
  }
  put(result("1", states::success));
  for (auto& waiter : waiters) EXPECT_THAT(waiter.get().value(), Optional(result("1", states::success).meta));
}

TEST_P(Results, BrokerAndBackendOfOneStoreHaveOneIdentity) {
  EXPECT_EQ(store->broker()->identity(patience()).value(), store->backend()->identity(patience()).value());
  EXPECT_TRUE(store->broker()->check(patience()));
  EXPECT_TRUE(store->backend()->check(patience()));
}

}  // namespace
}  // namespace lovage::contract
