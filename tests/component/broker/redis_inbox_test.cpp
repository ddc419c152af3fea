// Messages that are settled while they are still in the inbox into which a wait has brought them.
#include <array>
#include <functional>
#include <future>
#include <thread>

#include <lovage/states.hpp>

#include "component/broker/redis_rig.hpp"

namespace lovage::test {
namespace {

using broker::Settlement;
using broker::SettleStatus;
using contract::message;
using contract::publish;
using contract::Worker;

constexpr auto kNoRenewal = std::chrono::minutes(10);  // nothing else is written meanwhile

class RedisInbox : public RedisRig {
 protected:
  static Settlement outcome(Token token) {
    Settlement settlement;
    settlement.token = token;
    settlement.results.push_back({"1", std::string(states::success), R"({"status": "SUCCESS", "result": 2})"});
    settlement.sends.push_back(message("next", "links"));
    return settlement;
  }
  void await_waits() {
    ASSERT_TRUE(until([&] { return server.info("clients").find("blocked_clients:4\r") != std::string::npos; }));
  }
  // A message comes by the wait, and is settled before the loop does anything else; `before_that` is called in between.
  SettleStatus settle_at_once(Worker& worker, const std::function<void()>& before_that = {}) {
    std::promise<Token> came;
    worker.handler = [&](broker::Consumer& consumer, const std::vector<broker::Delivery>& deliveries) {
      if (before_that) before_that();
      consumer.settle(outcome(deliveries.front().token));
      came.set_value(deliveries.front().token);
    };
    worker.credit(5);
    await_waits();
    redis({"CONFIG", "RESETSTAT"});
    publish(*direct.broker(), {message("1")});
    token_ = came.get_future().get();
    return worker.await_settled(token_);
  }
  // From now on the worker need not declare the queue of what an outcome sends: the next one can go with a wait.
  void know_the_way(Worker& worker) {
    EXPECT_EQ(settle_at_once(worker), SettleStatus::settled);
    redis({"DEL", "links"});
    ASSERT_TRUE(direct.backend()->forget("1", contract::patience()));
  }
  // How many outcomes went with a wait since the message came.
  bool went_with_a_wait(int outcomes) {
    const std::string calls = "cmdstat_client|reply:calls=" + std::to_string(outcomes) + ",";
    return server.info("commandstats").find(calls) != std::string::npos;
  }
  void expect_done_once() {
    EXPECT_NE(result("1"), std::nullopt);
    EXPECT_EQ(info("links").ready, 1U);
    EXPECT_EQ(info().ready + info().reserved, 0U);
  }

  Token token_{};  // of the message that came
};

TEST_F(RedisInbox, WhatIsSettledAtOnceIsNeverReserved) {
  Worker worker(direct, {"q"}, kNoRenewal);
  know_the_way(worker);
  EXPECT_EQ(settle_at_once(worker), SettleStatus::settled);
  EXPECT_TRUE(went_with_a_wait(1));
  // The one is that of the batch, for a replay.
  EXPECT_NE(server.info("commandstats").find("cmdstat_hset:calls=1,"), std::string::npos);
  expect_done_once();
}

TEST_F(RedisInbox, TheServerSaysWithTheNextMessageThatTheLastOneIsSettled) {
  Worker worker(direct, {"q"}, kNoRenewal);
  know_the_way(worker);
  const auto sender = direct.broker();
  std::array<std::promise<Token>, 2> came;
  worker.handler = [&, at = std::size_t{0}](broker::Consumer& consumer,
                                            const std::vector<broker::Delivery>& deliveries) mutable {
    consumer.settle(outcome(deliveries.front().token));
    came.at(at++).set_value(deliveries.front().token);
  };
  worker.credit(5);
  await_waits();
  redis({"CONFIG", "RESETSTAT"});
  publish(*sender, {message("1")});
  const Token first = came[0].get_future().get();
  publish(*sender, {message("2")});
  EXPECT_EQ(worker.await_settled(first), SettleStatus::settled);
  EXPECT_EQ(worker.await_settled(came[1].get_future().get()), SettleStatus::settled);
  EXPECT_TRUE(went_with_a_wait(2));
  EXPECT_EQ(info().ready + info().reserved, 0U);
}

TEST_F(RedisInbox, AServerThatCannotKeepAnAnswerToItselfAnswers) {
  redis({"ACL", "SETUSER", "default", "-client|reply"});
  Worker worker(direct, {"q"}, kNoRenewal);
  EXPECT_EQ(settle_at_once(worker), SettleStatus::settled);
  expect_done_once();
}

TEST_F(RedisInbox, AServerThatAnswersAgainstExpectationIsUnderstood) {
  Worker worker(direct, {"q"}, kNoRenewal);
  know_the_way(worker);
  const auto refuse = [&] { redis({"ACL", "SETUSER", "default", "-client|reply"}); };
  EXPECT_EQ(settle_at_once(worker, refuse), SettleStatus::settled);
  expect_done_once();
  worker.handler = {};
  publish(*direct.broker(), {message("2")});
  EXPECT_EQ(contract::id_of(worker.take(1).front()), "2");
}

TEST_F(RedisInbox, AResultThatIsThereAlreadyIsLeftToTheSettleScript) {
  Worker worker(direct);
  know_the_way(worker);
  const std::vector<broker::StoreResult> earlier{
      {"1", std::string(states::success), R"({"status": "SUCCESS", "result": 1})"}};
  ASSERT_TRUE(direct.backend()->store(earlier, contract::patience()).front());
  EXPECT_EQ(settle_at_once(worker), SettleStatus::settled);
  EXPECT_TRUE(went_with_a_wait(1));
  EXPECT_EQ(result("1"), R"({"status": "SUCCESS", "result": 1})");
  expect_done_once();
}

TEST_F(RedisInbox, ASettlementWhoseReplyIsCutIsCarriedOutOnce) {
  Worker worker(gated, {"q"}, kNoRenewal);
  know_the_way(worker);
  EXPECT_EQ(settle_at_once(worker, [&] { gate.truncate(TcpGate::Direction::to_client, 0); }), SettleStatus::settled);
  EXPECT_EQ(gate.cuts(), 1U);
  expect_done_once();
}

TEST_F(RedisInbox, ASettlementThatIsCutOnItsWayIsCarriedOutOnce) {
  Worker worker(gated, {"q"}, kNoRenewal);
  know_the_way(worker);
  EXPECT_EQ(settle_at_once(worker, [&] { gate.truncate(TcpGate::Direction::to_server, 0); }), SettleStatus::settled);
  EXPECT_EQ(gate.cuts(), 1U);
  expect_done_once();
}

TEST_F(RedisInbox, WhatIsInTheInboxOfTheDeadIsSuspect) {
  Worker worker(direct, {"q"}, std::chrono::milliseconds(150));
  worker.credit(5);
  await_waits();
  std::promise<void> stands;
  std::promise<void> go_on;
  std::thread standstill([&] {
    worker.on_loop([&](broker::Consumer&) {
      stands.set_value();
      go_on.get_future().wait();
    });
  });
  stands.get_future().wait();
  publish(*direct.broker(), {message("1")});
  EXPECT_TRUE(until([&] { return redis({"LLEN", key_of("inbox", worker.incarnation()) + ":q"}).integer == 1; }));
  Worker heir(direct, {"q"}, std::chrono::milliseconds(150));
  heir.await_connected();
  EXPECT_EQ(contract::sweep_until_somebody_dies(heir).at(0).messages, 1U);
  const auto delivery = heir.take_one();
  EXPECT_EQ(contract::id_of(delivery), "1");
  EXPECT_TRUE(delivery.suspect) << "it may have run";
  EXPECT_EQ(delivery.strikes, 0);
  go_on.set_value();
  standstill.join();
}

class RedisInboxFailingWrites : public RedisInbox, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Commands, RedisInboxFailingWrites, testing::Values("lpush", "set", "publish"),
                         [](const auto& at) { return at.param; });

TEST_P(RedisInboxFailingWrites, TheMessageIsReservedAndNothingElseHappens) {
  Worker worker(direct, {"q"}, kNoRenewal);
  know_the_way(worker);
  const auto refuse = [&] { redis({"ACL", "SETUSER", "default", "-" + GetParam()}); };
  EXPECT_EQ(settle_at_once(worker, refuse), SettleStatus::failed);
  redis({"ACL", "SETUSER", "default", "+" + GetParam()});
  EXPECT_EQ(info().reserved, 1U);
  EXPECT_EQ(info().ready, 0U);
  EXPECT_EQ(info("links").ready, 0U);
  EXPECT_EQ(worker.settle(outcome(token_)), SettleStatus::settled);
  expect_done_once();
}

TEST_F(RedisInbox, AServerThatMayNotTakeItOutOfTheInboxIsAskedUntilItMay) {
  Worker worker(direct, {"q"}, kNoRenewal);
  know_the_way(worker);
  std::thread allows;
  const auto refuse = [&] {
    redis({"ACL", "SETUSER", "default", "-lrem"});
    allows = std::thread([&] {
      // It has been asked to settle and to reserve.
      EXPECT_TRUE(until([&] { return server.info("commandstats").find("evalsha:calls=2,") != std::string::npos; }));
      redis({"ACL", "SETUSER", "default", "+lrem"});
    });
  };
  EXPECT_EQ(settle_at_once(worker, refuse), SettleStatus::settled);
  allows.join();
  expect_done_once();
}

}  // namespace
}  // namespace lovage::test
