#include "net/resolve.hpp"

#include <netdb.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "net/fd.hpp"

namespace lovage::net {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

Result<std::vector<Address>> look_up(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* raw = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &raw);
  if (error != 0) {
    return fail(Errc::unavailable, "cannot resolve host '" + host +
                                       "': " + (error == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> list(raw);
  std::vector<Address> found;
  for (const addrinfo* item = list.get(); item != nullptr; item = item->ai_next) {
    Address address;
    if (item->ai_addrlen > sizeof(address.storage)) continue;
    std::memcpy(&address.storage, item->ai_addr, item->ai_addrlen);
    address.size = item->ai_addrlen;
    found.push_back(address);
  }
  if (found.empty()) return fail(Errc::unavailable, "host '" + host + "' has no address");
  return found;
}

}  // namespace

struct Resolution::State {
  Fd done{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex;
  std::optional<Result<std::vector<Address>>> answer;  // guarded by mutex

  void set(Result<std::vector<Address>> result) {
    {
      const std::lock_guard lock(mutex);
      answer = std::move(result);
    }
    const std::uint64_t one = 1;
    // Cannot fail on a fresh eventfd; without one the constructor answered already.
    [[maybe_unused]] const auto n = ::write(done.get(), &one, sizeof(one));
  }
};

Resolution::Resolution(const std::string& host, std::uint16_t port) : state_(std::make_shared<State>()) {
  if (!state_->done) {
    state_->set(fail(Errc::unavailable, std::string("cannot resolve: ") + std::strerror(errno)));
    return;
  }
  if (auto numeric = look_up(host, port, AI_NUMERICHOST)) {
    state_->set(std::move(numeric));
    return;
  }
  try {
    std::thread([state = state_, host, port] { state->set(look_up(host, port, 0)); }).detach();
  } catch (const std::system_error& error) {
    state_->set(fail(Errc::unavailable, std::string("cannot resolve: ") + error.what()));
  }
}

int Resolution::fd() const noexcept {
  return state_->done.get();
}

bool Resolution::ready() const {
  const std::lock_guard lock(state_->mutex);
  return state_->answer.has_value();
}

Result<std::vector<Address>> Resolution::take() {
  const std::lock_guard lock(state_->mutex);
  return std::move(*state_->answer);
}

}  // namespace lovage::net
