#include "lovage/testing.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <future>
#include <stdexcept>

#include <lovage/error.hpp>
#include <lovage/lovage.hpp>

namespace lovage {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// An app whose broker nobody could reach: whatever works does so without it.
class Shop {
 public:
  Shop() {
    config().broker_url = "redis://127.0.0.1:1/0";
    config().broker_connection_timeout = 1ms;
  }
  Config& config() { return app.config(); }

  App app{"shop", Config{}};
  std::vector<int> order;
  int tries = 0;
  Task<int(int, int)> add = app.task(
      "tasks.add", [](int x, int y) { return x + y; }, params("x", "y"));
  Task<int(int)> note = app.task("tasks.note", [this](int n) { return order.push_back(n), n; });
  Task<void()> fail = app.task("tasks.fail", [] { throw std::invalid_argument("no"); });
  Task<int(int)> flaky = app.task("tasks.flaky",
                                  [this](Context& self, int until) {
                                    if (++tries < until) self.retry({.countdown = 30s});
                                    return tries;
                                  },
                                  {.max_retries = 5});
  Task<std::string(int)> outer = app.task("tasks.outer", [this](int n) { return note.delay(n).id(); });
};

TEST(TestingWorker, RunsTasks) {
  Shop shop;
  testing::Worker worker(shop.app);
  const auto sum = shop.add.delay(2, 3);
  worker.wait_until_idle();
  EXPECT_EQ(sum.state(), "SUCCESS");
  EXPECT_EQ(sum.get(1s), 5);
}

TEST(TestingWorker, GetWaitsForTheResult) {
  Shop shop;
  testing::Worker worker(shop.app);
  EXPECT_EQ(shop.add.delay(2, 3).get(30s), 5);
}

TEST(TestingWorker, StoresFailures) {
  Shop shop;
  testing::Worker worker(shop.app);
  const auto failed = shop.fail.delay();
  worker.wait_until_idle();
  EXPECT_EQ(failed.state(), "FAILURE");
  try {
    failed.get(1s);
    FAIL() << "nothing was thrown";
  } catch (const TaskFailed& error) {
    EXPECT_EQ(error.type(), "ValueError");
    EXPECT_EQ(error.message(), "no");
  }
}

TEST(TestingWorker, OneThreadKeepsTheOrder) {
  Shop shop;
  testing::Worker worker(shop.app);
  for (int i = 0; i < 50; ++i) shop.note.delay(i);
  worker.wait_until_idle();
  ASSERT_EQ(shop.order.size(), 50U);
  EXPECT_TRUE(std::is_sorted(shop.order.begin(), shop.order.end()));
}

// The thread that runs them waits for more in the place of the worker's loop, and must not do so while it has some.
TEST(TestingWorker, NothingIsLeftLying) {
  for (int round = 0; round < 1000; ++round) {
    Shop shop;
    testing::Worker worker(shop.app);
    for (int i = 0; i < 50; ++i) shop.note.delay(i);
    worker.wait_until_idle();
    ASSERT_EQ(shop.order.size(), 50U);
  }
}

TEST(TestingWorker, IdleCountsWhatTasksSend) {
  Shop shop;
  testing::Worker worker(shop.app);
  const auto sent = shop.outer.delay(7);
  worker.wait_until_idle();
  EXPECT_THAT(shop.order, ElementsAre(7));
  EXPECT_EQ(shop.app.result<int>(sent.get(1s)).get(1s), 7);
}

TEST(TestingWorker, IdleCountsCallbacks) {
  Shop shop;
  testing::Worker worker(shop.app);
  shop.add.apply_async({2, 3}, {.link = shop.note.s()});
  worker.wait_until_idle();
  EXPECT_THAT(shop.order, ElementsAre(5));
}

TEST(TestingWorker, CountdownWaitsForTheClock) {
  Shop shop;
  testing::Worker worker(shop.app);
  const auto late = shop.add.apply_async({2, 3}, {.countdown = 60s});
  worker.wait_until_idle();
  EXPECT_EQ(late.state(), "PENDING");
  worker.advance(59s);
  worker.wait_until_idle();
  EXPECT_EQ(late.state(), "PENDING");
  worker.advance(1s);
  worker.wait_until_idle();
  EXPECT_EQ(late.get(1s), 5);
}

TEST(TestingWorker, EtaIsATimeOfTheClock) {
  Shop shop;
  const auto start = std::chrono::sys_days{std::chrono::year{2030} / 1 / 1};
  testing::Worker worker(shop.app, {.start_time = start});
  EXPECT_EQ(worker.now(), start);
  const auto late = shop.add.apply_async({2, 3}, {.eta = start + 24h});
  const auto early = shop.add.apply_async({1, 1}, {.eta = start - 24h});
  worker.wait_until_idle();
  EXPECT_EQ(early.get(1s), 2);
  EXPECT_EQ(late.state(), "PENDING");
  worker.advance(24h);
  EXPECT_EQ(worker.now(), start + 24h);
  worker.wait_until_idle();
  EXPECT_EQ(late.get(1s), 5);
}

TEST(TestingWorker, WhatFallsDueTogetherRunsTheEarliestFirst) {
  Shop shop;
  testing::Worker worker(shop.app);
  shop.note.apply_async({3}, {.countdown = 30s});
  shop.note.apply_async({1}, {.countdown = 10s});
  shop.note.apply_async({2}, {.countdown = 20s});
  worker.wait_until_idle();
  EXPECT_THAT(shop.order, IsEmpty());
  worker.advance(1h);
  worker.wait_until_idle();
  EXPECT_THAT(shop.order, ElementsAre(1, 2, 3));
}

TEST(TestingWorker, RetriesWaitForTheClock) {
  Shop shop;
  testing::Worker worker(shop.app);
  const auto flaky = shop.flaky.delay(3);
  worker.wait_until_idle();
  EXPECT_EQ(shop.tries, 1);
  EXPECT_EQ(flaky.state(), "RETRY");
  worker.advance(29s);
  worker.wait_until_idle();
  EXPECT_EQ(shop.tries, 1);
  worker.advance(1s);
  worker.wait_until_idle();
  EXPECT_EQ(shop.tries, 2);
  worker.advance(30s);
  worker.wait_until_idle();
  EXPECT_EQ(flaky.get(1s), 3);
}

TEST(TestingWorker, ExpiresByTheClock) {
  Shop shop;
  testing::Worker worker(shop.app);
  const auto stale = shop.note.apply_async({1}, {.countdown = 60s, .expires = 30s});
  worker.advance(60s);
  worker.wait_until_idle();
  EXPECT_EQ(stale.state(), "REVOKED");
  EXPECT_THAT(shop.order, IsEmpty());
}

TEST(TestingWorker, ResultsExpireByTheClock) {
  Shop shop;
  testing::Worker worker(shop.app);
  const auto sum = shop.add.delay(2, 3);
  worker.wait_until_idle();
  worker.advance(shop.config().result_expires + 1s);
  EXPECT_EQ(sum.state(), "PENDING");
}

// Two days of backlog, with results that last for one.
TEST(TestingWorker, AChordThatWaitsForLongerThanResultsLastFiresAndItsResultsExpireCountedFromItsEnd) {
  Shop shop;
  shop.config().result_expires = 24h;
  const auto total =
      shop.app.task("tasks.total", [](const std::vector<int>& numbers) { return numbers.at(0) + numbers.at(1); });
  testing::Worker worker(shop.app);
  auto late = shop.add.s(3, 4);
  late.set({.countdown = 48h});
  const auto sum = chord(group(shop.add.s(1, 2), late), total.s()).delay();
  const auto header = parent_group(sum).value();
  header.save();
  const auto early = header.results().front();
  worker.wait_until_idle();
  worker.advance(47h);
  EXPECT_EQ(early.state(), "SUCCESS") << "it ended two days before the chord";
  EXPECT_TRUE(shop.app.group_result(header.id()));
  worker.advance(1h);
  worker.wait_until_idle();
  EXPECT_EQ(sum.get(1s), 10);
  worker.advance(23h);
  EXPECT_EQ(shop.app.group_result(header.id()).value().join(1s), (Array{3, 7}));
  worker.advance(2h);
  EXPECT_EQ(early.state(), "PENDING");
  EXPECT_EQ(sum.state(), "PENDING");
  EXPECT_FALSE(shop.app.group_result(header.id()));
}

TEST(TestingWorker, IdleEndsWithTimeout) {
  Shop shop;
  std::promise<void> go_on;
  const auto wait = shop.app.task("tasks.wait", [&] { go_on.get_future().wait(); });
  testing::Worker worker(shop.app);
  const auto waiting = wait.delay();
  EXPECT_THROW(worker.wait_until_idle(1ms), Timeout);
  go_on.set_value();
  worker.wait_until_idle();
  EXPECT_TRUE(waiting.successful());
}

TEST(TestingWorker, ServesTheQueuesItIsToldTo) {
  Shop shop;
  testing::Worker worker(shop.app, {.queues = {"images"}});
  const auto other = shop.add.delay(1, 1);
  const auto own = shop.add.apply_async({2, 3}, {.queue = "images"});
  worker.wait_until_idle();
  EXPECT_EQ(own.get(1s), 5);
  EXPECT_EQ(other.state(), "PENDING");
}

TEST(TestingWorker, EachBeginsWithAnEmptyStore) {
  Shop shop;
  std::string id;
  {
    testing::Worker worker(shop.app);
    const auto sum = shop.add.delay(2, 3);
    worker.wait_until_idle();
    id = sum.id();
  }
  EXPECT_EQ(shop.app.result(id).state(), "SUCCESS");  // still there
  testing::Worker worker(shop.app);
  EXPECT_EQ(shop.app.result(id).state(), "PENDING");
  EXPECT_EQ(shop.add.delay(2, 3).get(30s), 5);
}

TEST(TestingWorker, StopLeavesWhatHasNotBegun) {
  Shop shop;
  testing::Worker worker(shop.app);
  worker.stop();
  worker.stop();
  const auto waiting = shop.add.delay(2, 3);
  EXPECT_EQ(waiting.state(), "PENDING");
  EXPECT_THROW(worker.wait_until_idle(), std::logic_error);
}

TEST(TestingWorker, PutsThePoolsSettingsBack) {
  Shop shop;
  shop.config().worker_pool = "prefork";
  shop.config().worker_concurrency = 7;
  { testing::Worker worker(shop.app); }
  EXPECT_EQ(shop.config().worker_pool, "prefork");
  EXPECT_EQ(shop.config().worker_concurrency, 7);
}

TEST(TestingWorker, OneAtATime) {
  Shop shop;
  testing::Worker worker(shop.app);
  EXPECT_THROW(testing::Worker second(shop.app), std::logic_error);
  Shop other;
  testing::Worker third(other.app);
  EXPECT_EQ(other.add.delay(2, 3).get(30s), 5);
  EXPECT_EQ(shop.add.delay(3, 3).get(30s), 6);
}

TEST(TestingWorker, TheClockGoesForwardOnly) {
  Shop shop;
  testing::Worker worker(shop.app);
  EXPECT_THROW(worker.advance(-1s), std::invalid_argument);
}

TEST(TestingEager, RunsAtOnceAndPutsSettingsBack) {
  Shop shop;
  {
    testing::Eager eager(shop.app);
    EXPECT_EQ(shop.note.apply_async({4}, {.countdown = 1h}).get(), 4);
    EXPECT_EQ(shop.flaky.delay(3).get(), 3);
    EXPECT_EQ(shop.fail.delay().state(), "FAILURE");
  }
  EXPECT_THAT(shop.order, ElementsAre(4));
  EXPECT_FALSE(shop.config().task_always_eager);
}

TEST(TestingEager, CanPropagate) {
  Shop shop;
  testing::Eager eager(shop.app, true);
  EXPECT_THROW(shop.fail.delay(), TaskFailed);
}

}  // namespace
}  // namespace lovage
