#include "net/signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "net/callback.hpp"
#include "net/fd.hpp"

namespace lovage::net {
namespace {

// Of each signal: the pipe that its number goes into, plus one, or 0. A handler has nothing but what is global.
std::array<std::atomic<int>, NSIG> pipes{};
static_assert(std::atomic<int>::is_always_lock_free);

void on_signal(int number) {
  const int error = errno;
  const auto byte = static_cast<unsigned char>(number);
  // A pipe that is full holds thousands that nobody has looked at yet: one more says nothing new.
  (void)!::write(pipes[static_cast<std::size_t>(number)].load() - 1, &byte, sizeof byte);
  errno = error;
}

class Signals final : public Registration::State, public std::enable_shared_from_this<Signals> {
 public:
  explicit Signals(UniqueFunction<void(int)> function) : callback_(std::move(function)) {}
  ~Signals() override { cancel(); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  void start(Poller& poller, std::initializer_list<int> signals) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
      throw std::system_error(errno, std::generic_category(), "pipe2");
    out_ = Fd(ends[0]);
    in_ = Fd(ends[1]);
    for (const int signal : signals) catch_signal(signal);
    watch_ = Registration(poller.watch(out_.get(), Poller::What::readable, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->report();
    }));
  }
  void cancel() noexcept override {
    for (const int signal : std::exchange(caught_, {})) {
      std::signal(signal, SIG_DFL);
      pipes[static_cast<std::size_t>(signal)] = 0;
    }
    watch_.reset();
    callback_.end();
  }

 private:
  void catch_signal(int signal) {
    int nobody = 0;
    if (!pipes.at(static_cast<std::size_t>(signal)).compare_exchange_strong(nobody, in_.get() + 1))
      throw std::logic_error("a signal that is watched already");
    caught_.push_back(signal);
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigfillset(&action.sa_mask);
    if (::sigaction(signal, &action, nullptr) != 0)
      throw std::system_error(errno, std::generic_category(), "sigaction");
  }
  void report() {
    unsigned char number = 0;
    while (!callback_.ended() && ::read(out_.get(), &number, sizeof number) == 1) callback_.call(number);
  }

  Fd out_;
  Fd in_;
  std::vector<int> caught_;
  Registration watch_;
  Callback<int> callback_;
};

}  // namespace

std::shared_ptr<Registration::State> watch_signals(Poller& poller, std::initializer_list<int> signals,
                                                   UniqueFunction<void(int)> function) {
  const auto state = std::make_shared<Signals>(std::move(function));
  state->start(poller, signals);
  return state;
}

}  // namespace lovage::net
