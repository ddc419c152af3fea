#include "contract/contract.hpp"

#include <algorithm>
#include <future>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace lovage::contract {

wire::QueueDeclaration queue_named(const std::string& name) {
  wire::QueueDeclaration queue;
  queue.name = name;
  return queue;
}

wire::TaskMessage message(const std::string& id, const std::string& queue, int priority) {
  wire::TaskMessage message;
  message.task = "tasks.add";
  message.id = id;
  message.root_id = id;
  message.routing_key = queue;
  message.priority = priority;
  message.delivery_tag = "tag-" + id;
  message.body = R"([[1, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])";
  return message;
}

std::string envelope_of(const broker::Delivery& delivery) {
  return delivery.message ? wire::encode_envelope(delivery.message) : delivery.bytes;
}

std::string id_of(const broker::Delivery& delivery) {
  const auto decoded = wire::decode_envelope(envelope_of(delivery));
  if (!decoded) throw std::runtime_error("a delivery cannot be decoded: " + decoded.error().detail);
  return decoded->id;
}

std::vector<std::string> ids_of(const std::vector<broker::Delivery>& deliveries) {
  std::vector<std::string> ids;
  for (const auto& delivery : deliveries) ids.push_back(id_of(delivery));
  return ids;
}

void publish(broker::Broker& broker, const std::vector<wire::TaskMessage>& messages) {
  for (const auto& outcome : broker.publish(messages, patience())) {
    if (!outcome) throw std::runtime_error("publish: " + outcome.error().message);
  }
}

Worker::Worker(Store& store, std::vector<std::string> queues, std::chrono::milliseconds lease)
    : broker_(store.broker()) {
  broker::ConsumerOptions options;
  for (const auto& queue : queues) options.queues.push_back(queue_named(queue));
  options.node_name = "celery@test";
  options.lease = lease;
  thread_ = std::thread([this] { loop_.run(); });
  std::promise<void> started;
  loop_.post([&] {
    pair_ = broker_->make_consumer(loop_, std::move(options));
    pair_.consumer->start(*this);
    started.set_value();
  });
  started.get_future().wait();
}

Worker::~Worker() {
  std::promise<void> gone;
  loop_.post([&] {
    pair_.consumer.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  loop_.stop();
  thread_.join();
}

void Worker::on_loop(const std::function<void(broker::Consumer&)>& function) {
  std::promise<void> called;
  loop_.post([&] {
    function(*pair_.consumer);
    called.set_value();
  });
  called.get_future().wait();
}

template <class Condition>
void Worker::await(std::unique_lock<std::mutex>& lock, const char* what, const Condition& condition) {
  if (changed_.wait_until(lock, patience().when(), condition)) return;
  throw std::runtime_error(std::string("waited in vain for ") + what + (failure_.empty() ? "" : ": " + failure_));
}

template <class Change>
void Worker::note(const Change& change) {
  {
    const std::lock_guard lock(mutex_);
    change();
  }
  changed_.notify_all();
}

void Worker::credit(std::size_t messages, std::size_t bytes) {
  on_loop([&](broker::Consumer& consumer) { consumer.set_credit(messages, bytes); });
}

std::vector<broker::Delivery> Worker::take(std::size_t count) {
  std::unique_lock lock(mutex_);
  await(lock, "deliveries", [&] { return deliveries_.size() >= count; });
  const auto end = deliveries_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<broker::Delivery> taken(std::make_move_iterator(deliveries_.begin()), std::make_move_iterator(end));
  deliveries_.erase(deliveries_.begin(), end);
  return taken;
}

broker::Delivery Worker::take_one() {
  credit(1);
  return take(1).front();
}

namespace {

using Answers = std::vector<std::pair<Token, broker::SettleStatus>>;

Answers::iterator answer_for(Answers& answers, Token token) {
  return std::find_if(answers.begin(), answers.end(), [&](const auto& answer) { return answer.first == token; });
}

}  // namespace

broker::SettleStatus Worker::settle(broker::Settlement settlement) {
  const Token token = settlement.token;
  on_loop([&](broker::Consumer& consumer) { consumer.settle(std::move(settlement)); });
  return await_settled(token);
}

broker::SettleStatus Worker::await_settled(Token token) {
  std::unique_lock lock(mutex_);
  await(lock, "on_settled", [&] { return answer_for(settled_, token) != settled_.end(); });
  const auto answer = answer_for(settled_, token);
  const auto status = answer->second;
  settled_.erase(answer);
  return status;
}

broker::SettleStatus Worker::settle(Token token, broker::Disposal disposal) {
  broker::Settlement settlement;
  settlement.token = token;
  settlement.disposal = disposal;
  return settle(std::move(settlement));
}

broker::SettleStatus Worker::record_start(Token token) {
  on_loop([&](broker::Consumer& consumer) { consumer.record_start(token); });
  std::unique_lock lock(mutex_);
  await(lock, "on_start_recorded", [&] { return answer_for(started_, token) != started_.end(); });
  const auto answer = answer_for(started_, token);
  const auto status = answer->second;
  started_.erase(answer);
  return status;
}

void Worker::store_state(Token token, broker::StoreResult result) {
  on_loop([&](broker::Consumer& consumer) { consumer.store_state(token, std::move(result)); });
}

std::vector<broker::Delivery> Worker::stop_reserving() {
  std::promise<void> stopped;
  on_loop([&](broker::Consumer& consumer) { consumer.stop_reserving([&] { stopped.set_value(); }); });
  if (stopped.get_future().wait_for(kPatience) != std::future_status::ready)
    throw std::runtime_error("no end of reserving");
  const std::lock_guard lock(mutex_);
  return std::exchange(deliveries_, {});
}

void Worker::close() {
  std::promise<void> closed;
  on_loop([&](broker::Consumer& consumer) { consumer.close([&] { closed.set_value(); }); });
  if (closed.get_future().wait_for(kPatience) != std::future_status::ready)
    throw std::runtime_error("close() did not end");
}

void Worker::await_connected() {
  std::unique_lock lock(mutex_);
  await(lock, "on_connected", [&] { return connected_; });
}

void Worker::await_lost() {
  std::unique_lock lock(mutex_);
  await(lock, "on_lost", [&] { return lost_; });
}

void Worker::on_deliveries(std::vector<broker::Delivery> deliveries) {
  if (handler) return handler(*pair_.consumer, std::move(deliveries));
  note([&] { std::move(deliveries.begin(), deliveries.end(), std::back_inserter(deliveries_)); });
}
void Worker::on_settled(Token token, broker::SettleStatus status) {
  note([&] { settled_.emplace_back(token, status); });
}
void Worker::on_start_recorded(Token token, broker::SettleStatus status) {
  note([&] { started_.emplace_back(token, status); });
}
void Worker::on_connected() {
  note([&] { connected_ = true; });
}
void Worker::on_disconnected(const Failure& why, std::chrono::milliseconds) {
  note([&] { failure_ = why.message; });
}
void Worker::on_lost() {
  note([&] { lost_ = true; });
}

std::vector<broker::Lease::Swept> sweep_until_somebody_dies(Worker& sweeper) {
  const Deadline deadline = patience();
  while (!deadline.passed()) {
    // The sweeper itself lives.
    if (auto renewed = sweeper.lease().renew(deadline); !renewed) throw std::runtime_error(renewed.error().message);
    auto swept = sweeper.lease().sweep(deadline);
    if (!swept) throw std::runtime_error(swept.error().message);
    if (!swept->empty()) return *swept;
  }
  throw std::runtime_error("nobody was swept");
}

std::string engine_name(const testing::TestParamInfo<Engine>& info) {
  return info.param.name;
}

}  // namespace lovage::contract
