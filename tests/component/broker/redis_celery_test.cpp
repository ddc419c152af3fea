// What Redis brokers share with Celery's own workers beside queues: remote control and kombu's unacked messages.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/logging.hpp"
#include "broker/redis/script.hpp"
#include "broker/redis/unacked.hpp"
#include "component/broker/redis_rig.hpp"
#include "net/loop.hpp"
#include "wire/control_message.hpp"

namespace lovage::test {
namespace {

using contract::patience;

class RedisCelery : public RedisRig {
 protected:
  std::unique_ptr<broker::Broker> broker_with(const std::string& prefix,
                                              broker::redis::RedisBrokerOptions options = {}) {
    options.redis = client::redis_options_from_url(server.url(kBrokerDb)).value();
    options.redis.global_keyprefix = prefix;
    return std::make_unique<broker::redis::RedisBroker>(std::move(options));
  }
  std::unique_ptr<client::RedisSync> connection() {
    return std::move(
        client::RedisSync::connect(client::redis_options_from_url(server.url(kBrokerDb)).value(), patience()).value());
  }
};

TEST_F(RedisCelery, ABroadcastIsHeardOnKombusChannel) {
  auto listener = connection();
  const std::string channel = "pfx:/1.celery.pidbox";
  ASSERT_TRUE(listener->command({"SUBSCRIBE", channel}, patience()));
  wire::ControlCommand command;
  command.method = "revoke";
  command.arguments = Object{{"task_id", "x"}};
  const auto message = wire::to_broadcast(command).value();
  ASSERT_TRUE(broker_with("pfx:")->broadcast(message, patience()));
  const auto heard = listener->read(patience());
  ASSERT_TRUE(heard && *heard);
  ASSERT_EQ((*heard)->items.size(), 3U);
  EXPECT_EQ((*heard)->items[1].text, channel);
  EXPECT_EQ((*heard)->items[2].text, wire::encode_envelope(message).value());
}

TEST_F(RedisCelery, ABroadcastThatNobodyHearsIsNoFailure) {
  EXPECT_TRUE(broker_with("")->broadcast(wire::to_broadcast({}).value(), patience()));
}

// --- Priority steps and separator ----------------------------------------------------------------------

class RedisLayout : public RedisCelery {
 protected:
  RedisLayout() {
    broker::redis::RedisBrokerOptions options;
    options.layout = {{0, 5, 7}, "|"};
    broker = broker_with("p:", std::move(options));
  }
  std::unique_ptr<broker::Broker> broker;
};

class LayoutStore final : public contract::Store {
 public:
  explicit LayoutStore(std::string url) : url_(std::move(url)) {}
  std::shared_ptr<broker::Broker> broker() override {
    broker::redis::RedisBrokerOptions options;
    options.redis = client::redis_options_from_url(url_).value();
    options.redis.global_keyprefix = "p:";
    options.layout = {{0, 5, 7}, "|"};
    return std::make_shared<broker::redis::RedisBroker>(std::move(options));
  }
  std::shared_ptr<backend::Backend> backend() override { return nullptr; }

 private:
  const std::string url_;
};

TEST_F(RedisLayout, EverybodyUsesTheListsThatTheOptionsName) {
  contract::publish(*broker, {contract::message("9", "q", 9), contract::message("6", "q", 6),
                              contract::message("4", "q", 4), contract::message("0", "q", 0)});
  EXPECT_EQ(redis({"LLEN", "p:q"}).integer, 2);
  EXPECT_EQ(redis({"LLEN", "p:q|5"}).integer, 1);
  EXPECT_EQ(redis({"LLEN", "p:q|7"}).integer, 1);
  EXPECT_EQ(redis({"SMEMBERS", "p:_kombu.binding.q"}).items.at(0).text, "q||q");

  LayoutStore store(server.url(kBrokerDb));
  const auto count = [&] { return broker->queues(std::vector<std::string>{"q"}, patience()).value().front(); };
  {
    contract::Worker worker(store);
    worker.credit(1);
    EXPECT_EQ(contract::ids_of(worker.take(1)), std::vector<std::string>{"4"});
    EXPECT_EQ(count().reserved, 1U);
    worker.credit(3);
    EXPECT_EQ(contract::ids_of(worker.take(3)), (std::vector<std::string>{"0", "6", "9"}));
    worker.close();
  }
  EXPECT_EQ(count().ready, 4U);
  EXPECT_EQ(redis({"LLEN", "p:q|7"}).integer, 1);
  const auto known = broker->queues({}, patience()).value();
  ASSERT_EQ(known.size(), 1U);
  EXPECT_EQ(known.front().name, "q");
  EXPECT_EQ(broker->purge("q", patience()).value(), 4U);
  EXPECT_EQ(count().ready, 0U);
}

// --- What dead Python workers held ---------------------------------------------------------------------

class RedisUnacked : public RedisCelery {
 protected:
  RedisUnacked() { options_.visibility_timeout = std::chrono::seconds(60); }

  static std::string envelope(const std::string& id, const std::string& extra = "") {
    return R"({"body": "W10=", "headers": {"id": ")" + id +
           R"(", "big": 123456789012345678901234567890}, "properties": )" +
           R"({"priority": 3, "delivery_info": {"exchange": "", "routing_key": "q"})" + extra +
           R"(, "delivery_tag": ")" + id + R"("}})";
  }
  // As kombu does when it delivers a message.
  void hold(const std::string& tag, const std::string& record, std::chrono::seconds ago) {
    const auto now = std::chrono::duration<double>(Clock::system().now().time_since_epoch()).count();
    const std::string score = std::to_string(now - static_cast<double>(ago.count()));
    redis({"HSET", prefix_ + options_.key, tag, record});
    redis({"ZADD", prefix_ + options_.index_key, score, tag});
  }
  std::size_t sweep() {
    if (!sweeper_) sweeper_.emplace(options_, broker::redis::Keys(prefix_));
    if (!connection_) connection_ = connection();
    const auto count = sweeper_->sweep(*connection_, patience());
    if (!count) throw std::runtime_error(count.error().message);
    return *count;
  }
  std::int64_t held() { return redis({"HLEN", prefix_ + options_.key}).integer; }
  std::vector<std::string> list(const std::string& name) {
    std::vector<std::string> texts;
    for (const auto& item : redis({"LRANGE", prefix_ + name, "0", "-1"}).items) texts.push_back(item.text);
    return texts;
  }

  std::string prefix_;
  broker::redis::UnackedOptions options_;
  std::optional<broker::redis::UnackedSweep> sweeper_;
  std::unique_ptr<client::RedisSync> connection_;
};

std::string record(const std::string& message, const std::string& exchange = "", const std::string& key = "q") {
  return "[" + message + R"(, ")" + exchange + R"(", ")" + key + "\"]";
}

TEST_F(RedisUnacked, WhatIsOverdueGoesToTheHeadMarkedAsRedelivered) {
  redis({"LPUSH",
         "q\x06\x16"
         "3",
         "waiting"});
  hold("old", record(envelope("old")), std::chrono::seconds(90));
  hold("older", record(envelope("older")), std::chrono::seconds(120));
  hold("live", record(envelope("live")), std::chrono::seconds(30));
  EXPECT_EQ(sweep(), 2U);
  const auto waiting = list(
      "q\x06\x16"
      "3");
  ASSERT_EQ(waiting.size(), 3U);
  EXPECT_EQ(waiting[0], "waiting");
  EXPECT_EQ(
      waiting[1],
      R"({"body": "W10=", "headers": {"id": "old", "big": 123456789012345678901234567890, "redelivered": true}, )"
      R"("properties": {"priority": 3, "delivery_info": {"exchange": "", "routing_key": "q", "redelivered": true}, )"
      R"("delivery_tag": "old"}})");
  EXPECT_NE(waiting[2].find("\"older\""), std::string::npos) << "the oldest is taken first";
  EXPECT_EQ(held(), 1) << "within its timeout";
  EXPECT_EQ(redis({"ZCARD", "unacked_index"}).integer, 1);
  EXPECT_EQ(redis({"EXISTS", "unacked_mutex"}).integer, 0);
  EXPECT_EQ(sweep(), 0U);
}

TEST_F(RedisUnacked, KeysAreThoseOfTheOptions) {
  prefix_ = "p:";
  options_.key = "u";
  options_.index_key = "ui";
  options_.mutex_key = "um";
  hold("1", record(envelope("1")), std::chrono::seconds(90));
  redis({"SET", "p:um", "a Python worker's"});
  EXPECT_EQ(sweep(), 0U) << "somebody else does it";
  redis({"DEL", "p:um"});
  EXPECT_EQ(sweep(), 1U);
  EXPECT_EQ(list("q\x06\x16"
                 "3")
                .size(),
            1U);
}

TEST_F(RedisUnacked, ANamedExchangeLeadsToItsQueuesAndAnUnboundOneLosesNothing) {
  const auto broker = direct.broker();
  ASSERT_TRUE(broker->declare(
      std::vector<wire::QueueDeclaration>{{"deep", "animals", wire::ExchangeType::topic, "cat.*"}}, patience()));
  hold("1", record(envelope("1"), "animals", "cat.small"), std::chrono::seconds(90));
  hold("2", record(envelope("2"), "nowhere", "x"), std::chrono::seconds(90));
  EXPECT_EQ(sweep(), 1U);
  EXPECT_EQ(list("deep\x06\x16"
                 "3")
                .size(),
            1U);
  EXPECT_EQ(held(), 1);
  EXPECT_NE(log::recent_lines().back().find("no queue is bound to exchange 'nowhere'"), std::string::npos);
}

TEST_F(RedisUnacked, WhatCannotBeReadStaysIsSaidOnceAndHoldsUpNobody) {
  const std::vector<std::string> malformed{
      "", "{", "[]", R"([{}, "", ""])", R"([1, "", "q"])", R"([{}, 1, "q"])", "\xff\xfe", R"([{}])", R"({"a": 1})"};
  for (std::size_t i = 0; i < malformed.size(); ++i) {
    hold("bad-" + std::to_string(i), malformed[i], std::chrono::seconds(100));
  }
  for (int i = 0; i < 150; ++i) hold("worse-" + std::to_string(i), "[", std::chrono::seconds(70));
  hold("good", record(envelope("good")), std::chrono::seconds(200));
  const auto said = [] {
    const auto lines = log::recent_lines();
    return std::count_if(lines.begin(), lines.end(),
                         [](const auto& line) { return line.find("cannot be put back") != std::string::npos; });
  };
  EXPECT_EQ(sweep(), 1U) << "behind more than a page of them";
  EXPECT_EQ(held(), 159);
  EXPECT_GT(said(), 0);
  log::warning("from here on");
  EXPECT_EQ(sweep(), 0U);
  EXPECT_NE(log::recent_lines().back().find("from here on"), std::string::npos) << "said once";
}

TEST_F(RedisUnacked, AnEntryWithoutItsMessageIsDropped) {
  redis({"ZADD", "unacked_index", "1", "acknowledged"});
  EXPECT_EQ(sweep(), 0U);
  EXPECT_EQ(redis({"ZCARD", "unacked_index"}).integer, 0);
}

TEST_F(RedisUnacked, WhatIsAcknowledgedOrDeliveredAgainMeanwhileIsLeftAlone) {
  const std::string old = record(envelope("1"));
  hold("1", old, std::chrono::seconds(90));
  const std::string score = redis({"ZSCORE", "unacked_index", "1"}).text;
  auto to = connection();
  const auto put_back = [&](const std::string& seen_score, const std::string& seen) {
    return broker::redis::run(*to,
                              {&broker::redis::put_back_unacked_script(),
                               {"unacked", "unacked_index", "q"},
                               {"1", seen_score, seen, "m"}},
                              patience())
        .value()
        .integer;
  };
  EXPECT_EQ(put_back("1", old), 0) << "delivered again";
  EXPECT_EQ(put_back(score, "another"), 0);
  redis({"SET", "q", "no list"});
  const auto refused = broker::redis::run(
      *to, {&broker::redis::put_back_unacked_script(), {"unacked", "unacked_index", "q"}, {"1", score, old, "m"}},
      patience());
  EXPECT_FALSE(refused);
  EXPECT_EQ(held(), 1);
  redis({"DEL", "q"});
  EXPECT_EQ(put_back(score, old), 1);
  EXPECT_EQ(put_back(score, old), 0) << "done already";
  EXPECT_EQ(list("q"), std::vector<std::string>{"m"});
}

TEST_F(RedisUnacked, TheLeaseOfAWorkerLooksOnlyWhereTheTimeoutIsSet) {
  hold("1", record(envelope("1")), std::chrono::seconds(90));
  contract::Worker without(direct, {"other"});
  without.await_connected();
  ASSERT_TRUE(without.lease().renew(patience()));
  ASSERT_TRUE(without.lease().sweep(patience()));
  EXPECT_EQ(redis({"EXISTS", "lovage:1:sweeper"}).integer, 1) << "it had its turn";
  EXPECT_EQ(held(), 1);
  redis({"DEL", "lovage:1:sweeper"});

  broker::redis::RedisBrokerOptions options;
  options.unacked = options_;
  const auto broker = broker_with("", std::move(options));
  net::Loop loop;
  auto pair = broker->make_consumer(loop, {{contract::queue_named("other")}, "w@test"});
  ASSERT_TRUE(pair.lease->sweep(patience()));
  EXPECT_EQ(held(), 0);
  EXPECT_EQ(list("q\x06\x16"
                 "3")
                .size(),
            1U);
}

}  // namespace
}  // namespace lovage::test
