#include "net/stream.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <array>
#include <utility>

#include "net/loop.hpp"

namespace lovage::net {
namespace {

constexpr std::size_t kReadSize = std::size_t{64} * 1024;
constexpr int kMaxReadsPerTurn = 16;  // then others get their turn

}  // namespace

struct Stream::Impl : std::enable_shared_from_this<Stream::Impl> {
  Impl(Loop& event_loop, Socket connected, Handlers calls)
      : loop(event_loop), socket(std::move(connected)), handlers(std::move(calls)), buffer(kReadSize, '\0') {}

  void start() {
    readable = loop.on_readable(socket.fd(), [this] { on_readable(); });
  }

  void close() {
    closed = true;
    readable.reset();
    writable.reset();
  }

  void lose(const Failure& why) {
    if (closed) return;
    close();
    handlers.on_lost(why);
  }

  void on_readable() {
    const auto self = shared_from_this();  // a handler may destroy the stream
    read();
    // TLS may have had to read before it could write on.
    if (!closed && !out.empty() && !writable) write_or_lose();
  }

  void on_writable() {
    const auto self = shared_from_this();
    write_or_lose();
    // ... or to write before it could read on.
    if (!closed && socket.has_buffered()) read();
  }

  void write_or_lose() {
    if (auto done = write_pending(); !done) lose(done.error());
  }

  void read() {
    for (int i = 0; i < kMaxReadsPerTurn && !closed; ++i) {
      const auto got = socket.read_some(buffer);
      if (!got) return lose(got.error());
      if (got->want == Want::writable) return watch_writable();
      if (got->want == Want::readable) return;
      handlers.on_bytes(std::string_view(buffer).substr(0, got->bytes));
      if (got->bytes < buffer.size() && !socket.has_buffered()) return;
    }
    if (!closed && socket.has_buffered()) {
      loop.post([weak = weak_from_this()] {
        if (const auto stream = weak.lock(); stream && !stream->closed) stream->on_readable();
      });
    }
  }

  // Fails with what broke; the caller decides from where to report it.
  Result<void> write_pending() {
    while (offset < out.size()) {
      const auto sent = socket.write_some(std::string_view(out).substr(offset));
      if (!sent) return tl::unexpected(sent.error());
      if (sent->want == Want::readable) return {};  // TLS wants to read first: on_readable() comes back here
      if (sent->want == Want::writable) {
        watch_writable();
        return {};
      }
      offset += sent->bytes;
      written += sent->bytes;
    }
    out.clear();
    offset = 0;
    writable.reset();
    return {};
  }

  void watch_writable() {
    if (writable) return;
    writable = loop.on_writable(socket.fd(), [this] { on_writable(); });
  }

  Loop& loop;
  Socket socket;
  Handlers handlers;
  std::string buffer;
  std::string out;
  std::size_t offset = 0;  // of `out`, written already
  std::uint64_t written = 0;
  bool closed = false;
  // Last: they end before the socket closes.
  Registration readable;
  Registration writable;
};

Stream::Stream(Loop& loop, Socket socket, Handlers handlers)
    : impl_(std::make_shared<Impl>(loop, std::move(socket), std::move(handlers))) {
  impl_->start();
}

Stream::~Stream() {
  impl_->close();
}

void Stream::write(std::string& bytes) {
  if (impl_->closed) return bytes.clear();
  const bool idle = impl_->out.empty();
  if (idle) {
    impl_->out.swap(bytes);
  } else {
    impl_->out += bytes;
    bytes.clear();
  }
  if (!idle) return;
  if (auto done = impl_->write_pending(); !done) {
    impl_->loop.post([weak = impl_->weak_from_this(), why = done.error()] {
      if (const auto stream = weak.lock()) stream->lose(why);
    });
  }
}

std::uint64_t Stream::written() const noexcept {
  return impl_->written;
}

std::uint64_t Stream::in_transit() const noexcept {
  int bytes = 0;
  if (::ioctl(impl_->socket.fd(), SIOCOUTQ, &bytes) != 0 || bytes < 0) return 0;
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace lovage::net
