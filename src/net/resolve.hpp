// Host names to addresses, without a thread waiting for the answer.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace lovage::net {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// One look-up. Numeric hosts are answered at once; names are looked up on a thread of their own, because
// getaddrinfo() knows no deadline: whoever has waited long enough drops this object and goes on.
class Resolution {
 public:
  Resolution(const std::string& host, std::uint16_t port);

  // Readable once take() has the answer.
  [[nodiscard]] int fd() const noexcept;
  [[nodiscard]] bool ready() const;
  // Once, when ready. Never empty.
  Result<std::vector<Address>> take();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lovage::net
