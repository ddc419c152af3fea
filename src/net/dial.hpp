// Making a connection, step by step and without blocking: resolve, connect (each address in turn), TLS.
// The same steps serve blocking callers (poll) and the loop (watches).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "net/resolve.hpp"
#include "net/socket.hpp"

namespace lovage::net {

// Go on when the descriptor is ready, or at `until`.
struct Wait {
  int fd = -1;
  Want want = Want::nothing;
  Deadline until = Deadline::never();
};

// Blocks until the wait is over or the deadline has passed. False: nothing happened in time.
bool block_on(const Wait& wait, Deadline deadline) noexcept;

class Dial {
 public:
  Dial(Endpoint endpoint, Deadline deadline);

  // A connected socket; or nothing: call again when wait() is over.
  Result<std::optional<Socket>> advance();
  [[nodiscard]] Wait wait() const noexcept { return wait_; }

 private:
  Result<bool> resolved();
  Result<bool> connected();
  Result<void> start_next_address();
  Result<bool> secured();

  const Endpoint endpoint_;
  const Deadline deadline_;
  Wait wait_;
  std::optional<Resolution> resolution_;
  std::vector<Address> addresses_;  // still to try, last first
  std::optional<Socket> socket_;
  Deadline address_deadline_ = Deadline::never();
  enum class Step { resolve, connect, secure } step_ = Step::resolve;
};

}  // namespace lovage::net
