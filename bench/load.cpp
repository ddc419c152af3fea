#include "load.hpp"

#include <time.h>  // NOLINT(modernize-deprecated-headers): clock_gettime is POSIX

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "app/core.hpp"
#include "broker/broker.hpp"

namespace lovage::bench {
namespace {

constexpr const char* kWorkUs = "BENCH_WORK_US";
constexpr const char* kSleepMs = "BENCH_SLEEP_MS";
constexpr std::uint64_t kChunk = 10'000;  // messages of one send_many
// Between two looks at the queue: so many times what the last one took, since it takes time from the worker.
constexpr int kRest = 20;
constexpr std::chrono::milliseconds kLeastRest{5};
constexpr std::chrono::milliseconds kMostRest{100};

std::uint64_t from_environment(const char* name) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing changes a worker's environment
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

std::chrono::nanoseconds thread_cpu_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

Deadline limit() {
  return Deadline::after(std::chrono::seconds(30));
}

broker::QueueInfo queue_of(const App& app) {
  const std::vector<std::string> names{kQueue};
  const auto queues = app.core().broker().queues(names, limit());
  if (!queues) raise(queues.error());
  return queues->at(0);
}

}  // namespace

Config config_of(const Options& options) {
  Config config;
  config.broker_url = options.broker;
  config.result_backend = options.backend;
  config.task_default_queue = kQueue;
  config.task_queues = {{.name = kQueue, .lovage_only = true}};  // chains are stored once
  config.result_expires = kResultsKept;
  return config;
}

void work() {
  static const std::chrono::microseconds kBurned{from_environment(kWorkUs)};
  static const std::chrono::milliseconds kSlept{from_environment(kSleepMs)};
  if (kBurned.count() > 0) {
    const auto end = thread_cpu_time() + kBurned;
    while (thread_cpu_time() < end) {
    }
  }
  if (kSlept.count() > 0) std::this_thread::sleep_for(kSlept);
}

void announce_work(const Options& options) {
  ::setenv(kWorkUs, std::to_string(options.work_us).c_str(), 1);    // NOLINT(concurrency-mt-unsafe): no thread yet
  ::setenv(kSleepMs, std::to_string(options.sleep_ms).c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no thread yet
}

Load::Load(const Options& options)
    : options_(options), app_("lovage-bench", config_of(options)), noop_(app_.remote<void()>("bench.noop")) {}

std::vector<std::string> Load::worker_arguments() const {
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

void Load::purge() const {
  // A worker that ends with a million etas hands a part of them back only.
  const auto released = app_.core().broker().release(broker::Broker::Scheduled::all, limit());
  if (!released) raise(released.error());
  const auto purged = app_.core().broker().purge(kQueue, limit());
  if (!purged) raise(purged.error());
}

double Load::send(std::uint64_t count, const ApplyOptions& options) const {
  const auto start = Clock::now();
  Signature call = noop_.s();
  call.set(options);
  for (std::uint64_t sent = 0; sent < count;) {
    const std::uint64_t chunk = std::min(kChunk, count - sent);
    const std::vector<Signature> signatures(chunk, call);
    for (const auto& outcome : app_.send_many(signatures)) {
      if (!outcome.sent()) std::rethrow_exception(outcome.error);
    }
    sent += chunk;
  }
  return static_cast<double>(count) / Seconds(Clock::now() - start).count();
}

std::uint64_t Load::waiting() const {
  const broker::QueueInfo queue = queue_of(app_);
  return queue.ready + queue.reserved + queue.scheduled;
}

std::uint64_t Load::scheduled() const {
  return queue_of(app_).scheduled;
}

Drained Load::drain(test::WorkerProcess& worker, std::uint64_t left) const {
  const auto start = Clock::now();
  const std::uint64_t first = waiting();
  auto progress = start;
  std::uint64_t now_waiting = first;
  Clock::duration look{};
  while (now_waiting > left) {
    std::this_thread::sleep_for(std::clamp<Clock::duration>(look * kRest, kLeastRest, kMostRest));
    if (!worker.running()) throw std::runtime_error("the worker ended while it drained the queue");
    const std::uint64_t before = now_waiting;
    const auto asked = Clock::now();
    now_waiting = waiting();
    look = Clock::now() - asked;
    if (now_waiting < before) progress = Clock::now();
    if (Clock::now() - progress > kStuck) throw std::runtime_error("the worker does not drain the queue any more");
  }
  return {first - now_waiting, Seconds(Clock::now() - start).count()};
}

}  // namespace lovage::bench
