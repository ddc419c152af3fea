#include "net/loop.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/lending.hpp"

namespace lovage::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// A turn ends even when its handlers keep making others ready: what it gathered must leave.
constexpr int kMaxHandlersPerTurn = 256;
constexpr int kMaxTurnEndRounds = 8;

// A function that a registration calls again and again, and that may end its own registration while it
// runs: it is then destroyed after it has returned.
template <class... Args>
class Callback {
 public:
  explicit Callback(UniqueFunction<void(Args...)> function) : function_(std::move(function)) {}

  void call(Args... args) {
    running_ = true;
    function_(args...);
    running_ = false;
    if (ended_) function_ = {};
  }
  void end() noexcept {
    ended_ = true;
    if (!running_) function_ = {};
  }
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  UniqueFunction<void(Args...)> function_;
  bool running_ = false;
  bool ended_ = false;
};

// Held by whoever runs handlers: the loop's thread, or one that stands in for it.
using Turn = std::mutex;

class Timer final : public Registration::State, public std::enable_shared_from_this<Timer> {
 public:
  Timer(asio::io_context& context, Turn& turn, Duration period, UniqueFunction<void()> function)
      : timer_(context), turn_(turn), period_(period), callback_(std::move(function)) {}

  void start(Monotonic when) {
    timer_.expires_at(when);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      const std::lock_guard turn(self->turn_);
      if (!error && !self->callback_.ended()) self->fire();
    });
  }

  void cancel() noexcept override {
    callback_.end();
    error_code ignored;
    timer_.cancel(ignored);
  }

 private:
  void fire() {
    callback_.call();
    if (callback_.ended() || period_ == Duration::zero()) return;
    // From the last due time, so that periods do not drift; a late loop does not catch up in a burst.
    start(std::max(timer_.expiry() + period_, std::chrono::steady_clock::now()));
  }

  asio::steady_timer timer_;
  Turn& turn_;
  const Duration period_;  // zero: once
  Callback<> callback_;
};

class Signals final : public Registration::State, public std::enable_shared_from_this<Signals> {
 public:
  Signals(asio::io_context& context, Turn& turn, std::initializer_list<int> signals, UniqueFunction<void(int)> function)
      : set_(context), turn_(turn), callback_(std::move(function)) {
    for (const int signal : signals) set_.add(signal);
  }

  void start() {
    set_.async_wait([self = shared_from_this()](error_code error, int signal) {
      const std::lock_guard turn(self->turn_);
      if (error || self->callback_.ended()) return;
      self->callback_.call(signal);
      if (!self->callback_.ended()) self->start();
    });
  }

  void cancel() noexcept override {
    callback_.end();
    error_code ignored;
    set_.clear(ignored);
    set_.cancel(ignored);
  }

 private:
  asio::signal_set set_;
  Turn& turn_;
  Callback<int> callback_;
};

// epoll takes each descriptor once: a reader and a writer of the same one share this.
class Descriptor {
 public:
  using Table = std::unordered_map<int, std::weak_ptr<Descriptor>>;

  Descriptor(asio::io_context& context, Table& table, int fd) : table_(table), fd_(fd), stream_(context, fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    stream_.release();  // the descriptor is the caller's to close
    table_.erase(fd_);
  }
  asio::posix::stream_descriptor& stream() noexcept { return stream_; }

 private:
  Table& table_;
  const int fd_;
  asio::posix::stream_descriptor stream_;
};

class Watch final : public Registration::State, public std::enable_shared_from_this<Watch> {
 public:
  Watch(std::shared_ptr<Descriptor> descriptor, Turn& turn, asio::posix::descriptor_base::wait_type what,
        UniqueFunction<void()> function)
      : descriptor_(std::move(descriptor)), turn_(turn), what_(what), callback_(std::move(function)) {}

  void start() {
    descriptor_->stream().async_wait(what_, [self = shared_from_this()](error_code error) {
      const std::lock_guard turn(self->turn_);
      if (error || self->callback_.ended()) return;
      self->callback_.call();
      if (!self->callback_.ended()) self->start();
    });
  }

  void cancel() noexcept override {
    callback_.end();
    // Now, not when the aborted wait is handled: the caller may close the descriptor next, and its
    // number may come back.
    descriptor_.reset();
  }

 private:
  std::shared_ptr<Descriptor> descriptor_;
  Turn& turn_;
  const asio::posix::descriptor_base::wait_type what_;
  Callback<> callback_;
};

}  // namespace

Registration& Registration::operator=(Registration&& other) noexcept {
  if (this != &other) {
    reset();
    state_ = std::move(other.state_);
  }
  return *this;
}

void Registration::reset() noexcept {
  if (const auto state = std::exchange(state_, nullptr)) state->cancel();
}

struct Loop::Impl {
  Turn turn;                      // guards what follows, but for what has a guard of its own
  bool is_running = false;        // in run(): its thread touches the loop within its turns alone
  Descriptor::Table descriptors;  // outlives the context, whose last handlers still hold descriptors
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::vector<UniqueFunction<void()>> turn_end;
  std::vector<UniqueFunction<void()>> next_turn_end;
  std::deque<UniqueFunction<void()>> running_posts;  // taken from `posted`, not called yet
  std::atomic<bool> stopping{false};
  std::atomic<std::thread::id> thread{std::this_thread::get_id()};
  std::mutex mutex;
  std::vector<UniqueFunction<void()>> posted;                      // guarded by mutex
  std::shared_ptr<Lending> lending = std::make_shared<Lending>();  // with those who had the lead

  // One wake-up for all posts since the last.
  void run_posts() {
    const std::lock_guard running(turn);
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
    if (!running_posts.empty()) asio::post(context, [this] { run_posts(); });
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
  void run_ready(bool may_sleep) {
    const bool ran = (may_sleep ? context.run_one() : context.poll_one()) > 0;
    for (int i = 0; ran && i < kMaxHandlersPerTurn && context.poll_one() > 0; ++i) {
    }
  }

  void end_turn() {
    for (int round = 0; round < kMaxTurnEndRounds && !turn_end.empty(); ++round) {
      for (const auto& function : std::exchange(turn_end, {})) function();
    }
    for (auto& function : std::exchange(next_turn_end, {})) turn_end.push_back(std::move(function));
  }

  Registration watch(int fd, asio::posix::descriptor_base::wait_type what, UniqueFunction<void()> function) {
    auto descriptor = descriptors[fd].lock();
    if (!descriptor) {
      descriptor = std::make_shared<Descriptor>(context, descriptors, fd);
      descriptors[fd] = descriptor;
    }
    const auto state = std::make_shared<Watch>(std::move(descriptor), turn, what, std::move(function));
    state->start();
    return Registration(state);
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
  impl_->context.restart();
  impl_->stopping = false;
}

void Loop::stop() {
  impl_->stopping = true;
  impl_->context.stop();
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
  if (first) asio::post(impl_->context, [impl = impl_.get()] { impl->run_posts(); });
}

void Loop::run_or_post(UniqueFunction<void()> function) {
  {
    const std::unique_lock turn(impl_->turn, std::try_to_lock);
    if (turn && impl_->is_running && !impl_->stopping.load()) {
      function();
      impl_->end_turn();
      if (!impl_->turn_end.empty()) asio::post(impl_->context, [] {});
      return;
    }
  }
  post(std::move(function));
}

std::unique_ptr<Loop::Leader> Loop::lead() {
  const auto ticket = impl_->lending->ask([this] { asio::post(impl_->context, [] {}); });
  return ticket ? std::make_unique<Leader>(*this, impl_->lending, *ticket) : nullptr;
}

void Loop::keep_lead() noexcept {
  impl_->lending->end();
}

Loop::Leader::~Leader() {
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
  const auto timer = std::make_shared<Timer>(impl_->context, impl_->turn, Duration::zero(), std::move(function));
  timer->start(from_now(delay));
  return Registration(timer);
}

Registration Loop::every(Duration period, UniqueFunction<void()> function) {
  const auto timer = std::make_shared<Timer>(impl_->context, impl_->turn, period, std::move(function));
  timer->start(from_now(period));
  return Registration(timer);
}

Registration Loop::on_readable(int fd, UniqueFunction<void()> function) {
  return impl_->watch(fd, asio::posix::descriptor_base::wait_read, std::move(function));
}

Registration Loop::on_writable(int fd, UniqueFunction<void()> function) {
  return impl_->watch(fd, asio::posix::descriptor_base::wait_write, std::move(function));
}

Registration Loop::on_signals(std::initializer_list<int> signals, UniqueFunction<void(int)> function) {
  const auto state = std::make_shared<Signals>(impl_->context, impl_->turn, signals, std::move(function));
  state->start();
  return Registration(state);
}

}  // namespace lovage::net
