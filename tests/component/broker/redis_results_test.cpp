// Whether results can be stored in the settling step: found out at the worker's start, with the rights of its user.
#include <gmock/gmock.h>

#include <future>

#include "base/logging.hpp"
#include "component/broker/redis_rig.hpp"
#include "worker/startup.hpp"

namespace lovage::test {
namespace {

using contract::patience;

class RedisResults : public RedisRig {
 protected:
  // A user of its own for the broker, with all rights but those that `but` takes away.
  std::string url_of_user(std::initializer_list<std::string_view> but, int db = kBrokerDb) {
    std::vector<std::string_view> words{"ACL", "SETUSER", "worker", "reset", "on", ">secret", "~*", "&*", "+@all"};
    words.insert(words.end(), but.begin(), but.end());
    const auto admin = client::RedisSync::connect(client::redis_options_from_url(server.url()).value(), patience());
    const auto made = admin.value()->command(words, patience());
    if (!made) throw std::runtime_error(made.error().message);
    std::string url = server.url(db);
    return url.insert(url.find("127.0.0.1"), "worker:secret@");
  }
  std::shared_ptr<broker::Broker> broker_at(const std::string& url, int result_db) {
    broker::redis::RedisBrokerOptions options;
    options.redis = client::redis_options_from_url(url).value();
    options.results = broker::redis::ResultStore{result_db, "", std::chrono::hours(1)};
    return std::make_shared<broker::redis::RedisBroker>(std::move(options));
  }
  // How a worker with this broker and the rig's own backend starts.
  Result<worker::Startup::Ready> start(broker::Broker& broker) {
    const auto backend = direct.backend();
    std::promise<Result<worker::Startup::Ready>> ready;
    worker::Startup startup({.broker = broker,
                             .backend = backend.get(),
                             .queues = {contract::queue_named("q")},
                             .purge = false,
                             .max_retries = 1,
                             .retry = false,
                             .timeout = contract::kPatience},
                            [&](Result<worker::Startup::Ready> how) { ready.set_value(how); });
    return ready.get_future().get();
  }
};

TEST_F(RedisResults, AnotherDatabaseOfTheServerIsReachedAndNothingIsLeftThere) {
  const auto broker = broker_at(server.url(kBrokerDb), kResultDb);
  ASSERT_TRUE(broker->probe_results(patience()));
  const auto ready = start(*broker);
  ASSERT_TRUE(ready);
  EXPECT_TRUE(ready->one_engine);
  EXPECT_TRUE(until([&] { return server.command({"DBSIZE"}, kResultDb).integer == 0; })) << "gone within seconds";
}

TEST_F(RedisResults, WithoutTheRightToSelectResultsAreStoredBeforeTheAcknowledgement) {
  // The broker's own connections select its database, so that has to be 0.
  const auto broker = broker_at(url_of_user({"-select"}, 0), kResultDb);
  const auto probed = broker->probe_results(patience());
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, Errc::refused) << probed.error().message;
  const auto ready = start(*broker);
  ASSERT_TRUE(ready) << "a reason to warn, none to stop";
  EXPECT_FALSE(ready->one_engine);
  const std::string said = log::recent_lines().back();
  EXPECT_THAT(said, testing::HasSubstr("no script can reach both"));
  EXPECT_THAT(said, testing::HasSubstr("whose callbacks are sent again"));
  EXPECT_THAT(said, testing::Not(testing::HasSubstr("secret")));
}

TEST_F(RedisResults, TheSameDatabaseNeedsNoSelect) {
  const auto broker = broker_at(url_of_user({"-select"}, 0), 0);
  EXPECT_TRUE(broker->probe_results(patience()));
}

TEST_F(RedisResults, TheResultsKeysAndChannelsAreTriedToo) {
  EXPECT_FALSE(
      broker_at(url_of_user({"resetkeys", "~lovage:1:*", "~q*", "~_kombu*"}), kResultDb)->probe_results(patience()));
  EXPECT_FALSE(broker_at(url_of_user({"resetchannels"}), kResultDb)->probe_results(patience()));
  EXPECT_TRUE(broker_at(url_of_user({}), kResultDb)->probe_results(patience()));
}

// Found out at the start, and not when a settlement needs them.
TEST_F(RedisResults, EveryCommandOfASettlementIsTried) {
  for (const std::string command :
       {"exists", "type", "mget", "set", "publish", "del", "zcard", "zrange", "zadd", "zrem", "get", "incrby", "decrby",
        "expire", "pttl", "persist", "pexpire", "unlink"}) {
    const auto probed = broker_at(url_of_user({"-" + command}), kResultDb)->probe_results(patience());
    ASSERT_FALSE(probed) << command;
    EXPECT_EQ(probed.error().code, Errc::refused) << command << ": " << probed.error().message;
  }
  EXPECT_TRUE(until([&] { return server.command({"DBSIZE"}, kResultDb).integer == 0; })) << "nothing is left";
}

TEST_F(RedisResults, AFullMemoryIsNoReason) {
  const auto broker = broker_at(server.url(kBrokerDb), kResultDb);
  server.command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_TRUE(broker->probe_results(patience()));
}

}  // namespace
}  // namespace lovage::test
