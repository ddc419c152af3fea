// What becomes of messages when connections, workers and servers break.
#include <lovage/states.hpp>

#include <future>
#include <set>

#include "component/broker/redis_rig.hpp"

namespace lovage::test {
namespace {

using namespace std::chrono_literals;
using broker::Disposal;
using broker::Lease;
using broker::Settlement;
using broker::SettleStatus;
using contract::message;
using contract::patience;
using contract::publish;
using contract::Worker;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kShort = 300ms;

class RedisRecovery : public RedisRig {
 protected:
  RedisRecovery() : RedisRig({"--appendonly", "yes", "--appendfsync", "always"}) {}
};

TEST_F(RedisRecovery, WhatAReserveTookBeforeItsReplyWasCutIsAdopted) {
  publish(*direct.broker(), {message("1"), message("2"), message("3")});
  Worker worker(gated);
  worker.await_connected();
  gate.truncate(TcpGate::Direction::to_client, 0);
  worker.credit(3);
  const auto deliveries = worker.take(3);
  EXPECT_EQ(gate.cuts(), 1U) << "the reply never passed";
  EXPECT_THAT(contract::ids_of(deliveries), ElementsAre("1", "2", "3"));
  for (const auto& delivery : deliveries) EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
  EXPECT_EQ(info().ready + info().reserved, 0U);
}

TEST_F(RedisRecovery, ASettlementWhoseReplyWasCutHappensOnceAndIsToldAsSettled) {
  publish(*direct.broker(), {message("1")});
  Worker worker(gated);
  const auto delivery = worker.take_one();
  Settlement done;
  done.token = delivery.token;
  done.results.push_back({"1", std::string(states::success), R"({"status": "SUCCESS", "result": 1})"});
  done.sends.push_back(message("link", "links"));
  gate.truncate(TcpGate::Direction::to_client, 0);
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  EXPECT_EQ(gate.cuts(), 1U);
  EXPECT_EQ(info("links").ready, 1U);
  EXPECT_TRUE(result("1"));
  EXPECT_EQ(info().ready + info().reserved, 0U);
}

TEST_F(RedisRecovery, AStoppedWorkerIsSweptAndToldSoWhenItGoesOn) {
  Worker stopped(direct, {"q"}, kShort);
  stopped.credit(1);
  ASSERT_TRUE(until([&] { return server.info("clients").find("blocked_clients:4") != std::string::npos; }));
  // Its loop stands still, as after SIGSTOP; a wait is blocked at the server and brings a message to its inbox.
  std::promise<void> go_on;
  std::thread stopper([&] { stopped.on_loop([&](broker::Consumer&) { go_on.get_future().wait(); }); });
  publish(*direct.broker(), {message("1")});
  Worker sweeper(direct, {"nothing"}, kShort);
  sweeper.await_connected();
  contract::sweep_until_somebody_dies(sweeper);
  EXPECT_EQ(info().ready, 1U) << "given back from the inbox";
  go_on.set_value();
  stopper.join();
  stopped.await_lost();
  EXPECT_EQ(info().ready, 1U);
  EXPECT_EQ(stopped.lease().renew(patience()).value(), Lease::Renewal::lost);
}

TEST_F(RedisRecovery, AnInboxThatFillsAfterItsWorkerWasSweptIsEmptied) {
  IncarnationId dead;
  {
    Worker killed(direct, {"q"}, kShort);
    killed.await_connected();
    dead = killed.incarnation();
  }
  Worker sweeper(direct, {"nothing"}, kShort);
  sweeper.await_connected();
  contract::sweep_until_somebody_dies(sweeper);
  redis({"LPUSH", "lovage:1:inbox:" + dead.get() + ":q", "late"});
  EXPECT_TRUE(until(
      [&] { return sweeper.lease().renew(patience()) && sweeper.lease().sweep(patience()) && info().ready == 1; }));
}

TEST_F(RedisRecovery, AServerThatStallsLongerThanTheLeaseExpiresNobody) {
  publish(*direct.broker(), {message("1")});
  Worker one(direct, {"q"}, kShort);
  Worker two(direct, {"nothing"}, kShort);
  const auto delivery = one.take_one();
  two.await_connected();
  const auto tick_both = [&](Duration budget) {
    std::size_t swept = 0;
    for (Worker* worker : {&one, &two}) {
      static_cast<void>(worker->lease().renew(Deadline::after(budget)));
      if (auto dead = worker->lease().sweep(Deadline::after(budget))) swept += dead->size();
    }
    return swept;
  };
  EXPECT_EQ(tick_both(kPatience), 0U);
  server.pause();
  const auto stalled = Deadline::after(3 * kShort);
  while (!stalled.passed()) EXPECT_EQ(tick_both(kShort / 3), 0U);
  server.resume();
  const auto after = Deadline::after(3 * kShort);
  while (!after.passed()) EXPECT_EQ(tick_both(kPatience), 0U);
  EXPECT_EQ(one.settle(delivery.token), SettleStatus::settled);
}

TEST_F(RedisRecovery, AServerThatRestartsWithItsDataCostsNothing) {
  publish(*direct.broker(), {message("1"), message("2")});
  Worker worker(direct);
  const auto delivery = worker.take_one();
  server.kill();
  server.start();
  Settlement done;
  done.token = delivery.token;
  done.results.push_back({"1", std::string(states::success), R"({"status": "SUCCESS"})"});
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  EXPECT_EQ(contract::id_of(worker.take_one()), "2");
  server.kill();
  server.start();
  EXPECT_TRUE(result("1")) << "the results' database survives the log of a script that selected it";
}

TEST_F(RedisRecovery, AnEmptiedServerLosesTheIncarnation) {
  publish(*direct.broker(), {message("1")});
  Worker worker(direct);
  const auto delivery = worker.take_one();
  redis({"FLUSHALL"});
  EXPECT_EQ(worker.settle(delivery.token), SettleStatus::fenced);
  worker.await_lost();
  Worker fresh(direct);
  publish(*direct.broker(), {message("2")});
  EXPECT_EQ(contract::id_of(fresh.take_one()), "2");
}

TEST_F(RedisRecovery, TenThousandMessagesSurviveConnectionsCutAtRandom) {
  constexpr std::size_t kMessages = 10'000;
  std::vector<wire::TaskMessage> messages;
  for (std::size_t i = 0; i < kMessages; ++i) messages.push_back(message(std::to_string(i)));
  publish(*direct.broker(), messages);

  Watched<std::multiset<std::string>> seen;
  const auto work = [&](broker::Consumer& consumer, std::vector<broker::Delivery> deliveries) {
    const auto ids = contract::ids_of(deliveries);
    for (std::size_t i = 0; i < deliveries.size(); ++i) {
      Settlement done;
      done.token = deliveries[i].token;
      done.sends.push_back(message(ids[i], "links"));
      consumer.settle(std::move(done));
    }
    consumer.set_credit(200, 1u << 20);
    seen.change([&](auto& all) { all.insert(ids.begin(), ids.end()); });
  };
  Worker one(gated);
  Worker two(gated);
  for (Worker* worker : {&one, &two}) {
    worker->on_loop([&](broker::Consumer& consumer) {
      worker->handler = work;
      consumer.set_credit(200, 1u << 20);
    });
  }
  for (std::size_t at = 500; at < kMessages; at += 500) {
    ASSERT_TRUE(seen.wait([&](const auto& all) { return all.size() >= at; }, 60s)) << seen.get().size();
    gate.cut();
  }
  EXPECT_TRUE(seen.wait([&](const auto& all) { return all.size() >= kMessages; }, 60s)) << seen.get().size();
  EXPECT_TRUE(until([&] { return info().reserved == 0 && info("links").ready == kMessages; }))
      << info().reserved << " " << info("links").ready;
  const auto all = seen.get();
  EXPECT_EQ(all.size(), kMessages) << "none handed over twice";
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), kMessages) << "none lost";
}

}  // namespace
}  // namespace lovage::test
