#include "fault/fleet.hpp"

#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill(2) is POSIX's

#include <condition_variable>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "app/core.hpp"

namespace lovage::fault {

using namespace std::chrono_literals;

Fleet::Fleet(int count, std::vector<std::string> command, const std::vector<std::string>& arguments)
    : command_(std::move(command)), arguments_(arguments) {
  for (int i = 0; i < count; ++i) workers_.push_back(start(static_cast<std::size_t>(i)));
}

std::unique_ptr<test::WorkerProcess> Fleet::start(std::size_t index) const {
  std::vector<std::string> line = command_;
  line.insert(line.end(), {"-n", "w" + std::to_string(index) + "@%h"});
  line.insert(line.end(), arguments_.begin(), arguments_.end());
  return std::make_unique<test::WorkerProcess>(line);
}

void Fleet::restart_dead() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i]->running()) workers_[i] = start(i);
  }
}

std::size_t Fleet::kill_at_random(const std::stop_token& stop, std::chrono::milliseconds pause) {
  std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<std::int64_t> pauses(0, 2 * pause.count());
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::size_t kills = 0;
  while (true) {
    {
      std::unique_lock lock(mutex);
      if (stopped.wait_for(lock, stop, std::chrono::milliseconds(pauses(random)), [] { return false; })) return kills;
      if (stop.stop_requested()) return kills;
    }
    const auto& worker = workers_[std::uniform_int_distribution<std::size_t>(0, workers_.size() - 1)(random)];
    const auto pids = test::process_tree(worker->pid());
    ::kill(pids[std::uniform_int_distribution<std::size_t>(0, pids.size() - 1)(random)], SIGKILL);
    ++kills;
    restart_dead();
  }
}

void wait_until_empty(App& app, const std::string& queue) {
  const auto deadline = std::chrono::steady_clock::now() + 2min;
  const std::vector<std::string> names{queue};
  while (true) {
    const auto found = app.core().broker().queues(names, Deadline::after(10s));
    if (!found) throw std::runtime_error(found.error().message);
    const auto& info = found->at(0);
    if (info.ready + info.reserved + info.scheduled == 0) return;
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error(queue + " still has " + std::to_string(info.ready) + " ready, " +
                               std::to_string(info.reserved) + " reserved, " + std::to_string(info.scheduled) +
                               " scheduled after two minutes");
    }
    std::this_thread::sleep_for(20ms);
  }
}

}  // namespace lovage::fault
