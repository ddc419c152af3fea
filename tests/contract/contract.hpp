// The one suite that every broker and backend passes.
//
// To add an engine: write a Store for it in a file of its own, declare its maker below, add the file to
// CMakeLists.txt and one line to the table in engines_under_test.cpp:
//
//     {"redis", make_redis_store},
//
// broker() and backend() must give a fresh view of the same store each time, as another process would
// have it. A store starts empty; several may exist one after the other.
#pragma once

#include <gmock/gmock.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "backend/backend.hpp"
#include "broker/broker.hpp"
#include "net/loop.hpp"
#include "support/slowness.hpp"

namespace lovage::contract {

class Store {
 public:
  virtual ~Store() = default;
  virtual std::shared_ptr<broker::Broker> broker() = 0;
  virtual std::shared_ptr<backend::Backend> backend() = 0;
  // For what expires: as if so much time had gone by.
  virtual void pass(std::chrono::seconds /*time*/) { throw std::logic_error("this store has no clock to move"); }
};
// Of each store.
inline constexpr std::chrono::seconds kResultExpires = std::chrono::hours(1);

struct Engine {
  std::string name;
  std::unique_ptr<Store> (*make)();
};

std::unique_ptr<Store> make_memory_store();
std::unique_ptr<Store> make_sqlite_store();
std::unique_ptr<Store> make_redis_store();

// Fails the test rather than waiting for ever.
inline constexpr std::chrono::seconds kPatience{20 * test::kSlowness};
inline Deadline patience() {
  return Deadline::after(kPatience);
}

class ContractTest : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override { store = GetParam().make(); }
  std::unique_ptr<Store> store;
};
// For the suites' own instantiations.
std::vector<Engine> engines();
std::string engine_name(const testing::TestParamInfo<Engine>& info);

wire::QueueDeclaration queue_named(const std::string& name);
wire::TaskMessage message(const std::string& id, const std::string& queue = "q", int priority = 0);
std::string envelope_of(const broker::Delivery& delivery);
std::string id_of(const broker::Delivery& delivery);
std::vector<std::string> ids_of(const std::vector<broker::Delivery>& deliveries);
void publish(broker::Broker& broker, const std::vector<wire::TaskMessage>& messages);

// A worker's consumer on a loop of its own, with calls that wait for the events they cause.
class Worker final : public broker::ConsumerEvents {
 public:
  explicit Worker(Store& store, std::vector<std::string> queues = {"q"},
                  std::chrono::milliseconds lease = std::chrono::seconds(15));
  ~Worker() override;  // like kill -9: nothing is given back

  void credit(std::size_t messages, std::size_t bytes = 1u << 20);
  // The next deliveries, once there are as many.
  std::vector<broker::Delivery> take(std::size_t count);
  // The next one, credit given for it.
  broker::Delivery take_one();
  // Settles and waits for the answer.
  broker::SettleStatus settle(broker::Settlement settlement);
  broker::SettleStatus settle(Token token, broker::Disposal disposal = broker::Disposal::acknowledge);
  broker::SettleStatus await_settled(Token token);
  broker::SettleStatus record_start(Token token);
  void store_state(Token token, broker::StoreResult result);
  // Stops reserving; what had come and was not taken by the test.
  std::vector<broker::Delivery> stop_reserving();
  void close();
  void await_connected();
  void await_lost();
  // On the loop thread, and waits for it.
  void on_loop(const std::function<void(broker::Consumer&)>& function);
  broker::Lease& lease() { return *pair_.lease; }
  const IncarnationId& incarnation() { return pair_.consumer->incarnation(); }
  // Called on the loop thread for each batch instead of queueing it for take().
  std::function<void(broker::Consumer&, std::vector<broker::Delivery>)> handler;

 private:
  void on_deliveries(std::vector<broker::Delivery> deliveries) override;
  void on_settled(Token token, broker::SettleStatus status) override;
  void on_start_recorded(Token token, broker::SettleStatus status) override;
  void on_connected() override;
  void on_disconnected(const Failure& why, std::chrono::milliseconds retry_in) override;
  void on_lost() override;
  template <class Condition>
  void await(std::unique_lock<std::mutex>& lock, const char* what, const Condition& condition);
  template <class Change>
  void note(const Change& change);

  std::shared_ptr<broker::Broker> broker_;
  net::Loop loop_;
  broker::ConsumerPair pair_;
  std::mutex mutex_;  // guards what follows, up to the thread
  std::condition_variable changed_;
  std::vector<broker::Delivery> deliveries_;
  std::vector<std::pair<Token, broker::SettleStatus>> settled_;
  std::vector<std::pair<Token, broker::SettleStatus>> started_;
  bool connected_ = false;
  bool lost_ = false;
  std::string failure_;
  std::thread thread_;
};

// Lets `sweeper` tick until it has declared somebody dead; what it said.
std::vector<broker::Lease::Swept> sweep_until_somebody_dies(Worker& sweeper);

}  // namespace lovage::contract
