// A connected socket on the event loop: bytes come in as callbacks, bytes go out in one write a turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_function.hpp"
#include "net/socket.hpp"

namespace lovage::net {

class Loop;

// Loop thread only. Handlers may destroy the stream.
class Stream {
 public:
  struct Handlers {
    UniqueFunction<void(std::string_view)> on_bytes;
    UniqueFunction<void(const Failure&)> on_lost;  // once; nothing is called after it
  };

  Stream(Loop& loop, Socket socket, Handlers handlers);
  ~Stream();  // closes; handlers are not called any more
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Takes `bytes` (leaving it empty, with room for the next) and writes as much as the kernel takes now,
  // the rest as soon as it can. A loss shows in on_lost, later.
  void write(std::string& bytes);
  // How many bytes the kernel has taken since the beginning: what lies beyond has never left.
  [[nodiscard]] std::uint64_t written() const noexcept;
  // How many of them the other side's system has not confirmed yet (with TLS: as they travel).
  [[nodiscard]] std::uint64_t in_transit() const noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lovage::net
