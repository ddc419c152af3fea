#include "checks.hpp"

#include <memory>
#include <stdexcept>
#include <thread>

#include "bare.hpp"
#include "load.hpp"

namespace lovage::bench {
namespace {

constexpr const char* kLog = "/dev/stderr";  // stdout holds the figures alone
constexpr std::chrono::hours kFar{24};
constexpr std::chrono::milliseconds kLook{20};

void warm(const Load& load) {
  for (int i = 0; i < 50; ++i) load.noop().delay().get(std::chrono::seconds(10));
}

void wait_until_scheduled(const Load& load, std::uint64_t tasks) {
  std::uint64_t seen = 0;
  auto progress = Clock::now();
  while (seen < tasks) {
    std::this_thread::sleep_for(kLook);
    const std::uint64_t now = load.scheduled();
    if (now > seen) progress = Clock::now();
    seen = now;
    if (Clock::now() - progress > kStuck) throw std::runtime_error("the worker does not schedule the messages");
  }
}

}  // namespace

Object flat_workload(const Options& options) {
  const Load load(options);
  load.purge();
  load.send(options.tasks + options.depth);
  Object figures;
  {
    test::WorkerProcess worker(load.worker_arguments(), kLog);
    const double cpu = worker.cpu_seconds();
    const double server_cpu = load.is_redis() ? server_cpu_seconds(options.broker) : 0;
    const Drained drained = load.drain(worker, options.depth);
    if (drained.tasks == 0) throw std::runtime_error("too few tasks to measure: they were done before the first look");
    const auto tasks = static_cast<double>(drained.tasks);
    figures.set("depth", static_cast<std::int64_t>(options.depth));
    figures.set("drain_per_s", tasks / drained.seconds);
    figures.set("drain_worker_cpu_us_per_task", (worker.cpu_seconds() - cpu) * 1e6 / tasks);
    if (load.is_redis()) {
      figures.set("drain_server_cpu_us_per_task", (server_cpu_seconds(options.broker) - server_cpu) * 1e6 / tasks);
    }
  }
  load.purge();  // only when the worker holds nothing any more
  return figures;
}

Object eta_workload(const Options& options) {
  const Load load(options);
  load.purge();
  Object figures;
  {
    const test::WorkerProcess worker(load.worker_arguments(), kLog);
    warm(load);
    const double before = worker.pss_mib();
    load.send(options.tasks, {.eta = std::chrono::system_clock::now() + kFar});
    wait_until_scheduled(load, options.tasks);
    figures.set("scheduled", static_cast<std::int64_t>(load.scheduled()));
    figures.set("pss_before_mib", before);
    figures.set("pss_growth_mib", worker.pss_mib() - before);
  }
  load.purge();
  return figures;
}

Object sleep_workload(const Options& options) {
  const Load load(options);
  load.purge();
  std::vector<std::unique_ptr<test::WorkerProcess>> workers;
  workers.reserve(static_cast<std::size_t>(options.workers));
  for (int i = 0; i < options.workers; ++i) {
    workers.push_back(std::make_unique<test::WorkerProcess>(load.worker_arguments(), kLog));
  }
  const auto start = Clock::now();
  load.send(options.tasks);
  const auto limit = start + kStuck + std::chrono::milliseconds(options.sleep_ms) * options.tasks;
  while (load.waiting() > 0) {
    std::this_thread::sleep_for(kLook);
    for (const auto& worker : workers) {
      if (!worker->running()) throw std::runtime_error("a worker ended before its tasks");
    }
    if (Clock::now() > limit) throw std::runtime_error("the workers do not finish the tasks");
  }
  const double took = Seconds(Clock::now() - start).count();
  const double busy = static_cast<double>(options.tasks * options.sleep_ms) / 1000;
  Object figures;
  figures.set("seconds", took);
  figures.set("busy_percent", busy / (took * options.concurrency * options.workers) * 100);
  return figures;
}

}  // namespace lovage::bench
