#include "benchmark.hpp"

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <vector>

#include "app/core.hpp"
#include "bare.hpp"
#include "load.hpp"

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
    const auto times = latencies(std::chrono::milliseconds(0));
    const auto paused = latencies(kPause);
    figures.set("startup_ms", worker.startup().count() * 1000);
    figures.set("lat_p50_ms", times[times.size() / 2]);
    figures.set("lat_p99_ms", times[times.size() * 99 / 100]);
    figures.set("lat_paused_p50_ms", paused[paused.size() / 2]);
    figures.set("pss_mib", worker.pss_mib());
    std::this_thread::sleep_for(std::chrono::seconds(1));  // it comes to rest
    const double cpu = worker.cpu_seconds();
    std::this_thread::sleep_for(kIdle);
    figures.set("idle_cpu_percent", (worker.cpu_seconds() - cpu) / Seconds(kIdle).count() * 100);
  }

  std::vector<double> latencies(std::chrono::milliseconds pause) {
    std::vector<double> times;
    for (int i = 0; i < options_.calls; ++i) {
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
      const auto start = Clock::now();
      load_.noop().delay().get(std::chrono::seconds(10));
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    return times;
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
    figures.set("relay_p50_ms", load_.is_redis() ? Value(relay(std::chrono::milliseconds(0))) : Value());
  }

  void measure_redis(Object& figures) {
    figures.set("relay_paused_p50_ms", relay(kPause));
    figures.set("bare_enqueue_per_s",
                bare_sends_per_s(options_.broker, std::max<std::uint64_t>(1, tasks_ / 10), kMessageBytes));
    figures.set("bare_enqueue_bulk_per_s", bare_bulk_sends_per_s(options_.broker, tasks_, kMessageBytes));
  }

  [[nodiscard]] double relay(std::chrono::milliseconds pause) const {
    return relay_p50_ms(options_.broker, options_.calls, pause);
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
