#include "crowd.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "app/core.hpp"
#include "bare.hpp"
#include "load.hpp"

namespace lovage::bench {
namespace {

constexpr const char* kLog = "/dev/stderr";  // stdout holds the figures alone

// A process that sends. Started before this one has threads; it opens its own connections.
class Producer {
 public:
  template <class Send>
  Producer(const Options& options, const Send& send) : pid_(::fork()) {
    if (pid_ < 0) throw std::runtime_error("cannot fork a producer");
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      send(Load(options));
      ::_exit(0);
    } catch (const std::exception& error) {
      std::cerr << "producer: " << error.what() << std::endl;
      ::_exit(1);
    }
  }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  ~Producer() { stop(); }
  Producer(Producer&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Producer& operator=(Producer&&) = delete;

  // Waits until it has sent all; throws when it could not.
  void wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    if (status != 0) throw std::runtime_error("a producer failed: its message is above");
  }
  // In the middle of whatever it does.
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }
  [[nodiscard]] bool running() const {
    siginfo_t ended{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
  }

 private:
  pid_t pid_;
};

double milliseconds_at(const std::vector<double>& sorted, double share) {
  return sorted.at(std::min(sorted.size() - 1, static_cast<std::size_t>(static_cast<double>(sorted.size()) * share)));
}

}  // namespace

Object crowd_workload(const Options& options) {
  const Load load(options);
  load.purge();
  std::vector<std::unique_ptr<test::WorkerProcess>> workers;
  workers.reserve(static_cast<std::size_t>(options.workers));
  for (int i = 0; i < options.workers; ++i) {
    workers.push_back(std::make_unique<test::WorkerProcess>(load.worker_arguments(), kLog));
  }
  const auto worker_cpu = [&workers] {
    double seconds = 0;
    for (const auto& worker : workers) seconds += worker->cpu_seconds();
    return seconds;
  };
  const double cpu = worker_cpu();
  const auto start = Clock::now();
  const auto count = static_cast<std::uint64_t>(options.producers);
  std::vector<Producer> producers;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t share = options.tasks / count + (i < options.tasks % count ? 1 : 0);
    producers.emplace_back(options, [share](const Load& own) { own.send(share); });
  }
  for (auto& producer : producers) producer.wait();
  const std::uint64_t left = load.waiting();
  const double seconds = Seconds(Clock::now() - start).count();
  const double used = worker_cpu() - cpu;
  const std::uint64_t drained = options.tasks - left;
  if (drained == 0) throw std::runtime_error("too few tasks to measure: they were sent before the workers' first turn");
  const Drained rest = load.drain(*workers.front());
  for (const auto& worker : workers) {
    if (!worker->running()) throw std::runtime_error("a worker ended before its tasks");
  }
  Object figures;
  figures.set("seconds", seconds);
  figures.set("sent_per_s", static_cast<double>(options.tasks) / seconds);
  figures.set("drain_per_s", static_cast<double>(drained) / seconds);
  figures.set("drain_worker_cpu_us_per_task", used * 1e6 / static_cast<double>(drained));
  figures.set("rest", static_cast<std::int64_t>(rest.tasks));
  figures.set("rest_drain_per_s", rest.tasks == 0 ? 0 : static_cast<double>(rest.tasks) / rest.seconds);
  return figures;
}

Object turn_workload(const Options& options) {
  const Load load(options);
  load.purge();
  load.send(options.tasks);  // so that no turn waits for a message
  Producer producer(options, [](const Load& own) {
    while (true) own.noop().delay();
  });
  // It has begun: what follows is measured beside it.
  const auto limit = Clock::now() + kStuck;
  while (load.waiting() <= options.tasks) {
    if (!producer.running() || Clock::now() > limit) throw std::runtime_error("the producer does not send");
  }
  const std::uint64_t before = load.waiting();
  const auto start = Clock::now();
  std::vector<double> turns = turn_milliseconds(load.app().core().config(), kQueue, options.tasks);
  const std::uint64_t after = load.waiting();
  const double seconds = Seconds(Clock::now() - start).count();
  if (!producer.running()) throw std::runtime_error("the producer ended before the worker's turns");
  producer.stop();
  load.purge();
  std::sort(turns.begin(), turns.end());
  Object figures;
  figures.set("turns_per_s", static_cast<double>(turns.size()) / seconds);
  figures.set("sent_per_s", static_cast<double>(after + options.tasks - before) / seconds);
  figures.set("turn_p50_ms", milliseconds_at(turns, 0.5));
  figures.set("turn_p99_ms", milliseconds_at(turns, 0.99));
  figures.set("turn_max_ms", turns.back());
  return figures;
}

}  // namespace lovage::bench
