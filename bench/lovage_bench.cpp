// lovage-bench: what users feel, measured in one run beside the yardsticks of bare.hpp.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <lovage/lovage.hpp>

#include "app/core.hpp"
#include "bare.hpp"
#include "base/url.hpp"
#include "broker/broker.hpp"
#include "engines/engines.hpp"
#include "support/worker_process.hpp"

namespace {

using lovage::test::WorkerProcess;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr const char* kQueue = "lovage_bench";

struct Options {
  std::string broker = "redis://127.0.0.1:6379/0";
  std::string backend;
  std::uint64_t tasks = 100'000;
  std::string pool = "threads";
  int concurrency = 2;
  bool json = false;
  std::string program;
};

lovage::Config config_of(const Options& options) {
  lovage::Config config;
  config.broker_url = options.broker;
  config.result_backend = options.backend;
  config.task_default_queue = kQueue;
  return config;
}

class Benchmark {
 public:
  explicit Benchmark(Options options)
      : options_(std::move(options)),
        app_("lovage-bench", config_of(options_)),
        noop_(app_.remote<void()>("bench.noop")),
        one_(options_.tasks == 0 ? 1 : options_.tasks) {}

  lovage::Object run() {
    purge();
    lovage::Object figures;
    measure_latency(figures);
    measure_sends(figures);
    measure_drain(figures);
    measure_bare(figures);
    purge();
    return figures;
  }

 private:
  [[nodiscard]] std::vector<std::string> worker_arguments() const {
    return {options_.program,
            "worker",
            "-b",
            options_.broker,
            "--result-backend",
            options_.backend,
            "-Q",
            kQueue,
            "-P",
            options_.pool,
            "-c",
            std::to_string(options_.concurrency),
            "-l",
            "WARNING",
            "-q"};
  }

  static lovage::Deadline limit() { return lovage::Deadline::after(std::chrono::seconds(30)); }

  void purge() {
    const auto purged = app_.core().broker().purge(kQueue, limit());
    if (!purged) lovage::raise(purged.error());
  }

  void measure_latency(lovage::Object& figures) {
    const WorkerProcess worker(worker_arguments());
    for (int i = 0; i < 50; ++i) noop_.delay().get(std::chrono::seconds(10));  // both sides warm
    std::vector<double> times;
    for (int i = 0; i < 1000; ++i) {
      const auto start = Clock::now();
      noop_.delay().get(std::chrono::seconds(10));
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    figures.set("startup_ms", worker.startup().count() * 1000);
    figures.set("lat_p50_ms", times[times.size() / 2]);
    figures.set("lat_p99_ms", times[times.size() * 99 / 100]);
    figures.set("pss_mib", worker.pss_mib());
  }

  void measure_sends(lovage::Object& figures) {
    const std::uint64_t singles = std::max<std::uint64_t>(1, one_ / 10);
    const auto start = Clock::now();
    for (std::uint64_t i = 0; i < singles; ++i) noop_.delay();
    figures.set("enqueue_per_s", static_cast<double>(singles) / Seconds(Clock::now() - start).count());
    purge();
    figures.set("enqueue_bulk_per_s", send_bulk());
  }

  double send_bulk() {
    const auto start = Clock::now();
    for (std::uint64_t sent = 0; sent < one_;) {
      const std::uint64_t chunk = std::min<std::uint64_t>(10'000, one_ - sent);
      const std::vector<lovage::Signature> signatures(chunk, noop_.s());
      for (const auto& outcome : app_.send_many(signatures)) {
        if (!outcome.sent()) std::rethrow_exception(outcome.error);
      }
      sent += chunk;
    }
    return static_cast<double>(one_) / Seconds(Clock::now() - start).count();
  }

  // All tasks are waiting when the worker starts; the clock runs from its readiness on.
  void measure_drain(lovage::Object& figures) {
    const WorkerProcess worker(worker_arguments());
    const auto start = Clock::now();
    const double cpu = worker.cpu_seconds();
    while (waiting() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const double took = Seconds(Clock::now() - start).count();
    figures.set("drain_per_s", static_cast<double>(one_) / took);
    figures.set("drain_worker_cpu_us_per_task", (worker.cpu_seconds() - cpu) * 1e6 / static_cast<double>(one_));
  }

  std::uint64_t waiting() {
    const std::vector<std::string> names{kQueue};
    const auto queues = app_.core().broker().queues(names, limit());
    if (!queues) lovage::raise(queues.error());
    const auto& queue = queues->at(0);
    return queue.ready + queue.reserved + queue.scheduled;
  }

  void measure_bare(lovage::Object& figures) {
    send_bulk();
    figures.set("bare_drain_per_s", lovage::bench::bare_drain_per_s(app_.core().config(), kQueue, one_, 64));
    const bool redis = options_.broker.starts_with("redis");
    figures.set("relay_p50_ms",
                redis ? lovage::Value(lovage::bench::relay_p50_ms(options_.broker, 1000)) : lovage::Value());
  }

  const Options options_;
  lovage::App app_;
  lovage::Task<void()> noop_;
  const std::uint64_t one_;
};

void print(const lovage::Object& figures, bool json) {
  if (json) {
    std::cout << lovage::to_json(figures) << "\n";
    return;
  }
  for (const auto& [name, value] : figures) std::cout << name << ": " << lovage::to_json(value) << "\n";
}

// The worker's side: this same program, with the no-op task.
int run_worker(int argc, char** argv) {
  lovage::App app("lovage-bench");
  app.task("bench.noop", [] {});
  return lovage::main(app, argc, argv);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && (std::strcmp(argv[1], "worker") == 0 || std::strncmp(argv[1], "--lovage-", 9) == 0)) {
    return run_worker(argc, argv);
  }
  Options options;
  CLI::App cli{"Measures sends, drained tasks, latency, memory and start-up of a Lovage worker in one run."};
  cli.add_option("--broker", options.broker, "broker URL")->capture_default_str();
  cli.add_option("--backend", options.backend, "result backend URL (default: the broker's)");
  cli.add_option("--tasks", options.tasks, "tasks to send in bulk and to drain")->capture_default_str();
  cli.add_option("--pool", options.pool, "the worker's pool")->capture_default_str();
  cli.add_option("--concurrency", options.concurrency, "the pool's slots")->capture_default_str();
  cli.add_flag("--json", options.json, "print one JSON object");
  CLI11_PARSE(cli, argc, argv);
  options.program = "/proc/self/exe";
  if (options.backend.empty()) options.backend = options.broker;
  try {
    print(Benchmark(options).run(), options.json);
  } catch (const std::exception& error) {
    std::cerr << "lovage-bench: " << error.what() << "\n";
    return 2;
  }
  return 0;
}
