#include "net/loop.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "net/lending.hpp"
#include "net/poller.hpp"
#include "net/signals.hpp"
#include "net/timer_queue.hpp"

namespace lovage::net {
namespace {

// A turn ends even when its handlers keep making others ready: what it gathered must leave.
constexpr int kMaxTurnEndRounds = 8;

}  // namespace

struct Loop::Impl {
  // Held by whoever runs handlers, the loop's thread or one that stands in for it; guards what follows, but for what
  // has a guard of its own.
  std::mutex turn;
  bool is_running = false;  // in run(): its thread touches the loop within its turns alone
  std::atomic<bool> stopping{false};
  Poller poller;
  TimerQueue timers{poller, stopping};
  std::vector<UniqueFunction<void()>> turn_end;
  std::vector<UniqueFunction<void()>> next_turn_end;
  std::deque<UniqueFunction<void()>> running_posts;  // taken from `posted`, not called yet
  std::atomic<std::thread::id> thread{std::this_thread::get_id()};
  std::mutex mutex;
  std::vector<UniqueFunction<void()>> posted;                      // guarded by mutex
  std::shared_ptr<Lending> lending = std::make_shared<Lending>();  // with those who had the lead

  void run_posts() {
    {
      const std::lock_guard lock(mutex);
      std::move(posted.begin(), posted.end(), std::back_inserter(running_posts));
      posted.clear();
    }
    while (!running_posts.empty() && !stopping.load()) {
      const auto function = std::move(running_posts.front());
      running_posts.pop_front();
      function();
    }
    if (!running_posts.empty()) poller.wake();
  }

  // Whether more is to be done before the loop may sleep.
  bool finish_turn() {
    const std::lock_guard running(turn);
    end_turn();
    return !turn_end.empty();
  }
  bool has_turn_end() {
    const std::lock_guard running(turn);
    return !turn_end.empty();
  }
  // What is ready once the wait is over: a turn.
  void run_ready(bool may_sleep) {
    const auto events = poller.wait(may_sleep);
    const std::lock_guard running(turn);
    for (const auto& event : events) {
      if (stopping.load()) return;
      poller.handle(event);
    }
    if (poller.take_wake()) run_posts();
  }

  void end_turn() {
    for (int round = 0; round < kMaxTurnEndRounds && !turn_end.empty(); ++round) {
      for (const auto& function : std::exchange(turn_end, {})) function();
    }
    for (auto& function : std::exchange(next_turn_end, {})) turn_end.push_back(std::move(function));
  }
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}

Loop::~Loop() = default;

void Loop::run() {
  impl_->thread = std::this_thread::get_id();
  const auto set_running = [this](bool running) {
    const std::lock_guard turn(impl_->turn);
    impl_->is_running = running;
  };
  set_running(true);
  impl_->lending->begin();
  while (!impl_->stopping.load()) {
    if (impl_->lending->is_asked()) impl_->lending->hand_over();
    const bool goes_on = impl_->finish_turn();
    if (!impl_->stopping.load()) impl_->run_ready(!goes_on && !impl_->lending->is_asked());
  }
  impl_->lending->end();
  set_running(false);  // behind whoever stands in
  impl_->stopping = false;
}

void Loop::stop() {
  impl_->stopping = true;
  impl_->poller.wake();
}

bool Loop::in_loop_thread() const noexcept {
  return impl_->thread.load() == std::this_thread::get_id();
}

void Loop::post(UniqueFunction<void()> function) {
  bool first = false;
  {
    const std::lock_guard lock(impl_->mutex);
    first = impl_->posted.empty();
    impl_->posted.push_back(std::move(function));
  }
  if (first) impl_->poller.wake();  // once for all posts since the last
}

void Loop::run_or_post(UniqueFunction<void()> function) {
  {
    const std::unique_lock turn(impl_->turn, std::try_to_lock);
    if (turn && impl_->is_running && !impl_->stopping.load()) {
      function();
      impl_->end_turn();
      if (!impl_->turn_end.empty()) impl_->poller.wake();
      return;
    }
  }
  post(std::move(function));
}

std::unique_ptr<Loop::Leader> Loop::lead() {
  const auto ticket = impl_->lending->ask([this] { impl_->poller.wake(); });
  return ticket ? std::make_unique<Leader>(*this, impl_->lending, *ticket) : nullptr;
}

void Loop::keep_lead() noexcept {
  impl_->lending->end();
}

Loop::Leader::~Leader() {
  give_back();
}

void Loop::Leader::give_back() noexcept {
  lending_->give_back(ticket_);
}

void Loop::Leader::run(const std::function<Next()>& next) {
  Impl& loop = *loop_.impl_;
  while (true) {
    const bool goes_on = loop.finish_turn();
    if (loop.stopping.load()) return;
    const Next then = next();
    if (then == Next::leave) return;  // without the lead, nothing of the loop is touched any more
    if (!loop.has_turn_end()) loop.run_ready(!goes_on && then == Next::wait);
  }
}

bool Loop::Leader::step_out(const std::function<void()>& function) {
  lending_->step_out(ticket_);
  function();
  return lending_->step_in(ticket_);
}

void Loop::at_end_of_turn(UniqueFunction<void()> function) {
  impl_->turn_end.push_back(std::move(function));
}

void Loop::at_end_of_next_turn(UniqueFunction<void()> function) {
  impl_->next_turn_end.push_back(std::move(function));
}

Registration Loop::after(Duration delay, UniqueFunction<void()> function) {
  return Registration(impl_->timers.start(delay, Duration::zero(), std::move(function)));
}

Registration Loop::every(Duration period, UniqueFunction<void()> function) {
  return Registration(impl_->timers.start(period, period, std::move(function)));
}

Registration Loop::on_readable(int fd, UniqueFunction<void()> function) {
  return Registration(impl_->poller.watch(fd, Poller::What::readable, std::move(function)));
}

Registration Loop::on_writable(int fd, UniqueFunction<void()> function) {
  return Registration(impl_->poller.watch(fd, Poller::What::writable, std::move(function)));
}

Registration Loop::on_signals(std::initializer_list<int> signals, UniqueFunction<void(int)> function) {
  return Registration(watch_signals(impl_->poller, signals, std::move(function)));
}

}  // namespace lovage::net
