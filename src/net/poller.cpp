#include "net/poller.hpp"

#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "net/callback.hpp"

namespace lovage::net {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::uint64_t tag(std::uint32_t number, int fd) noexcept {
  return std::uint64_t{number} << 32U | static_cast<std::uint32_t>(fd);
}

}  // namespace

class Poller::Watch final : public Registration::State {
 public:
  Watch(Poller& poller, int fd, What what, UniqueFunction<void()> function)
      : poller_(poller), fd_(fd), what_(what), callback_(std::move(function)) {}
  // Now, not at the next wait: the caller may close the descriptor, and its number may come back.
  void cancel() noexcept override {
    if (!callback_.ended()) poller_.end(*this);
    callback_.end();
  }
  void call() { callback_.call(); }
  void abandon() noexcept { callback_.end(); }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] What what() const noexcept { return what_; }

 private:
  Poller& poller_;
  const int fd_;
  const What what_;
  Callback<> callback_;
};

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_) fail("epoll_create1");
  if (!bell_) fail("eventfd");
  Event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = tag(last_number_, bell_.get());
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell_.get(), &event) != 0) fail("epoll_ctl");
}

Poller::~Poller() {
  // What a function holds may end other watches as it goes.
  while (!descriptors_.empty()) {
    const auto last = descriptors_.extract(descriptors_.begin());
    for (const auto& watch : {last.mapped().reader, last.mapped().writer}) {
      if (watch) watch->abandon();
    }
  }
}

std::shared_ptr<Poller::Watch>& Poller::side(Descriptor& descriptor, What what) noexcept {
  return what == What::readable ? descriptor.reader : descriptor.writer;
}

int Poller::control(int operation, int fd, const Descriptor& descriptor) noexcept {
  Event event{};
  event.events = (descriptor.reader ? EPOLLIN : 0U) | (descriptor.writer ? EPOLLOUT : 0U);
  event.data.u64 = tag(descriptor.number, fd);
  return ::epoll_ctl(epoll_.get(), operation, fd, &event);
}

// One that watches the same side already gives way, and has ended.
std::shared_ptr<Registration::State> Poller::watch(int fd, What what, UniqueFunction<void()> function) {
  auto watch = std::make_shared<Watch>(*this, fd, what, std::move(function));
  const auto [entry, is_new] = descriptors_.try_emplace(fd);
  Descriptor& descriptor = entry->second;
  if (is_new) descriptor.number = ++last_number_;
  const auto former = std::exchange(side(descriptor, what), watch);
  if (!former && control(is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, descriptor) != 0) {
    const int error = errno;
    side(descriptor, what) = nullptr;
    if (is_new) descriptors_.erase(entry);
    throw std::system_error(error, std::generic_category(), "epoll_ctl");
  }
  if (former) former->abandon();
  return watch;
}

void Poller::end(const Watch& watch) noexcept {
  const auto entry = descriptors_.find(watch.fd());
  if (entry == descriptors_.end()) return;
  Descriptor& descriptor = entry->second;
  auto& place = side(descriptor, watch.what());
  if (place.get() != &watch) return;
  const auto kept = std::exchange(place, nullptr);  // its owner holds it; a table that changes destroys nobody
  const bool is_last = !descriptor.reader && !descriptor.writer;
  // A descriptor that is closed already has left by itself.
  (void)control(is_last ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, watch.fd(), descriptor);
  if (is_last) descriptors_.erase(entry);
}

std::span<const Poller::Event> Poller::wait(bool may_sleep) {
  // Whoever wakes says so first and looks then whether somebody sleeps; here it is the other way round.
  if (may_sleep) asleep_ = true;
  const bool sleeps = may_sleep && !woken_.load();
  const int count = ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), sleeps ? -1 : 0);
  const int error = errno;
  if (may_sleep) asleep_ = false;
  if (count >= 0) return std::span(events_).first(static_cast<std::size_t>(count));
  if (error != EINTR) throw std::system_error(error, std::generic_category(), "epoll_wait");
  return {};
}

void Poller::handle(const Event& event) {
  const auto entry = descriptors_.find(static_cast<int>(event.data.u64 & 0xffffffffU));
  if (entry == descriptors_.end() || entry->second.number != event.data.u64 >> 32U) return;
  const auto reader = entry->second.reader;
  const auto writer = entry->second.writer;
  constexpr std::uint32_t kBoth = EPOLLHUP | EPOLLERR;
  if (reader && (event.events & (EPOLLIN | kBoth)) != 0) reader->call();
  if (writer && (event.events & (EPOLLOUT | kBoth)) != 0) writer->call();
}

void Poller::wake() noexcept {
  woken_ = true;
  constexpr std::uint64_t kOne = 1;
  if (asleep_.load()) (void)!::write(bell_.get(), &kOne, sizeof kOne);
}

}  // namespace lovage::net
