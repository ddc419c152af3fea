// What a wait brings is run at once where nothing speaks against it, and reserved meanwhile. A worker whose loop stands
// still shows what the server does by itself.
#include <fmt/format.h>

#include <fstream>
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
  // Connections on which something has arrived that the server has not read.
  int unread_by_server() {
    std::ifstream sockets("/proc/net/tcp");
    const std::string of_server = fmt::format("0100007F:{:04X} ", server.port());
    int unread = 0;
    for (std::string line; std::getline(sockets, line);) {
      const auto local = line.find(of_server);
      const auto received = line.find(':', line.find(" 01 "));  // established; " 01 tx_queue:rx_queue "
      if (local == std::string::npos || local > 10 || received == std::string::npos) continue;
      if (line.compare(received + 1, 8, "00000000") != 0) ++unread;
    }
    return unread;
  }
  std::int64_t reserved_by(Worker& worker) { return redis({"HLEN", key_of("reserved", worker.incarnation())}).integer; }
  std::int64_t in_inbox_of(Worker& worker) {
    return redis({"LLEN", key_of("inbox", worker.incarnation()) + ":q"}).integer;
  }
};

TEST_F(RedisWaits, WhatTheyBringIsReservedOnceTheWorkerHasHeardOfIt) {
  Worker worker(direct);
  worker.credit(5);
  ASSERT_TRUE(waits(4));
  Standstill standstill(worker);
  publish(*direct.broker(), {message("1")});
  EXPECT_TRUE(until([&] { return in_inbox_of(worker) == 1; }));
  EXPECT_EQ(reserved_by(worker), 0);
  standstill.release();
  const auto delivery = worker.take(1).front();
  EXPECT_EQ(contract::id_of(delivery), "1");
  EXPECT_EQ(delivery.queue, "q");
  EXPECT_TRUE(until([&] { return reserved_by(worker) == 1; }));
  EXPECT_EQ(in_inbox_of(worker), 0);
  EXPECT_EQ(worker.settle(delivery.token), broker::SettleStatus::settled);
  EXPECT_EQ(info().ready + info().reserved, 0U);
}

TEST_F(RedisWaits, WhatALookIntoTheInboxHasFoundComesOnceThoughItsReplyOvertakesTheWaits) {
  Worker worker(direct);
  worker.credit(5);
  const auto sender = direct.broker();
  publish(*sender, {message("0")});  // from now on it is connected, and knows where to
  worker.settle(worker.take(1).front().token);
  ASSERT_TRUE(waits(4));
  // The server is to carry out both in one turn, the push first; its replies leave in the reverse order.
  server.pause();
  std::thread pushes([&] { publish(*sender, {message("1")}); });
  EXPECT_TRUE(until([&] { return unread_by_server() == 1; }));
  worker.on_loop([](broker::Consumer& consumer) {
    consumer.set_credit(0, 0);
    consumer.set_credit(5, 1U << 20);  // a new wish, that looks everywhere
  });
  EXPECT_TRUE(until([&] { return unread_by_server() == 2; }));
  Standstill standstill(worker);
  server.resume();
  pushes.join();
  EXPECT_TRUE(until([&] { return reserved_by(worker) == 1; }));
  standstill.release();
  EXPECT_EQ(worker.settle(worker.take(1).front().token), broker::SettleStatus::settled);
  EXPECT_THAT(worker.stop_reserving(), testing::IsEmpty());
}

TEST_F(RedisWaits, WhatHasLeftTheInboxMeanwhileIsFenced) {
  Worker worker(direct);
  worker.credit(5);
  ASSERT_TRUE(waits(4));
  Standstill standstill(worker);
  publish(*direct.broker(), {message("1")});
  ASSERT_TRUE(until([&] { return in_inbox_of(worker) == 1; }));
  redis({"DEL", key_of("inbox", worker.incarnation()) + ":q"});  // as a sweeper would that gives it back
  standstill.release();
  EXPECT_EQ(worker.settle(worker.take(1).front().token), broker::SettleStatus::fenced);
}

TEST_F(RedisWaits, TheReservationIsAskedForAgainWhenItsConnectionIsCut) {
  Worker worker(gated);
  worker.credit(5);
  ASSERT_TRUE(waits(4));
  gate.truncate(TcpGate::Direction::to_server, 0);
  publish(*direct.broker(), {message("1")});
  const auto delivery = worker.take(1).front();
  EXPECT_TRUE(until([&] { return reserved_by(worker) == 1; }));
  EXPECT_EQ(gate.cuts(), 1U) << "the script never passed";
  EXPECT_EQ(worker.settle(delivery.token), broker::SettleStatus::settled);
  EXPECT_EQ(info().ready + info().reserved, 0U);
  EXPECT_THAT(worker.stop_reserving(), testing::IsEmpty()) << "it came once";
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

TEST_F(RedisWaits, OfWhatSeveralListsBringNoMoreIsTakenThanIsWanted) {
  Worker worker(direct, {"q", "other"});
  worker.credit(1);
  ASSERT_TRUE(waits(8));
  Standstill standstill(worker);
  publish(*direct.broker(), {message("1", "q"), message("2", "other")});
  ASSERT_TRUE(until([&] { return info("q").ready + info("other").ready == 0; }));
  standstill.release();
  const auto delivery = worker.take(1).front();
  EXPECT_TRUE(until([&] { return reserved_by(worker) == 1; }));
  EXPECT_TRUE(until([&] { return info("q").ready + info("other").ready == 1; })) << "the other is for anybody";
  EXPECT_EQ(worker.settle(delivery.token), broker::SettleStatus::settled);
}

TEST_F(RedisWaits, WhatTheyBroughtComesAllTheSameWhenTheirReplyIsCut) {
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

TEST_F(RedisWaits, AServerThatForgotTheScriptGetsItAgain) {
  Worker worker(direct);
  worker.credit(5);
  ASSERT_TRUE(waits(4));
  redis({"SCRIPT", "FLUSH"});
  publish(*direct.broker(), {message("1")});
  const auto delivery = worker.take(1).front();
  EXPECT_EQ(contract::id_of(delivery), "1");
  EXPECT_EQ(worker.settle(delivery.token), broker::SettleStatus::settled);
}

}  // namespace
}  // namespace lovage::test
