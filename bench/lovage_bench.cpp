// lovage-bench: what users feel, measured in one run beside the yardsticks of bare.hpp.
#include <sys/resource.h>

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
#include "base/suggest.hpp"
#include "benchmark.hpp"
#include "broker/broker.hpp"
#include "checks.hpp"
#include "crowd.hpp"
#include "load.hpp"
#include "options.hpp"
#include "worker/worker_process.hpp"
#include "workflows.hpp"

namespace {

using lovage::bench::Clock;
using lovage::bench::config_of;
using lovage::bench::kQueue;
using lovage::bench::kStuck;
using lovage::bench::Options;
using lovage::bench::Seconds;

constexpr std::chrono::milliseconds kLook{2};  // between two looks whether the queue in memory is drained

// Messages that are not settled yet.
std::uint64_t waiting(lovage::App& app) {
  const std::vector<std::string> names{kQueue};
  const auto queues = app.core().broker().queues(names, lovage::Deadline::after(std::chrono::seconds(30)));
  if (!queues) lovage::raise(queues.error());
  const auto& queue = queues->at(0);
  return queue.ready + queue.reserved + queue.scheduled;
}

double own_cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// The memory engine lives in one process: sender and worker are threads of this one.
lovage::Object run_in_memory(const Options& options) {
  lovage::Config config = config_of(options);
  config.worker_pool = options.pool;
  config.worker_concurrency = options.concurrency;
  lovage::App app("lovage-bench", config);
  const auto noop = app.task("bench.noop", lovage::bench::work);
  lovage::Object figures;
  auto start = Clock::now();
  for (std::uint64_t sent = 0; sent < options.tasks;) {
    const std::uint64_t chunk = std::min<std::uint64_t>(10'000, options.tasks - sent);
    for (const auto& outcome : app.send_many(std::vector<lovage::Signature>(chunk, noop.s()))) {
      if (!outcome.sent()) std::rethrow_exception(outcome.error);
    }
    sent += chunk;
  }
  const auto tasks = static_cast<double>(options.tasks);
  const auto per_s = [&] { return tasks / Seconds(Clock::now() - start).count(); };
  figures.set("enqueue_bulk_per_s", per_s());
  lovage::worker::WorkerOptions quiet;
  quiet.quiet = true;
  lovage::worker::WorkerProcess worker(app.core(), quiet);
  const double cpu = own_cpu_seconds();
  start = Clock::now();
  std::thread running([&] { worker.run(); });
  auto progress = start;
  std::uint64_t left = options.tasks;
  while (left > 0 && Clock::now() - progress < kStuck) {
    std::this_thread::sleep_for(kLook);
    const std::uint64_t now_left = waiting(app);
    if (now_left < left) progress = Clock::now();
    left = now_left;
  }
  figures.set("drain_per_s", per_s());
  figures.set("drain_worker_cpu_us_per_task", (own_cpu_seconds() - cpu) * 1e6 / tasks);
  worker.shut_down(lovage::worker::Shutdown::Signal::term);
  running.join();
  if (left > 0) throw std::runtime_error("the worker does not drain the queue any more");
  return figures;
}

void print(const lovage::Object& figures, bool json) {
  if (json) {
    std::cout << lovage::to_json(figures) << "\n";
    return;
  }
  for (const auto& [name, value] : figures) std::cout << name << ": " << lovage::to_json(value) << "\n";
}

// The pools that a worker has; "memory:" has no place where a worker process could find the tasks.
void check(const Options& options) {
  static const std::vector<std::string> kPools{"threads", "prefork", "solo"};
  if (std::find(kPools.begin(), kPools.end(), options.pool) == kPools.end()) {
    throw lovage::ConfigError("--pool: '" + options.pool + "' is no pool" + lovage::did_you_mean(options.pool, kPools) +
                              "; there are threads, prefork and solo");
  }
  static const std::vector<std::string> kWorkloads{"full", "flat",  "eta",   "sleep", "crowd",
                                                   "turn", "group", "chord", "chain"};
  if (std::find(kWorkloads.begin(), kWorkloads.end(), options.workload) == kWorkloads.end()) {
    throw lovage::ConfigError("--workload: '" + options.workload + "' is no workload" +
                              lovage::did_you_mean(options.workload, kWorkloads) +
                              "; there are full, flat, eta, sleep, crowd, turn, group, chord and chain");
  }
  const bool memory = options.broker.starts_with("memory:");
  if (memory && options.workload != "full") {
    throw lovage::ConfigError("memory: has the workload full alone: the others need worker processes");
  }
  if (memory != options.backend.starts_with("memory:")) {
    throw lovage::ConfigError("memory: lives inside one process: it cannot be measured beside another engine");
  }
  if (memory && options.pool == "prefork") {
    throw lovage::ConfigError("memory: lives inside one process: use the pool threads or solo");
  }
}

lovage::Object measure(const Options& options) {
  lovage::bench::announce_work(options);
  if (options.broker.starts_with("memory:")) return run_in_memory(options);
  if (options.workload == "flat") return lovage::bench::flat_workload(options);
  if (options.workload == "eta") return lovage::bench::eta_workload(options);
  if (options.workload == "sleep") return lovage::bench::sleep_workload(options);
  if (options.workload == "crowd") return lovage::bench::crowd_workload(options);
  if (options.workload == "turn") return lovage::bench::turn_workload(options);
  if (options.workload == "group") return lovage::bench::group_workload(options);
  if (options.workload == "chord") return lovage::bench::chord_workload(options);
  if (options.workload == "chain") return lovage::bench::chain_workload(options);
  return lovage::bench::full_workload(options);
}

// The worker's side: this same program, with the no-op task.
int run_worker(int argc, char** argv) {
  lovage::App app("lovage-bench");
  app.task("bench.noop", lovage::bench::work);
  return lovage::main(app, argc, argv);
}

void add_options(CLI::App& cli, Options& options) {
  cli.add_option("--broker", options.broker, "broker URL")->capture_default_str();
  cli.add_option("--backend", options.backend, "result backend URL (default: the broker's)");
  cli.add_option("--tasks", options.tasks, "tasks to send in bulk and to drain")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}))
      ->capture_default_str();
  cli.add_option("--pool", options.pool, "the worker's pool: threads, prefork or solo")->capture_default_str();
  cli.add_option("--concurrency", options.concurrency, "the pool's slots")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  cli.add_option("--work-us", options.work_us, "microseconds of its thread's CPU time that each task burns")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{10'000'000}))
      ->capture_default_str();
  cli.add_option("--workload", options.workload,
                 "full, flat, eta, sleep, crowd, turn, group, chord or chain: see docs/benchmarks.md")
      ->capture_default_str();
  cli.add_option("--depth", options.depth, "flat: messages that stay waiting behind the drained ones")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{100'000'000}))
      ->capture_default_str();
  cli.add_option("--sleep-ms", options.sleep_ms, "milliseconds that each task sleeps")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{60'000}))
      ->capture_default_str();
  cli.add_option("--workers", options.workers, "sleep, crowd: workers that share the tasks")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  cli.add_option("--producers", options.producers, "crowd: processes that send in bulk")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  cli.add_option("--calls", options.calls, "calls whose latency is measured")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  cli.add_flag("--json", options.json, "print one JSON object");
}

int run(int argc, char** argv) {
  if (argc > 1 && (std::strcmp(argv[1], "worker") == 0 || std::strncmp(argv[1], "--lovage-", 9) == 0)) {
    return run_worker(argc, argv);
  }
  Options options;
  CLI::App cli{"Measures sends, drained tasks, latency, memory and start-up of a Lovage worker in one run."};
  add_options(cli, options);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? 0 : 2;
  }
  options.program = "/proc/self/exe";
  if (options.backend.empty()) options.backend = options.broker;
  check(options);
  print(measure(options), options.json);
  return 0;
}

int fail(const std::exception& error, int code) {
  std::cerr << "lovage-bench: " << error.what() << "\n";
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const lovage::ConfigError& error) {
    return fail(error, 2);
  } catch (const lovage::ConnectionError& error) {
    return fail(error, 2);
  } catch (const std::exception& error) {
    return fail(error, 1);
  }
}
