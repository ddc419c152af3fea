// What Redis brokers share with Celery's own workers beside queues: remote control and kombu's unacked messages.
#include <gmock/gmock.h>

#include "component/broker/redis_rig.hpp"
#include "wire/control_message.hpp"

namespace lovage::test {
namespace {

using contract::patience;

class RedisCelery : public RedisRig {
 protected:
  std::unique_ptr<broker::Broker> broker_with(const std::string& prefix) {
    broker::redis::RedisBrokerOptions options;
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

}  // namespace
}  // namespace lovage::test
