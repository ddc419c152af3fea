// What a wait brings is reserved by the server right behind the wait. A worker whose loop stands still shows what the
// server does by itself.
#include <future>
#include <thread>

#include "component/broker/redis_rig.hpp"

namespace lovage::test {
namespace {

using contract::message;
using contract::publish;
using contract::Worker;
using testing::ElementsAre;

// Keeps a worker's loop from going on until release().
class Standstill {
 public:
  explicit Standstill(Worker& worker)
      : thread_([&worker, this] {
          worker.on_loop([this](broker::Consumer&) {
            stands_.set_value();
            go_on_.get_future().wait();
          });
        }) {
    stands_.get_future().wait();
  }
  ~Standstill() { release(); }
  Standstill(const Standstill&) = delete;
  Standstill& operator=(const Standstill&) = delete;
  void release() {
    if (!thread_.joinable()) return;
    go_on_.set_value();
    thread_.join();
  }

 private:
  std::promise<void> stands_;
  std::promise<void> go_on_;
  std::thread thread_;
};

class RedisWaits : public RedisRig {
 protected:
  bool waits(int lists) {
    const std::string blocked = "blocked_clients:" + std::to_string(lists) + "\r";
    return until([&] { return server.info("clients").find(blocked) != std::string::npos; });
  }
  std::int64_t reserved_by(Worker& worker) { return redis({"HLEN", key_of("reserved", worker.incarnation())}).integer; }
  std::int64_t in_inbox_of(Worker& worker) {
    return redis({"LLEN", key_of("inbox", worker.incarnation()) + ":q"}).integer;
  }
};

TEST_F(RedisWaits, ReserveWhatTheyBring) {
  Worker worker(direct);
  worker.credit(5);
  ASSERT_TRUE(waits(4));
  Standstill standstill(worker);
  publish(*direct.broker(), {message("1")});
  EXPECT_TRUE(until([&] { return reserved_by(worker) == 1; }));
  standstill.release();
  const auto delivery = worker.take(1).front();
  EXPECT_EQ(contract::id_of(delivery), "1");
  EXPECT_EQ(delivery.queue, "q");
  EXPECT_EQ(worker.settle(delivery.token), broker::SettleStatus::settled);
  EXPECT_EQ(info().ready + info().reserved, 0U);
}

TEST_F(RedisWaits, LeaveWhatBearsAMarkToTheReserveScript) {
  publish(*direct.broker(), {message("1")});
  Worker first(direct);
  broker::Settlement back;
  back.token = first.take_one().token;
  Worker idle(direct);
  idle.credit(5);
  ASSERT_TRUE(waits(4));
  Standstill standstill(idle);
  back.disposal = broker::Disposal::return_head;
  back.marks = broker::Marks{true, 2, std::chrono::milliseconds(0)};
  EXPECT_EQ(first.settle(std::move(back)), broker::SettleStatus::settled);
  EXPECT_TRUE(until([&] { return in_inbox_of(idle) == 1; }));
  EXPECT_EQ(reserved_by(idle), 0);
  standstill.release();
  const auto delivery = idle.take(1).front();
  EXPECT_TRUE(delivery.suspect);
  EXPECT_EQ(delivery.strikes, 2);
}

TEST_F(RedisWaits, OfSeveralListsReserveNoMoreThanIsWanted) {
  Worker worker(direct, {"q", "other"});
  worker.credit(1);
  ASSERT_TRUE(waits(8));
  Standstill standstill(worker);
  publish(*direct.broker(), {message("1", "q"), message("2", "other")});
  ASSERT_TRUE(until([&] { return info("q").ready + info("other").ready == 0; }));
  EXPECT_EQ(reserved_by(worker), 1);
  standstill.release();
  const auto delivery = worker.take(1).front();
  EXPECT_TRUE(until([&] { return info("q").ready + info("other").ready == 1; })) << "the other is for anybody";
  EXPECT_EQ(worker.settle(delivery.token), broker::SettleStatus::settled);
}

TEST_F(RedisWaits, WhatTheyReservedIsAdoptedWhenTheirReplyIsCut) {
  Worker worker(gated);
  worker.credit(5);
  ASSERT_TRUE(waits(4));
  gate.truncate(TcpGate::Direction::to_client, 0);
  publish(*direct.broker(), {message("1")});
  const auto deliveries = worker.take(1);
  EXPECT_EQ(gate.cuts(), 1U) << "the reply never passed";
  EXPECT_THAT(contract::ids_of(deliveries), ElementsAre("1"));
  EXPECT_EQ(worker.settle(deliveries.front().token), broker::SettleStatus::settled);
  EXPECT_EQ(info().ready + info().reserved, 0U);
}

TEST_F(RedisWaits, GetTheirScriptAgainFromAServerThatForgotIt) {
  Worker worker(direct);
  worker.credit(5);
  ASSERT_TRUE(waits(4));
  redis({"SCRIPT", "FLUSH"});
  publish(*direct.broker(), {message("1")});
  EXPECT_THAT(contract::ids_of(worker.take(1)), ElementsAre("1"));
  ASSERT_TRUE(waits(4));
  Standstill standstill(worker);
  publish(*direct.broker(), {message("2")});
  EXPECT_TRUE(until([&] { return reserved_by(worker) == 2; }));
}

}  // namespace
}  // namespace lovage::test
