#include "net/lending.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace lovage::net {

Lending::Lending() : alarm_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
  if (!alarm_) throw std::system_error(errno, std::generic_category(), "timerfd_create");
}

void Lending::begin() {
  const std::lock_guard lock(mutex_);
  may_ask_ = true;
}

void Lending::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    may_ask_ = false;
    asked_ = false;
  }
  changed_.notify_all();
}

void Lending::hand_over() {
  {
    const std::lock_guard lock(mutex_);
    if (!asked_.load()) return;
    holder_ = inside(++ticket_);
  }
  changed_.notify_all();
  std::uint64_t seen = 0;  // the outing at the last ring: it has been out since then
  while (true) {
    await_ring();
    rings_ = false;
    const std::uint64_t outing = outing_.load();
    std::uint64_t holder = holder_.load();
    if (holder == kOwner) return;
    if (holder != outside(ticket_)) continue;
    if (outing == seen && holder_.compare_exchange_strong(holder, kOwner)) return;
    seen = outing;
    ring_soon();
  }
}

void Lending::step_out(Ticket ticket) noexcept {
  ++outing_;
  holder_ = outside(ticket);
  ring_soon();
}

bool Lending::step_in(Ticket ticket) noexcept {
  std::uint64_t holder = outside(ticket);
  return holder_.compare_exchange_strong(holder, inside(ticket));
}

void Lending::give_back(Ticket ticket) noexcept {
  std::uint64_t holder = inside(ticket);
  if (holder_.compare_exchange_strong(holder, kOwner)) ring_in(std::chrono::nanoseconds(1));
}

// One ring serves all outings until it rings: setting a timer costs more than a short task does.
void Lending::ring_soon() noexcept {
  if (!rings_.exchange(true)) ring_in(kRing);
}

void Lending::ring_in(std::chrono::nanoseconds delay) noexcept {
  itimerspec when{};
  when.it_value.tv_nsec = delay.count();
  ::timerfd_settime(alarm_.get(), 0, &when, nullptr);
}

void Lending::await_ring() noexcept {
  std::uint64_t rings = 0;
  while (::read(alarm_.get(), &rings, sizeof rings) < 0 && errno == EINTR) {
  }
}

}  // namespace lovage::net
