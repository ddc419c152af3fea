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
#include "bare.hpp"
#include "base/suggest.hpp"
#include "broker/broker.hpp"
#include "engines/engines.hpp"
#include "support/worker_process.hpp"
#include "worker/worker_process.hpp"

namespace {

using lovage::test::WorkerProcess;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr const char* kQueue = "lovage_bench";
constexpr std::chrono::minutes kResultsKept{10};  // what a run leaves behind goes soon
constexpr std::chrono::seconds kStuck{60};        // a drain without any progress
constexpr std::chrono::milliseconds kPause{2};    // between the calls whose latency is measured
constexpr std::chrono::seconds kIdle{3};          // how long an idle worker is watched
constexpr std::chrono::milliseconds kLook{2};     // between two looks whether the queue in memory is drained
constexpr int kRounds = 1'000;                    // of latencies
constexpr std::size_t kMessageBytes = 760;        // of the no-op task's message

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
  config.result_expires = kResultsKept;
  return config;
}

// Messages that are not settled yet.
std::uint64_t waiting(lovage::App& app) {
  const std::vector<std::string> names{kQueue};
  const auto queues = app.core().broker().queues(names, lovage::Deadline::after(std::chrono::seconds(30)));
  if (!queues) lovage::raise(queues.error());
  const auto& queue = queues->at(0);
  return queue.ready + queue.reserved + queue.scheduled;
}

class Benchmark {
 public:
  explicit Benchmark(Options options)
      : options_(std::move(options)),
        app_("lovage-bench", config_of(options_)),
        noop_(app_.remote<void()>("bench.noop")),
        tasks_(options_.tasks) {}

  lovage::Object run() {
    purge();
    lovage::Object figures;
    measure_worker(figures);
    measure_sends(figures);
    measure_drain(figures);
    measure_bare(figures);
    if (is_redis()) measure_redis(figures);
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
            "-q",
            "--",
            "result_expires=" + std::to_string(std::chrono::seconds(kResultsKept).count())};
  }

  static lovage::Deadline limit() { return lovage::Deadline::after(std::chrono::seconds(30)); }

  void purge() {
    const auto purged = app_.core().broker().purge(kQueue, limit());
    if (!purged) lovage::raise(purged.error());
  }

  // One worker: its start, its answers, its memory, its rest.
  void measure_worker(lovage::Object& figures) {
    const WorkerProcess worker(worker_arguments(), "/dev/stderr");             // stdout holds the figures alone
    for (int i = 0; i < 50; ++i) noop_.delay().get(std::chrono::seconds(10));  // both sides warm
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
    for (int i = 0; i < kRounds; ++i) {
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
      const auto start = Clock::now();
      noop_.delay().get(std::chrono::seconds(10));
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    return times;
  }

  void measure_sends(lovage::Object& figures) {
    const std::uint64_t singles = std::max<std::uint64_t>(1, tasks_ / 10);
    const auto start = Clock::now();
    for (std::uint64_t i = 0; i < singles; ++i) noop_.delay();
    figures.set("enqueue_per_s", static_cast<double>(singles) / Seconds(Clock::now() - start).count());
    purge();
    figures.set("enqueue_bulk_per_s", send_bulk());
  }

  double send_bulk() {
    const auto start = Clock::now();
    for (std::uint64_t sent = 0; sent < tasks_;) {
      const std::uint64_t chunk = std::min<std::uint64_t>(10'000, tasks_ - sent);
      const std::vector<lovage::Signature> signatures(chunk, noop_.s());
      for (const auto& outcome : app_.send_many(signatures)) {
        if (!outcome.sent()) std::rethrow_exception(outcome.error);
      }
      sent += chunk;
    }
    return static_cast<double>(tasks_) / Seconds(Clock::now() - start).count();
  }

  // All tasks are waiting when the worker starts. What it drained before we looked for the first time does not count.
  void measure_drain(lovage::Object& figures) {
    WorkerProcess worker(worker_arguments(), "/dev/stderr");  // stdout holds the figures alone
    const double cpu = worker.cpu_seconds();
    const double server_cpu = is_redis() ? lovage::bench::server_cpu_seconds(options_.broker) : 0;
    const auto start = Clock::now();
    const std::uint64_t first = waiting(app_);
    auto progress = start;
    for (std::uint64_t left = first; left > 0;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (!worker.running()) throw std::runtime_error("the worker ended while it drained the queue");
      const std::uint64_t now_left = waiting(app_);
      if (now_left < left) progress = Clock::now();
      if (Clock::now() - progress > kStuck) throw std::runtime_error("the worker does not drain the queue any more");
      left = now_left;
    }
    const double took = Seconds(Clock::now() - start).count();
    if (first == 0) throw std::runtime_error("too few tasks to measure: they were done before the first look");
    figures.set("drain_per_s", static_cast<double>(first) / took);
    const auto us_per_task = [first](double seconds) { return seconds * 1e6 / static_cast<double>(first); };
    figures.set("drain_worker_cpu_us_per_task", us_per_task(worker.cpu_seconds() - cpu));
    if (!is_redis()) return;
    const double served = lovage::bench::server_cpu_seconds(options_.broker) - server_cpu;
    figures.set("drain_server_cpu_us_per_task", us_per_task(served));
  }

  void measure_bare(lovage::Object& figures) {
    send_bulk();
    figures.set("bare_drain_per_s", lovage::bench::bare_drain_per_s(app_.core().config(), kQueue, tasks_, 64));
    figures.set("relay_p50_ms", is_redis() ? lovage::Value(relay(std::chrono::milliseconds(0))) : lovage::Value());
  }

  void measure_redis(lovage::Object& figures) {
    figures.set("relay_paused_p50_ms", relay(kPause));
    figures.set("bare_enqueue_per_s", lovage::bench::bare_sends_per_s(
                                          options_.broker, std::max<std::uint64_t>(1, tasks_ / 10), kMessageBytes));
    figures.set("bare_enqueue_bulk_per_s",
                lovage::bench::bare_bulk_sends_per_s(options_.broker, tasks_, kMessageBytes));
  }

  [[nodiscard]] double relay(std::chrono::milliseconds pause) const {
    return lovage::bench::relay_p50_ms(options_.broker, kRounds, pause);
  }
  [[nodiscard]] bool is_redis() const { return options_.broker.starts_with("redis"); }

  const Options options_;
  lovage::App app_;
  lovage::Task<void()> noop_;
  const std::uint64_t tasks_;
};

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
  const auto noop = app.task("bench.noop", [] {});
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
  const bool memory = options.broker.starts_with("memory:");
  if (memory != options.backend.starts_with("memory:")) {
    throw lovage::ConfigError("memory: lives inside one process: it cannot be measured beside another engine");
  }
  if (memory && options.pool == "prefork") {
    throw lovage::ConfigError("memory: lives inside one process: use the pool threads or solo");
  }
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
  cli.add_option("--tasks", options.tasks, "tasks to send in bulk and to drain")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}))
      ->capture_default_str();
  cli.add_option("--pool", options.pool, "the worker's pool: threads, prefork or solo")->capture_default_str();
  cli.add_option("--concurrency", options.concurrency, "the pool's slots")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  cli.add_flag("--json", options.json, "print one JSON object");
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? 0 : 2;
  }
  options.program = "/proc/self/exe";
  if (options.backend.empty()) options.backend = options.broker;
  const auto fail = [](const std::exception& error, int code) {
    std::cerr << "lovage-bench: " << error.what() << "\n";
    return code;
  };
  try {
    check(options);
    const bool memory = options.broker.starts_with("memory:");
    print(memory ? run_in_memory(options) : Benchmark(options).run(), options.json);
  } catch (const lovage::ConfigError& error) {
    return fail(error, 2);
  } catch (const lovage::ConnectionError& error) {
    return fail(error, 2);
  } catch (const std::exception& error) {
    return fail(error, 1);
  }
  return 0;
}
