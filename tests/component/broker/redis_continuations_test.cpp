// Continuations: under their token, and where they wait when their worker has died. Never in a queue.
#include "component/broker/redis_rig.hpp"

namespace lovage::test {
namespace {

using namespace std::chrono_literals;
using broker::Delivery;
using broker::Disposal;
using broker::Place;
using broker::Settlement;
using broker::SettleStatus;
using broker::Sighting;
using contract::message;
using contract::patience;
using contract::publish;
using contract::Worker;
using testing::SizeIs;

constexpr auto kShort = 300ms;

class RedisContinuations : public RedisRig {
 protected:
  static Settlement carry_on(Token token, std::string text) {
    Settlement settlement;
    settlement.token = token;
    settlement.disposal = Disposal::carry_on;
    settlement.continuation = std::move(text);
    return settlement;
  }
  // A message of q that has become a continuation.
  Token carried_on(Worker& worker, const std::string& text = "join g") {
    publish(*direct.broker(), {message("1")});
    const Token token = worker.take_one().token;
    EXPECT_EQ(worker.settle(carry_on(token, text)), SettleStatus::carries_on);
    return token;
  }
  // Somebody died holding one, and was swept.
  void leave_one(const std::string& text = "join g") {
    {
      Worker killed(direct, {"q"}, kShort);
      carried_on(killed, text);
    }
    Worker sweeper(direct, {"nothing"}, kShort);
    sweeper.await_connected();
    contract::sweep_until_somebody_dies(sweeper);
  }
  std::vector<Sighting> survey() {
    std::vector<Sighting> seen;
    const auto visited = direct.broker()->survey([&](Sighting one) { seen.push_back(std::move(one)); }, kPatience);
    if (!visited) throw std::runtime_error(visited.error().message);
    return seen;
  }
  void expect_waiting(const std::string& text = "join g") {
    const auto seen = survey();
    ASSERT_THAT(seen, SizeIs(1));
    EXPECT_EQ(seen[0].place, Place::adoption);
    EXPECT_TRUE(seen[0].is_continuation);
    EXPECT_EQ(seen[0].queue, "q");
    EXPECT_EQ(seen[0].bytes, text);
    const auto q = info();
    EXPECT_EQ(q.ready + q.reserved + q.scheduled, 0U);
  }
  void expect_adopted(Worker& worker, const Delivery& delivery, const std::string& text = "join g") {
    EXPECT_TRUE(delivery.is_continuation);
    EXPECT_EQ(delivery.bytes, text);
    EXPECT_EQ(delivery.queue, "q");
    EXPECT_FALSE(delivery.suspect);
    EXPECT_EQ(redis({"LLEN", "lovage:1:continuations"}).integer, 0);
    EXPECT_EQ(info().reserved, 1U);
    EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
    EXPECT_THAT(survey(), SizeIs(0));
  }
};

TEST_F(RedisContinuations, OneThatWasAdoptedBeforeTheReplyWasCutIsDeliveredOnce) {
  Worker heir(gated, {"q"}, 1'500ms);
  publish(*direct.broker(), {message("1")});
  // Its answers come in order: what it asked at its start has been answered, and the next tick is a while off.
  EXPECT_EQ(heir.settle(heir.take_one().token), SettleStatus::settled);
  gate.hold(TcpGate::Direction::to_client);
  redis({"RPUSH", "lovage:1:continuations", "q\njoin g"});
  ASSERT_TRUE(until([&] { return info().reserved == 1; })) << "adopted at its next tick";
  gate.cut();
  gate.pass();
  expect_adopted(heir, heir.take(1).front());
}

TEST_F(RedisContinuations, MoreThanOneCallTakesComeOneAfterTheOther) {
  constexpr std::size_t kMany = 40;
  {
    Worker killed(direct, {"q"}, kShort);
    for (std::size_t i = 0; i < kMany; ++i) carried_on(killed, std::to_string(i));
  }
  Worker sweeper(direct, {"nothing"}, kShort);
  sweeper.await_connected();
  contract::sweep_until_somebody_dies(sweeper);
  Worker heir(direct);
  for (std::size_t i = 0; i < kMany; ++i) {
    const auto delivery = heir.take(1).front();
    EXPECT_EQ(delivery.bytes, std::to_string(i)) << "in the order in which they were reserved";
    EXPECT_EQ(heir.settle(delivery.token), SettleStatus::settled);
  }
  EXPECT_THAT(survey(), SizeIs(0));
}

TEST_F(RedisContinuations, OneThatCannotBeAdoptedWaits) {
  Worker heir(direct, {"q"}, kShort);
  heir.await_connected();
  for (const std::string command : {"hset", "lrem"}) {
    redis({"ACL", "SETUSER", "default", "-" + command});
    redis({"CONFIG", "RESETSTAT"});
    redis({"RPUSH", "lovage:1:continuations", "q\njoin g"});
    EXPECT_TRUE(until([&] { return server.info("errorstats").find("errorstat_") != std::string::npos; }));
    expect_waiting();
    redis({"ACL", "SETUSER", "default", "+" + command});
    expect_adopted(heir, heir.take(1).front());
  }
}

TEST_F(RedisContinuations, AFullMemoryStopsNoAdoption) {
  Worker heir(direct, {"q"}, kShort);
  heir.await_connected();
  redis({"ACL", "SETUSER", "default", "-lrem"});
  redis({"RPUSH", "lovage:1:continuations", "q\njoin g"});
  redis({"CONFIG", "SET", "maxmemory", "1"});
  redis({"ACL", "SETUSER", "default", "+lrem"});
  expect_adopted(heir, heir.take(1).front());
  redis({"CONFIG", "SET", "maxmemory", "0"});
}

TEST_F(RedisContinuations, OneThatCannotBeGivenBackStaysWithTheDead) {
  IncarnationId dead;
  {
    Worker killed(direct, {"q"}, kShort);
    dead = killed.incarnation();
    carried_on(killed);
  }
  Worker sweeper(direct, {"nothing"}, kShort);
  sweeper.await_connected();
  redis({"SET", "lovage:1:continuations", "of another type"});
  EXPECT_TRUE(until([&] {
    static_cast<void>(sweeper.lease().renew(patience()));
    return !sweeper.lease().sweep(patience());
  }));
  EXPECT_EQ(redis({"HLEN", key_of("reserved", dead)}).integer, 1);
  redis({"DEL", "lovage:1:continuations"});
  contract::sweep_until_somebody_dies(sweeper);
  expect_waiting();
}

}  // namespace
}  // namespace lovage::test
