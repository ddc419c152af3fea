#include "benchmark.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "app/core.hpp"
#include "bare.hpp"
#include "load.hpp"
#include "relay.hpp"

namespace lovage::bench {
namespace {

using test::WorkerProcess;

constexpr std::chrono::milliseconds kPause{2};  // between the calls whose latency is measured
constexpr std::chrono::seconds kIdle{3};        // how long an idle worker is watched
constexpr std::size_t kMessageBytes = 760;      // of the no-op task's message

class Benchmark {
 public:
  explicit Benchmark(const Options& options) : options_(options), load_(options), tasks_(options.tasks) {}

  Object run() {
    load_.purge();
    Object figures;
    measure_worker(figures);
    measure_sends(figures);
    measure_drain(figures);
    measure_bare(figures);
    if (load_.is_redis()) measure_redis(figures);
    load_.purge();
    return figures;
  }

 private:
  // One worker: its start, its answers, its memory, its rest.
  void measure_worker(Object& figures) {
    const WorkerProcess worker(load_.worker_arguments(), "/dev/stderr");              // stdout holds the figures alone
    for (int i = 0; i < 50; ++i) load_.noop().delay().get(std::chrono::seconds(10));  // both sides warm
    const Latencies times = latencies(std::chrono::milliseconds(0));
    const Latencies paused = latencies(kPause);
    figures.set("startup_ms", worker.startup().count() * 1000);
    figures.set("lat_p50_ms", quantile(times.calls, 0.5));
    figures.set("lat_p99_ms", quantile(times.calls, 0.99));
    figures.set("lat_paused_p50_ms", quantile(paused.calls, 0.5));
    figures.set("relay_p50_ms", load_.is_redis() ? Value(quantile(times.relays, 0.5)) : Value());
    if (load_.is_redis()) figures.set("relay_paused_p50_ms", quantile(paused.relays, 0.5));
    figures.set("pss_mib", worker.pss_mib());
    std::this_thread::sleep_for(std::chrono::seconds(1));  // it comes to rest
    const double cpu = worker.cpu_seconds();
    std::this_thread::sleep_for(kIdle);
    figures.set("idle_cpu_percent", (worker.cpu_seconds() - cpu) / Seconds(kIdle).count() * 100);
  }

  struct Latencies {
    std::vector<double> calls;
    std::vector<double> relays;
  };
  // Calls and relays in turn: a machine's mood, which changes by the second, is that of both.
  Latencies latencies(std::chrono::milliseconds pause) {
    std::optional<Relay> relay;
    if (load_.is_redis()) relay.emplace(options_.broker);
    Latencies found;
    for (int i = 0; i < options_.calls; ++i) {
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
      const auto start = Clock::now();
      load_.noop().delay().get(std::chrono::seconds(10));
      found.calls.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      if (!relay) continue;
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
      found.relays.push_back(relay->once());
    }
    return found;
  }

  static double quantile(std::vector<double> values, double share) {
    std::ranges::sort(values);
    return values.at(static_cast<std::size_t>(static_cast<double>(values.size() - 1) * share));
  }

  void measure_sends(Object& figures) {
    const std::uint64_t singles = std::max<std::uint64_t>(1, tasks_ / 10);
    const auto start = Clock::now();
    for (std::uint64_t i = 0; i < singles; ++i) load_.noop().delay();
    figures.set("enqueue_per_s", static_cast<double>(singles) / Seconds(Clock::now() - start).count());
    load_.purge();
    figures.set("enqueue_bulk_per_s", load_.send(tasks_));
  }

  // All tasks are waiting when the worker starts. What it drained before we looked for the first time does not count.
  void measure_drain(Object& figures) {
    WorkerProcess worker(load_.worker_arguments(), "/dev/stderr");  // stdout holds the figures alone
    const double cpu = worker.cpu_seconds();
    const double server_cpu = load_.is_redis() ? server_cpu_seconds(options_.broker) : 0;
    const Drained drained = load_.drain(worker);
    if (drained.tasks == 0) throw std::runtime_error("too few tasks to measure: they were done before the first look");
    const auto tasks = static_cast<double>(drained.tasks);
    figures.set("drain_per_s", tasks / drained.seconds);
    const auto us_per_task = [tasks](double seconds) { return seconds * 1e6 / tasks; };
    figures.set("drain_worker_cpu_us_per_task", us_per_task(worker.cpu_seconds() - cpu));
    if (!load_.is_redis()) return;
    const double served = server_cpu_seconds(options_.broker) - server_cpu;
    figures.set("drain_server_cpu_us_per_task", us_per_task(served));
  }

  void measure_bare(Object& figures) {
    load_.send(tasks_);
    figures.set("bare_drain_per_s", bare_drain_per_s(load_.app().core().config(), kQueue, tasks_, 64));
  }

  void measure_redis(Object& figures) {
    figures.set("bare_enqueue_per_s",
                bare_sends_per_s(options_.broker, std::max<std::uint64_t>(1, tasks_ / 10), kMessageBytes));
    figures.set("bare_enqueue_bulk_per_s", bare_bulk_sends_per_s(options_.broker, tasks_, kMessageBytes));
  }

  const Options options_;
  const Load load_;
  const std::uint64_t tasks_;
};

}  // namespace

Object full_workload(const Options& options) {
  return Benchmark(options).run();
}

}  // namespace lovage::bench
