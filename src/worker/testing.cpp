#include "lovage/testing.hpp"

#include <atomic>
#include <exception>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>

#include <lovage/error.hpp>

#include "app/core.hpp"
#include "engines/own_memory.hpp"
#include "worker/worker_process.hpp"

namespace lovage::testing {
namespace {

// Wall-clock time that stands still until it is moved. The steady clock, by which leases are renewed, goes on.
class MovedClock final : public lovage::Clock {
 public:
  explicit MovedClock(Timestamp start) : now_(start) {}
  [[nodiscard]] Timestamp now() const override { return now_.load(); }
  void advance(std::chrono::microseconds by) {
    Timestamp before = now_.load();
    while (!now_.compare_exchange_weak(before, before + by)) {
    }
  }

 private:
  std::atomic<Timestamp> now_;
};

// The apps that have a Worker.
class Claims {
 public:
  void claim(const app::Core* core) {
    const std::lock_guard lock(mutex_);
    if (!cores_.insert(core).second) throw std::logic_error("this app has a lovage::testing::Worker already");
  }
  void release(const app::Core* core) {
    const std::lock_guard lock(mutex_);
    cores_.erase(core);
  }
  static Claims& instance() {
    static Claims claims;
    return claims;
  }

 private:
  std::mutex mutex_;
  std::set<const app::Core*> cores_;
};

class Claim {
 public:
  explicit Claim(const app::Core& core) : core_(&core) { Claims::instance().claim(core_); }
  ~Claim() { Claims::instance().release(core_); }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  const app::Core* core_;
};

// The settings that are a Worker's own while it lives.
class PoolSettings {
 public:
  PoolSettings(Config& config, int concurrency)
      : config_(config), pool_(config.worker_pool), concurrency_(config.worker_concurrency) {
    config_.worker_pool = "threads";
    config_.worker_concurrency = concurrency;
  }
  ~PoolSettings() {
    config_.worker_pool = pool_;
    config_.worker_concurrency = concurrency_;
  }
  PoolSettings(const PoolSettings&) = delete;
  PoolSettings& operator=(const PoolSettings&) = delete;

 private:
  Config& config_;
  const std::string pool_;
  const int concurrency_;
};

// How a worker's start went; told once.
struct Start {
  void succeeded() {
    if (!std::exchange(told, true)) ready.set_value();
  }
  void failed() {
    if (std::exchange(told, true)) return;
    ready.set_exception(std::make_exception_ptr(Error("the worker ended before it was ready; its log says why")));
  }
  std::promise<void> ready;
  bool told = false;  // the worker's thread alone
};

}  // namespace

class Worker::Impl {
 public:
  Impl(app::Core& core, const WorkerOptions& options)
      : claim_(core),
        settings_(checked(core).config(), std::max(1, options.concurrency)),
        clock_(
            std::make_shared<MovedClock>(std::chrono::time_point_cast<std::chrono::microseconds>(options.start_time))),
        store_(*clock_, core.config().result_expires) {
    core.use(store_.broker(), store_.backend(), clock_);
    const auto start = std::make_shared<Start>();
    auto is_ready = start->ready.get_future();
    worker::WorkerOptions plan;
    plan.queues = options.queues;
    plan.quiet = true;
    plan.embedded = true;
    plan.on_ready = [start] { start->succeeded(); };
    process_ = std::make_unique<worker::WorkerProcess>(core, plan);
    ended_ = std::async(std::launch::async, [start, process = process_.get()] {
      process->run();
      start->failed();
    });
    is_ready.get();
  }

  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void stop() {
    if (!ended_.valid()) return;
    process_->shut_down(worker::Shutdown::Signal::term);
    ended_.wait();
    ended_ = {};
  }

  [[nodiscard]] bool stopped() const noexcept { return !ended_.valid(); }
  MovedClock& clock() noexcept { return *clock_; }
  engines::OwnMemory& store() noexcept { return store_; }

 private:
  static app::Core& checked(app::Core& core) {
    core.check_config();
    return core;
  }

  const Claim claim_;
  const PoolSettings settings_;
  const std::shared_ptr<MovedClock> clock_;
  engines::OwnMemory store_;
  std::unique_ptr<worker::WorkerProcess> process_;
  std::future<void> ended_;
};

Worker::Worker(App& app, const WorkerOptions& options) : impl_(std::make_unique<Impl>(app.core(), options)) {}

Worker::~Worker() = default;

void Worker::wait_until_idle(std::chrono::milliseconds timeout) {
  if (impl_->stopped()) throw std::logic_error("the worker is stopped: nobody runs what is left");
  if (!impl_->store().wait_until_idle(Deadline::after(timeout)))
    throw Timeout("the worker was not idle within the time given");
}

std::chrono::system_clock::time_point Worker::now() const {
  return impl_->clock().now();
}

void Worker::advance(std::chrono::milliseconds by) {
  if (by < by.zero()) throw std::invalid_argument("this clock goes forward only");
  wait_until_idle();
  impl_->clock().advance(by);
  impl_->store().clock_moved();
}

void Worker::stop() {
  impl_->stop();
}

Eager::Eager(App& app, bool propagate)
    : app_(app),
      always_before_(app.config().task_always_eager),
      propagates_before_(app.config().task_eager_propagates) {
  app_.config().task_always_eager = true;
  app_.config().task_eager_propagates = propagate;
}

Eager::~Eager() {
  app_.config().task_always_eager = always_before_;
  app_.config().task_eager_propagates = propagates_before_;
}

}  // namespace lovage::testing
