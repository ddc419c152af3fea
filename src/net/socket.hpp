// A connected byte stream that never blocks: TCP, a unix socket, or TLS over either. Blocking callers
// poll its descriptor, the loop watches it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/fd.hpp"

struct ssl_st;

namespace lovage::net {

struct TlsOptions {
  bool verify = true;          // the server's certificate
  bool check_hostname = true;  // that it is for the host asked for; only with verify
  std::string ca_file;         // empty: the system's
  std::string cert_file;
  std::string key_file;
};

struct Endpoint {
  std::string host = {};
  std::uint16_t port = 0;
  std::string unix_path = {};  // instead of host and port
  std::optional<TlsOptions> tls = std::nullopt;
};

// What has to happen to a descriptor before a call can go on.
enum class Want { nothing, readable, writable };

// Whether something follows soon: a plain TCP socket holds such bytes back for up to 0.2 s, and sends both together.
enum class More { no, yes };

struct Transfer {
  std::size_t bytes = 0;
  Want want = Want::nothing;
};

class Socket {
 public:
  explicit Socket(Fd fd) noexcept;
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();  // closes without a word: never TLS's goodbye, the socket may be a parent's

  // Turns it into TLS: call handshake() until it wants nothing. `host` is checked against the
  // certificate. Files that cannot be read are `misconfigured`.
  Result<void> start_tls(const TlsOptions& options, const std::string& host);
  Result<Want> handshake();

  // At least one byte, or what to wait for. The other side's close is `unavailable`.
  Result<Transfer> read_some(std::span<char> into);
  Result<Transfer> write_some(std::string_view bytes, More more = More::no);

  // Bytes that TLS has read ahead: no event will announce them.
  [[nodiscard]] bool has_buffered() const noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  Result<Want> tls_want(int result, std::string_view what);

  struct FreeTls {
    void operator()(ssl_st* tls) const noexcept;
  };
  Fd fd_;
  std::unique_ptr<ssl_st, FreeTls> tls_;
  bool tls_broken_ = false;
};

}  // namespace lovage::net
