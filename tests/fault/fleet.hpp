// A few worker processes that are killed and started again.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <lovage/lovage.hpp>

#include "support/worker_process.hpp"

namespace lovage::fault {

class Fleet {
 public:
  // `count` workers started with `command` followed by `arguments`, each with a name of its own.
  Fleet(int count, std::vector<std::string> command, const std::vector<std::string>& arguments);

  // kill -9 of a process of a random worker, parent or child, with random pauses of `pause` on average,
  // until stopped; dead workers are started again at once. Returns how many were killed.
  std::size_t kill_at_random(const std::stop_token& stop, std::chrono::milliseconds pause);
  void restart_dead();

  [[nodiscard]] std::vector<std::unique_ptr<test::WorkerProcess>>& workers() noexcept { return workers_; }

 private:
  std::unique_ptr<test::WorkerProcess> start(std::size_t index) const;

  std::vector<std::string> command_;
  std::vector<std::string> arguments_;
  std::vector<std::unique_ptr<test::WorkerProcess>> workers_;
};

// Waits until nothing of the queue is waiting, scheduled or reserved; throws after two minutes.
void wait_until_empty(App& app, const std::string& queue);

}  // namespace lovage::fault
