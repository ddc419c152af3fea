// Each write of the scripts made to fail in turn, a full memory, equal messages, forgotten scripts.
#include <future>

#include <lovage/states.hpp>

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
using testing::SizeIs;

constexpr auto kShort = 300ms;

class RedisWrites : public RedisRig {
 protected:
  // Stores a result, sends a successor and disposes of the message: every write there is.
  static Settlement everything(Token token, Disposal disposal) {
    Settlement settlement;
    settlement.token = token;
    settlement.disposal = disposal;
    settlement.due.delay = std::chrono::hours(1);
    settlement.dead_letter = {"1", "tasks.add", "poison", "three strikes"};
    settlement.results.push_back({"1", std::string(states::success), R"({"status": "SUCCESS"})"});
    settlement.sends.push_back(message("link", "links"));
    return settlement;
  }
  std::size_t dead_letters() { return direct.broker()->dead_letters(10, patience()).value().size(); }
  // The message is reserved, and nowhere else.
  void expect_in_one_place() {
    const auto q = info();
    EXPECT_EQ(q.reserved, 1U);
    EXPECT_EQ(q.ready, 0U);
  }
};

struct FailingWrite {
  std::string command;
  Disposal disposal;
};

class RedisFailingWrites : public RedisWrites, public testing::WithParamInterface<FailingWrite> {};

INSTANTIATE_TEST_SUITE_P(
    Commands, RedisFailingWrites,
    testing::Values(FailingWrite{"lpush", Disposal::acknowledge}, FailingWrite{"lpush", Disposal::return_tail},
                    FailingWrite{"rpush", Disposal::return_head}, FailingWrite{"zadd", Disposal::schedule},
                    FailingWrite{"xadd", Disposal::dead_letter}, FailingWrite{"set", Disposal::return_head},
                    FailingWrite{"publish", Disposal::schedule}, FailingWrite{"hdel", Disposal::acknowledge}),
    [](const auto& at) { return at.param.command + std::to_string(at.index); });

TEST_P(RedisFailingWrites, TheMessageStaysReservedAndNothingElseHappens) {
  publish(*direct.broker(), {message("1")});
  Worker worker(direct);
  const auto delivery = worker.take_one();
  redis({"ACL", "SETUSER", "default", "-" + GetParam().command});
  EXPECT_EQ(worker.settle(everything(delivery.token, GetParam().disposal)), SettleStatus::failed);
  redis({"ACL", "SETUSER", "default", "+" + GetParam().command});
  expect_in_one_place();
  EXPECT_EQ(info().scheduled, 0U);
  EXPECT_EQ(info("links").ready, 0U) << "the successor was taken back";
  EXPECT_EQ(dead_letters(), 0U);
  EXPECT_EQ(worker.settle(everything(delivery.token, Disposal::acknowledge)), SettleStatus::settled);
  EXPECT_EQ(info("links").ready, 1U);
  EXPECT_EQ(info().reserved, 0U);
}

// Plain acknowledgements share one fence.
TEST_F(RedisWrites, APlainAcknowledgementWhoseWritesFailStaysReserved) {
  publish(*direct.broker(), {message("1")});
  Worker worker(direct);
  const auto delivery = worker.take_one();
  Settlement plain;
  plain.token = delivery.token;
  plain.results.push_back({"1", std::string(states::success), R"({"status": "SUCCESS"})"});
  for (const std::string command : {"hdel", "set"}) {
    redis({"ACL", "SETUSER", "default", "-" + command});
    EXPECT_EQ(worker.settle(plain), SettleStatus::failed) << command;
    redis({"ACL", "SETUSER", "default", "+" + command});
    expect_in_one_place();
    EXPECT_EQ(result("1"), std::nullopt) << command;
  }
  EXPECT_EQ(worker.settle(plain), SettleStatus::settled);
  EXPECT_EQ(info().reserved, 0U);
  EXPECT_NE(result("1"), std::nullopt);
}

TEST_F(RedisWrites, KeysOfAWrongTypeAreFoundBeforeAnythingIsWritten) {
  publish(*direct.broker(), {message("1")});
  Worker worker(direct);
  const auto delivery = worker.take_one();
  const auto fails_with = [&](const std::string& key, int db, Disposal disposal) {
    server.command({"SADD", key, "x"}, db);
    EXPECT_EQ(worker.settle(everything(delivery.token, disposal)), SettleStatus::failed) << key;
    server.command({"DEL", key}, db);
    expect_in_one_place();
    EXPECT_EQ(result("1"), std::nullopt) << key;
    EXPECT_EQ(info("links").ready, 0U) << key;
  };
  fails_with("links", kBrokerDb, Disposal::acknowledge);
  fails_with("q", kBrokerDb, Disposal::return_head);
  fails_with("q", kBrokerDb, Disposal::return_tail);
  fails_with("lovage:1:schedule:q", kBrokerDb, Disposal::schedule);
  fails_with("lovage:1:marks", kBrokerDb, Disposal::return_head);
  fails_with("lovage:1:dead", kBrokerDb, Disposal::dead_letter);
  fails_with("celery-task-meta-1", kResultDb, Disposal::acknowledge);
  EXPECT_EQ(worker.settle(everything(delivery.token, Disposal::acknowledge)), SettleStatus::settled);
}

TEST_F(RedisWrites, AReserveThatCannotKeepAMessagePutsItBackInOrder) {
  publish(*direct.broker(), {message("1"), message("2")});
  Worker worker(direct);
  worker.await_connected();
  redis({"ACL", "SETUSER", "default", "-hset"});
  worker.credit(2);
  ASSERT_TRUE(until([&] { return server.info("commandstats").find("cmdstat_rpop:") != std::string::npos; }));
  EXPECT_EQ(info().ready, 2U);
  EXPECT_EQ(info().reserved, 0U);
  redis({"ACL", "SETUSER", "default", "+hset"});
  EXPECT_THAT(contract::ids_of(worker.take(2)), ElementsAre("1", "2"));
}

TEST_F(RedisWrites, GivingBackThatFailsLeavesEverythingWithTheDead) {
  publish(*direct.broker(), {message("1"), message("2")});
  {
    Worker killed(direct, {"q"}, kShort);
    killed.credit(2);
    killed.take(2);
  }
  Worker sweeper(direct, {"nothing"}, kShort);
  sweeper.await_connected();
  redis({"ACL", "SETUSER", "default", "-rpush"});
  EXPECT_TRUE(until([&] {
    static_cast<void>(sweeper.lease().renew(patience()));
    return !sweeper.lease().sweep(patience());
  }));
  redis({"ACL", "SETUSER", "default", "+rpush"});
  EXPECT_EQ(info().reserved, 2U);
  EXPECT_EQ(info().ready, 0U);
  contract::sweep_until_somebody_dies(sweeper);
  EXPECT_EQ(info().ready, 2U);
}

TEST_F(RedisWrites, AFullMemoryStopsNeitherSettlingNorReservingNorRenewing) {
  publish(*direct.broker(), {message("1"), message("2"), message("3")});
  Worker worker(direct, {"q"}, kShort);
  const auto delivery = worker.take_one();
  redis({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(worker.settle(everything(delivery.token, Disposal::acknowledge)), SettleStatus::settled);
  EXPECT_EQ(contract::id_of(worker.take_one()), "2");
  EXPECT_EQ(worker.lease().renew(patience()).value(), Lease::Renewal::renewed);
  EXPECT_EQ(worker.settle(Token(999)), SettleStatus::fenced);
  const auto refused = direct.broker()->publish(std::vector{message("4")}, patience());
  ASSERT_FALSE(refused.front());
  EXPECT_EQ(refused.front().error().code, Errc::refused);
  redis({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(result("1"));
  EXPECT_EQ(info("links").ready, 1U);
}

TEST_F(RedisWrites, TheDeadAreSweptWhileTheMemoryIsFull) {
  publish(*direct.broker(), {message("1")});
  {
    Worker killed(direct, {"q"}, kShort);
    killed.take_one();
  }
  Worker sweeper(direct, {"nothing"}, kShort);
  sweeper.await_connected();
  redis({"CONFIG", "SET", "maxmemory", "1"});
  contract::sweep_until_somebody_dies(sweeper);
  redis({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(info().ready, 1U);
}

// It is no message's fault: none fails, and what was refused is asked again when the server takes writes.
TEST_F(RedisWrites, WhileTheServerTakesNoWritesEverythingWaits) {
  publish(*direct.broker(), {message("1"), message("2"), message("3")});
  Worker worker(direct);
  std::vector<Settlement> settlements{everything(worker.take_one().token, Disposal::schedule), {}};
  settlements[1].token = worker.take_one().token;
  for (const auto& settlement : settlements) {
    redis({"CONFIG", "RESETSTAT"});
    redis({"CONFIG", "SET", "min-replicas-to-write", "1"});
    auto settled = std::async(std::launch::async, [&] { return worker.settle(settlement); });
    EXPECT_TRUE(until([&] { return server.info("errorstats").find("errorstat_NOREPLICAS") != std::string::npos; }));
    worker.credit(1);
    redis({"CONFIG", "SET", "min-replicas-to-write", "0"});
    EXPECT_EQ(settled.get(), SettleStatus::settled);
  }
  EXPECT_EQ(contract::id_of(worker.take(1).front()), "3");
  EXPECT_EQ(info().scheduled, 1U);
}

TEST_F(RedisWrites, ALockFromBeforeTheServersClockWasPutBackHoldsUpNobody) {
  publish(*direct.broker(), {message("1")});
  {
    Worker killed(direct, {"q"}, kShort);
    killed.take_one();
  }
  Worker sweeper(direct, {"nothing"}, kShort);
  sweeper.await_connected();
  redis({"SET", "lovage:1:sweeper", "somebody", "PX", "3600000"});
  contract::sweep_until_somebody_dies(sweeper);
  EXPECT_EQ(info().ready, 1U);
}

TEST_F(RedisWrites, AFullMemoryHidesNoQueueAndStopsNoPurge) {
  publish(*direct.broker(), {message("1"), message("2")});
  redis({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(info().ready, 2U);
  EXPECT_EQ(direct.broker()->purge("q", patience()).value(), 2U);
  redis({"CONFIG", "SET", "maxmemory", "0"});
}

TEST_F(RedisWrites, EqualMessagesStayTwoEverywhere) {
  publish(*direct.broker(), {message("1"), message("1")});
  Worker worker(direct);
  worker.credit(2);
  for (const Disposal disposal : {Disposal::return_head, Disposal::schedule, Disposal::return_tail}) {
    const auto deliveries = worker.take(2);
    EXPECT_EQ(deliveries[0].bytes, deliveries[1].bytes);
    EXPECT_NE(deliveries[0].token, deliveries[1].token);
    for (const auto& delivery : deliveries) {
      Settlement back;
      back.token = delivery.token;
      back.disposal = disposal;
      back.due.delay = 20ms;
      back.marks = broker::Marks{false, 0, 5ms};
      EXPECT_EQ(worker.settle(std::move(back)), SettleStatus::settled);
    }
    worker.credit(2);
  }
  const auto deliveries = worker.take(2);
  for (const auto& delivery : deliveries) {
    EXPECT_EQ(delivery.waited_unknown, 5ms);
    EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
  }
  EXPECT_EQ(redis({"EXISTS", "lovage:1:marks"}).integer, 0) << "marks go with their messages";
  EXPECT_EQ(info().ready + info().reserved + info().scheduled, 0U);
}

TEST_F(RedisWrites, AServerThatForgotTheScriptsGetsThemAgain) {
  publish(*direct.broker(), {message("1"), message("2")});
  Worker worker(direct);
  worker.await_connected();
  redis({"SCRIPT", "FLUSH"});
  const auto delivery = worker.take_one();
  redis({"SCRIPT", "FLUSH"});
  EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
  redis({"SCRIPT", "FLUSH"});
  EXPECT_EQ(worker.lease().renew(patience()).value(), Lease::Renewal::renewed);
}

TEST_F(RedisWrites, TheLastWorkerToGoHandsTheScheduleBack) {
  publish(*direct.broker(), {message("1")});
  Worker worker(direct);
  Settlement later;
  later.token = worker.take_one().token;
  later.disposal = Disposal::schedule;
  later.due.delay = std::chrono::hours(1);
  EXPECT_EQ(worker.settle(std::move(later)), SettleStatus::settled);
  {
    Worker other(direct);
    other.await_connected();
    other.close();
  }
  EXPECT_EQ(info().scheduled, 1U) << "one worker is left";
  worker.stop_reserving();
  worker.close();
  EXPECT_EQ(info().scheduled, 0U);
  EXPECT_EQ(info().ready, 1U);
}

// More than two batches' worth, since each holds a megabyte. The worker ticks by the hour: nothing else would send
// them.
TEST_F(RedisWrites, WhatDoesNotGoWithTwoBatchesLeavesWithTheirAnswers) {
  publish(*direct.broker(), {message("1"), message("2"), message("3"), message("4")});
  Worker worker(direct, {"q"}, std::chrono::hours(1));
  worker.credit(4);
  const auto deliveries = worker.take(4);
  worker.on_loop([&](broker::Consumer& consumer) {
    for (const auto& delivery : deliveries) {
      Settlement settlement;
      settlement.token = delivery.token;
      settlement.sends.push_back(message("link", "links"));
      settlement.sends.back().body.assign(600'000, 'x');
      consumer.settle(std::move(settlement));
    }
  });
  EXPECT_TRUE(until([&] { return info("links").ready == 4; }));
  EXPECT_EQ(info().reserved, 0U);
}

TEST_F(RedisWrites, QueuesArePurgedWithAllTheirPriorities) {
  publish(*direct.broker(), {message("1"), message("2", "q", 4), message("3", "q", 9)});
  EXPECT_EQ(direct.broker()->purge("q", patience()).value(), 3U);
  EXPECT_EQ(info().ready, 0U);
}

}  // namespace
}  // namespace lovage::test
