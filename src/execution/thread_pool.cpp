#include "execution/thread_pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/logging.hpp"
#include "execution/mailbox.hpp"
#include "execution/start_permit.hpp"
#include "execution/work_ring.hpp"

namespace lovage::execution {
namespace {

constexpr std::size_t kRingSize = 1024;
constexpr std::chrono::milliseconds kWatchPeriod{10};
// How many outcomes may gather before the loop is woken, while there is more to run.
constexpr std::size_t kGathered = 16;
// After so many tasks in a row that were short and came alone, the thread that ran the last one leads the loop.
constexpr std::size_t kAloneInARow = 3;
constexpr std::chrono::microseconds kShort{200};

struct StateChanged {
  JobId job = 0;
  std::string state;
  std::string meta_json;
};

}  // namespace

struct ThreadPool::Started {
  std::size_t thread = 0;
  JobId job = 0;
  std::optional<std::chrono::milliseconds> soft_time_limit;
  std::optional<std::chrono::milliseconds> time_limit;
};

struct ThreadPool::Finished {
  std::size_t thread = 0;
  Outcome outcome;
};

// What the threads see of the pool.
struct ThreadPool::Shared : std::enable_shared_from_this<Shared> {
  using Event = std::variant<Started, StateChanged, Finished>;

  Shared(const app::Registry& tasks, net::Loop& loop_of_pool, ThreadPool& owner)
      : registry(tasks), slots(owner.slots()), pool(&owner), loop(&loop_of_pool) {}

  const app::Registry& registry;
  const std::size_t slots;
  WorkRing<Request> ring{kRingSize};
  Mailbox<Event> events;
  ThreadPool* pool;  // loop thread only; null once the pool is gone

  std::mutex mutex;
  std::condition_variable work_came;
  std::size_t sleepers = 0;  // guarded by mutex
  bool stopping = false;     // guarded by mutex
  std::shared_mutex loop_mutex;
  net::Loop* loop;  // guarded by loop_mutex; null once the pool is gone
  StartPermit permit;
  std::atomic<bool> retiring{false};  // no thread leads the loop any more
  // A thread that leads the loop runs itself what the loop publishes meanwhile.
  std::atomic<std::thread::id> leader{};
  std::atomic<std::size_t> published{0};       // at once, the last time
  std::atomic<std::size_t> alone_in_a_row{0};  // tasks

  // The loop looks at the events every few milliseconds by itself: not each has to wake it.
  std::atomic<bool> watched{false};
  std::atomic<bool> woken{false};  // the loop will look at the events

  // A loop that sleeps is not woken for it: this thread does what the loop would, and saves the time that waking takes.
  void tell_loop() {
    if (woken.exchange(true)) return;
    const std::shared_lock lock(loop_mutex);
    if (loop == nullptr) return;
    const log::ThreadName as_the_loop{{}};
    loop->run_or_post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self && self->pool != nullptr) self->pool->receive();
    });
  }

  // False: the thread has to end.
  bool wait_for_work() {
    std::unique_lock lock(mutex);
    ++sleepers;
    work_came.wait(lock, [this] { return stopping || !ring.empty(); });
    --sleepers;
    return !stopping;
  }

  // The loop hears first of what the thread has gathered. False: the thread has to end.
  bool wait_for_permit(std::size_t& gathered) {
    if (std::exchange(gathered, 0) > 0) tell_loop();
    std::unique_lock lock(mutex);
    while (!stopping && !permit.is_valid()) work_came.wait_for(lock, StartPermit::kLook);
    return !stopping;
  }

  // All threads but the caller's have nothing to do.
  bool others_sleep() {
    const std::lock_guard lock(mutex);
    return sleepers + 1 == slots;
  }

  void saw(const Outcome& outcome) {
    const bool was_alone = published.load() == 1 && ring.empty() && outcome.runtime <= kShort;
    alone_in_a_row = was_alone ? alone_in_a_row.load() + 1 : 0;
  }

  // Loop thread: so many items have been published.
  void wake(std::size_t items) {
    published = items;
    const std::thread::id leads = leader.load();
    if (leads == std::this_thread::get_id()) {
      --items;
    } else if (leads != std::thread::id()) {
      pool->loop_.post([] {});  // it waits in the loop, and this thread stands in for it
    }
    wake_others(items);
  }

  void wake_others(std::size_t items) {
    std::size_t threads = 0;
    {
      const std::lock_guard lock(mutex);
      threads = std::min(items, sleepers);
    }
    for (std::size_t i = 0; i < threads; ++i) work_came.notify_one();
  }

  std::unique_ptr<net::Loop::Leader> lead() {
    if (retiring.load() || alone_in_a_row.load() < kAloneInARow || !ring.empty() || !others_sleep()) return nullptr;
    const std::shared_lock lock(loop_mutex);
    return loop != nullptr ? loop->lead() : nullptr;
  }

  void run(std::size_t thread, const TraceSettings& settings);
};

// One thread, and what it runs.
class ThreadPool::Runner final : public StateSink {
 public:
  Runner(Shared& shared, std::size_t thread, const TraceSettings& settings)
      : shared_(shared), thread_(thread), settings_(settings) {}

  void run();

 private:
  void on_state(JobId job, std::string state, std::string meta_json) override {
    shared_.events.emplace(StateChanged{job, std::move(state), std::move(meta_json)});
    shared_.tell_loop();
  }
  void start(const Request& request) {
    shared_.events.emplace(Started{thread_, request.job, request.soft_time_limit, request.time_limit});
    const bool is_watched = shared_.watched.load();
    if (request.tell_start || request.soft_time_limit || request.time_limit || !is_watched) shared_.tell_loop();
  }
  void end(const std::string& task, Outcome outcome) {
    if (outcome.runtime > kShort) {
      long_tasks_.insert(task);
    } else if (!long_tasks_.empty()) {
      long_tasks_.erase(task);
    }
    shared_.saw(outcome);
    shared_.events.emplace(Finished{thread_, std::move(outcome)});
  }
  bool run_what_waits();
  void lead();
  net::Loop::Leader::Next run_as_leader(net::Loop::Leader& leader);

  Shared& shared_;
  const std::size_t thread_;
  const TraceSettings& settings_;
  std::set<std::string> long_tasks_;  // those that took long the last time
};

void ThreadPool::Shared::run(std::size_t thread, const TraceSettings& settings) {
  log::set_thread_name(settings.process_name);
  Runner(*this, thread, settings).run();
}

void ThreadPool::Runner::run() {
  do {
    if (!run_what_waits()) return;
    lead();
  } while (shared_.wait_for_work());
}

// False: the thread has to end.
bool ThreadPool::Runner::run_what_waits() {
  std::size_t gathered = 0;
  while (!shared_.ring.empty()) {
    if (!shared_.permit.is_valid() && !shared_.wait_for_permit(gathered)) return false;
    const auto request = shared_.ring.pop();
    if (!request) break;
    start(*request);
    end(request->message->task, trace(settings_, shared_.registry, *request, *this));
    if (++gathered < kGathered && shared_.watched.load() && !shared_.ring.empty()) continue;
    gathered = 0;
    shared_.tell_loop();
  }
  if (gathered > 0) shared_.tell_loop();  // another thread took what we saw waiting
  return true;
}

// While tasks come one by one, the thread that runs them leads the loop: no other has to be woken for each.
void ThreadPool::Runner::lead() {
  const auto leader = shared_.lead();
  if (!leader) return;
  const log::ThreadName as_the_loop{{}};
  shared_.leader = std::this_thread::get_id();
  leader->run([&] { return run_as_leader(*leader); });
  std::thread::id self = std::this_thread::get_id();
  shared_.leader.compare_exchange_strong(self, {});
}

// Once it leaves, what waits is run without the loop.
net::Loop::Leader::Next ThreadPool::Runner::run_as_leader(net::Loop::Leader& leader) {
  using enum net::Loop::Leader::Next;
  if (shared_.retiring.load()) return leave;
  if (shared_.ring.empty()) return wait;
  if (shared_.ring.size() > 1 || !shared_.permit.is_valid() || !shared_.others_sleep()) {
    shared_.wake_others(shared_.ring.size() - 1);  // the loop counted on this thread each time it published
    return leave;
  }
  const auto request = shared_.ring.pop();
  if (!request) return wait;
  start(*request);
  if (const std::size_t more = shared_.ring.size(); more > 0) shared_.wake_others(more);
  std::optional<Outcome> outcome;
  const auto run = [&] {
    const log::ThreadName as_itself{settings_.process_name};
    outcome = trace(settings_, shared_.registry, *request, *this);
  };
  bool leads = false;
  if (long_tasks_.contains(request->message->task)) {  // the loop is not to stand still for it
    shared_.leader = std::thread::id();
    leader.give_back();
    run();
  } else {
    leads = leader.step_out(run);
  }
  const bool was_short = outcome->runtime <= kShort;
  end(request->message->task, std::move(*outcome));
  if (!leads) shared_.leader = std::thread::id();
  shared_.tell_loop();
  if (!leads || !was_short) return leave;
  return shared_.ring.empty() ? wait : look;  // the loop may have published when it was told
}

ThreadPool::ThreadPool(const PoolOptions& options)
    : loop_(options.loop),
      slots_(options.concurrency),
      pid_(::getpid()),
      appetite_(options.concurrency, options.fair),
      limits_(
          options.loop, [this](JobId job) { events_->on_soft_time_limit(job); },
          [this](JobId job) { over_hard_limit(job); }),
      running_(options.concurrency),
      shared_(std::make_shared<Shared>(options.registry, options.loop, *this)) {
  for (std::size_t i = 0; i < slots_; ++i) {
    auto settings = trace_settings(options.config, options.hostname, fmt::format("ThreadPoolWorker-{}", i + 1));
    threads_.emplace_back([shared = shared_, i, settings = std::move(settings)] { shared->run(i, settings); });
  }
}

ThreadPool::~ThreadPool() {
  end_threads();
}

void ThreadPool::start(PoolEvents& events, UniqueFunction<void()> ready) {
  events_ = &events;
  loop_.post(std::move(ready));
}

void ThreadPool::submit(Request request) {
  outstanding_.insert(request.job);
  backlog_.push_back(std::move(request));
  if (std::exchange(publishing_, true)) return;
  loop_.at_end_of_turn([weak = std::weak_ptr(shared_)] {
    const auto shared = weak.lock();
    if (shared && shared->pool != nullptr) shared->pool->publish();
  });
}

void ThreadPool::publish() {
  publishing_ = false;
  std::size_t published = 0;
  while (!backlog_.empty() && shared_->ring.push(backlog_.front())) {
    backlog_.pop_front();
    ++published;
  }
  if (published > 0) shared_->wake(published);
  if (watch_ || appetite_.ahead() == 0) return;
  watch_ = loop_.every(kWatchPeriod, [this] { look_for_long_tasks(); });
  shared_->watched = true;
}

void ThreadPool::receive() {
  shared_->woken = false;
  std::vector<Outcome> outcomes;
  outcomes.reserve(2 * kGathered);
  shared_->events.take_each([&](Shared::Event&& event) {
    if (auto* const started = std::get_if<Started>(&event)) {
      handle(*started);
    } else if (auto* const state = std::get_if<StateChanged>(&event)) {
      if (outstanding_.contains(state->job))
        events_->on_state(state->job, std::move(state->state), std::move(state->meta_json));
    } else {
      handle(std::get<Finished>(std::move(event)), outcomes);
    }
  });
  if (!backlog_.empty()) publish();
  report(std::move(outcomes));
}

void ThreadPool::handle(const Started& started) {
  if (!outstanding_.contains(started.job)) return;
  running_[started.thread] = {.job = started.job, .since = std::chrono::steady_clock::now(), .active = true};
  limits_.started(started.job, started.soft_time_limit, started.time_limit);
  events_->on_started(started.job, pid_);
}

void ThreadPool::handle(Finished&& finished, std::vector<Outcome>& outcomes) {
  Outcome& outcome = finished.outcome;
  Running& running = running_[finished.thread];
  running.active = false;
  if (outstanding_.erase(outcome.job) == 0) return;  // kill_all() gave it up
  appetite_.saw(outcome.runtime);
  limits_.ended(outcome.job);
  if (running.over_hard_limit) {
    log::warning(fmt::format("The stuck task of {} has ended after {:.1f} s", outcome.process_name,
                             std::chrono::duration<double>(outcome.runtime).count()));
    outcome.kind = Outcome::Kind::timed_out;
  }
  outcomes.push_back(std::move(outcome));
}

void ThreadPool::over_hard_limit(JobId job) {
  const auto running = std::find_if(running_.begin(), running_.end(),
                                    [job](const Running& entry) { return entry.active && entry.job == job; });
  if (running == running_.end()) return;
  running->over_hard_limit = true;
  log::error(
      fmt::format("Stuck task: it passed its hard time limit on ThreadPoolWorker-{}, and threads cannot be "
                  "killed. Its slot is lost until it ends; use the prefork pool for tasks with hard limits.",
                  running - running_.begin() + 1));
}

void ThreadPool::look_for_long_tasks() {
  receive();
  const Monotonic now = std::chrono::steady_clock::now();
  for (const Running& running : running_) {
    if (running.active && now - running.since > Appetite::kWindow)
      appetite_.saw(std::chrono::duration_cast<std::chrono::microseconds>(now - running.since));
  }
  if (!outstanding_.empty() && appetite_.ahead() > 0) return;
  shared_->watched = false;
  watch_.reset();
  receive();  // what a thread did not wake us for
}

void ThreadPool::allow_starts_until(Monotonic until) noexcept {
  shared_->permit.allow_until(until);
}

void ThreadPool::give_back() {
  std::vector<Outcome> outcomes;
  const auto back = [&](const Request& request) {
    outstanding_.erase(request.job);
    outcomes.push_back(Outcome::of(request.job, Outcome::Kind::not_started));
  };
  for (const Request& request : shared_->ring.take_back()) back(request);
  for (const Request& request : std::exchange(backlog_, {})) back(request);
  report(std::move(outcomes));
}

void ThreadPool::terminate(JobId job, int) {
  if (outstanding_.contains(job)) log::warning("terminate: the threads pool cannot end a running task");
}

void ThreadPool::kill_all() {
  give_back();
  receive();  // what has finished meanwhile keeps its outcome
  std::vector<Outcome> outcomes;
  abandoned_ = !outstanding_.empty();
  for (const JobId job : std::exchange(outstanding_, {})) {
    limits_.ended(job);
    outcomes.push_back(Outcome::of(job, Outcome::Kind::not_started));
  }
  for (Running& running : running_) running.over_hard_limit = false;
  report(std::move(outcomes));
}

void ThreadPool::report(std::vector<Outcome> outcomes) {
  if (!outcomes.empty()) events_->on_outcomes(std::move(outcomes));
}

void ThreadPool::stop(UniqueFunction<void()> done) {
  // A thread that stands in for the loop, or leads it, cannot await its own end.
  shared_->retiring = true;
  if (!loop_.in_loop_thread()) {
    return loop_.post([this, done = std::move(done)]() mutable { stop(std::move(done)); });
  }
  if (!outstanding_.empty()) kill_all();
  end_threads();
  loop_.post(std::move(done));
}

// Threads that run tasks nobody waits for any more are left behind.
void ThreadPool::end_threads() {
  shared_->retiring = true;
  loop_.keep_lead();
  if (shared_->leader.load() != std::thread::id()) loop_.post([] {});  // it has to look
  shared_->pool = nullptr;
  {
    const std::unique_lock lock(shared_->loop_mutex);
    shared_->loop = nullptr;
  }
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->work_came.notify_all();
  const bool leave = abandoned_ || !outstanding_.empty();
  for (std::thread& thread : threads_) leave ? thread.detach() : thread.join();
  threads_.clear();
}

std::vector<int> ThreadPool::pids() const {
  return {pid_};
}

}  // namespace lovage::execution
