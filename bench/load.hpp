// The task, the queue and the workers that every workload of lovage-bench uses.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <lovage/lovage.hpp>

#include "options.hpp"
#include "support/worker_process.hpp"

namespace lovage::bench {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

lovage::Config config_of(const Options& options);

// The task's body: burns and sleeps as long as the environment of this process says (announce_work), else nothing.
void work();
// Tells the workers that this process starts, by their environment, what work() does: so the message stays the same.
void announce_work(const Options& options);

struct Drained {
  std::uint64_t tasks = 0;
  double seconds = 0;
};

class Load {
 public:
  explicit Load(const Options& options);

  [[nodiscard]] const lovage::App& app() const noexcept { return app_; }
  [[nodiscard]] const lovage::Task<void()>& noop() const noexcept { return noop_; }
  [[nodiscard]] bool is_redis() const { return options_.broker.starts_with("redis"); }
  [[nodiscard]] std::vector<std::string> worker_arguments() const;

  void purge() const;
  // Sends `count` messages by send_many, each with `options`; returns messages per second.
  double send(std::uint64_t count, const lovage::ApplyOptions& options = {}) const;
  // Messages that no worker has finished.
  [[nodiscard]] std::uint64_t waiting() const;
  [[nodiscard]] std::uint64_t scheduled() const;
  // From now on until `left` messages are waiting. Throws std::runtime_error when the worker ends or stands still.
  Drained drain(test::WorkerProcess& worker, std::uint64_t left = 0) const;

 private:
  const Options options_;
  lovage::App app_;
  lovage::Task<void()> noop_;
};

}  // namespace lovage::bench
