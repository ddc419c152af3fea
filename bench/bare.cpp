#include "bare.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <lovage/states.hpp>

#include "client/redis_sync.hpp"
#include "engines/engines.hpp"
#include "net/loop.hpp"
#include "wire/result_meta.hpp"

namespace lovage::bench {
namespace {

using Seconds = std::chrono::duration<double>;

// A result of a no-op task's size under an id of a task id's length; the message itself is not read.
broker::Settlement settlement_for(const broker::Delivery& delivery) {
  std::string id = std::to_string(delivery.token.get());
  id.insert(0, 36 - id.size(), '0');
  broker::Settlement settlement;
  settlement.token = delivery.token;
  std::string meta = wire::encode_success_meta({.task_id = id,
                                                .result_json = "null",
                                                .children_json = "[]",
                                                .date_done = "2026-01-01T00:00:00.000000+00:00",
                                                .group_id = std::nullopt,
                                                .parent_id = std::nullopt});
  settlement.results.push_back({std::move(id), std::string(states::success), std::move(meta)});
  return settlement;
}

// Settles every delivery at once and keeps the credit topped up, until all messages are gone.
class BareWorker final : public broker::ConsumerEvents {
 public:
  BareWorker(net::Loop& loop, broker::Consumer& consumer, std::uint64_t messages, std::size_t batch)
      : loop_(loop), consumer_(consumer), left_(messages), batch_(batch) {}

  void on_connected() override {
    if (started_ == std::chrono::steady_clock::time_point()) started_ = std::chrono::steady_clock::now();
    top_up();
  }
  void on_deliveries(std::vector<broker::Delivery> deliveries) override {
    held_ += deliveries.size();
    for (auto& delivery : deliveries) consumer_.settle(settlement_for(delivery));
    top_up();
  }
  void on_settled(Token /*token*/, broker::SettleStatus status) override {
    if (status != broker::SettleStatus::settled) throw std::runtime_error("a bare settlement did not settle");
    --held_;
    if (--left_ == 0) {
      ended_ = std::chrono::steady_clock::now();
      consumer_.stop_reserving([this] { consumer_.close([this] { loop_.stop(); }); });
      return;
    }
    top_up();
  }
  void on_start_recorded(Token /*token*/, broker::SettleStatus /*status*/) override {}
  void on_disconnected(const Failure& why, std::chrono::milliseconds /*retry_in*/) override {
    throw std::runtime_error("the bare drain lost its server: " + why.message);
  }
  void on_lost() override { throw std::runtime_error("the bare drain was declared dead"); }

  [[nodiscard]] Seconds elapsed() const noexcept { return ended_ - started_; }

 private:
  void top_up() {
    const std::size_t want = 3 * batch_;  // three batches in flight
    if (held_ + batch_ <= want) consumer_.set_credit(want - held_, 16U << 20U);
  }

  net::Loop& loop_;
  broker::Consumer& consumer_;
  std::uint64_t left_;
  const std::size_t batch_;
  std::size_t held_ = 0;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point ended_;
};

// Takes one message, settles it, takes the next: each a turn at the store of its own.
class TurnWorker final : public broker::ConsumerEvents {
 public:
  TurnWorker(net::Loop& loop, broker::Consumer& consumer, std::uint64_t messages)
      : loop_(loop), consumer_(consumer), left_(messages) {
    turns_.reserve(2 * messages);
  }

  void on_connected() override { take(); }
  void on_deliveries(std::vector<broker::Delivery> deliveries) override {
    end_of_turn();
    consumer_.settle(settlement_for(deliveries.at(0)));
  }
  void on_settled(Token /*token*/, broker::SettleStatus status) override {
    if (status != broker::SettleStatus::settled) throw std::runtime_error("a settlement of a turn did not settle");
    end_of_turn();
    if (--left_ > 0) return take();
    consumer_.stop_reserving([this] { consumer_.close([this] { loop_.stop(); }); });
  }
  void on_start_recorded(Token /*token*/, broker::SettleStatus /*status*/) override {}
  void on_disconnected(const Failure& why, std::chrono::milliseconds /*retry_in*/) override {
    throw std::runtime_error("a turn failed: " + why.message);
  }
  void on_lost() override { throw std::runtime_error("the worker of the turns was declared dead"); }

  [[nodiscard]] std::vector<double> turns() noexcept { return std::move(turns_); }

 private:
  void take() {
    asked_ = std::chrono::steady_clock::now();
    consumer_.set_credit(1, 16U << 20U);
  }
  void end_of_turn() {
    const auto now = std::chrono::steady_clock::now();
    turns_.push_back(std::chrono::duration<double, std::milli>(now - asked_).count());
    asked_ = now;
  }

  net::Loop& loop_;
  broker::Consumer& consumer_;
  std::uint64_t left_;
  std::vector<double> turns_;
  std::chrono::steady_clock::time_point asked_;
};

// Runs a worker made by `make` from a loop and a consumer of `queue`, until it stops the loop.
template <class Make>
auto run_worker(const Config& config, const std::string& queue, const Make& make) {
  const auto broker = engines::make_broker(config);
  net::Loop loop;
  broker::ConsumerOptions options;
  options.queues.push_back({.name = queue, .exchange = {}, .exchange_type = {}, .routing_key = {}});
  options.node_name = "bare@lovage-bench";
  options.lease = config.worker_lease;
  auto pair = broker->make_consumer(loop, options);
  auto worker = make(loop, *pair.consumer);
  loop.post([&] { pair.consumer->start(worker); });
  loop.run();
  return worker;
}

client::RedisPool pool_of(const std::string& url) {
  auto options = client::redis_options_from_url(url);
  if (!options) raise(options.error());
  return client::RedisPool(std::move(*options));
}

constexpr std::string_view kSendList = "lovage-bench:sends";
constexpr std::size_t kChunk = 1'000;

Deadline limit() {
  return Deadline::after(std::chrono::seconds(5));
}

client::RedisReply must(Result<client::RedisReply> reply) {
  if (!reply) raise(reply.error());
  return std::move(*reply);
}

}  // namespace

double bare_drain_per_s(const Config& config, const std::string& queue, std::uint64_t messages, std::size_t batch) {
  const auto worker = run_worker(config, queue, [&](net::Loop& loop, broker::Consumer& consumer) {
    return BareWorker(loop, consumer, messages, batch);
  });
  return static_cast<double>(messages) / worker.elapsed().count();
}

std::vector<double> turn_milliseconds(const Config& config, const std::string& queue, std::uint64_t messages) {
  auto worker = run_worker(
      config, queue, [&](net::Loop& loop, broker::Consumer& consumer) { return TurnWorker(loop, consumer, messages); });
  return worker.turns();
}

double bare_sends_per_s(const std::string& redis_url, std::uint64_t messages, std::size_t message_bytes) {
  auto pool = pool_of(redis_url);
  auto connection = pool.take(limit());
  if (!connection) raise(connection.error());
  const std::string message(message_bytes, 'x');
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < messages; ++i) must((*connection)->command({"LPUSH", kSendList, message}, limit()));
  const Seconds took = std::chrono::steady_clock::now() - start;
  must((*connection)->command({"DEL", kSendList}, limit()));
  return static_cast<double>(messages) / took.count();
}

double bare_bulk_sends_per_s(const std::string& redis_url, std::uint64_t messages, std::size_t message_bytes) {
  auto pool = pool_of(redis_url);
  auto connection = pool.take(limit());
  if (!connection) raise(connection.error());
  const std::string message(message_bytes, 'x');
  std::string chunk;
  for (std::size_t i = 0; i < kChunk; ++i) client::append_command(chunk, {"LPUSH", kSendList, message});
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t sent = 0;
  for (; sent < messages; sent += kChunk) {
    const auto replies = (*connection)->pipeline(chunk, kChunk, limit());
    if (!replies) raise(replies.error());
  }
  const Seconds took = std::chrono::steady_clock::now() - start;
  must((*connection)->command({"DEL", kSendList}, limit()));
  return static_cast<double>(sent) / took.count();
}

double server_cpu_seconds(const std::string& redis_url) {
  auto pool = pool_of(redis_url);
  auto connection = pool.take(limit());
  if (!connection) raise(connection.error());
  const std::string info = must((*connection)->command({"INFO", "cpu"}, limit())).text;
  double seconds = 0;
  for (const std::string_view name : {"used_cpu_user:", "used_cpu_sys:"}) {
    const auto at = info.find(name);
    if (at == std::string::npos) throw std::runtime_error("the server does not tell its CPU time");
    seconds += std::stod(info.substr(at + name.size()));
  }
  return seconds;
}

}  // namespace lovage::bench
