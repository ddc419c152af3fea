#include "client/redis_sync.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <mutex>
#include <utility>

#include "base/process_id.hpp"
#include "client/redis_dial.hpp"

namespace lovage::client {
namespace {

class Connection final : public RedisSync {
 public:
  Connection(net::Socket socket, std::string where) : socket_(std::move(socket)), where_(std::move(where)) {}

  Result<RedisReply> command(std::span<const std::string_view> arguments, Deadline deadline) override {
    std::string bytes;
    append_command(bytes, arguments);
    auto replies = pipeline(bytes, 1, deadline);
    if (!replies) return tl::unexpected(replies.error());
    if (replies->front().is_error()) return tl::unexpected(failure_of(replies->front()));
    return std::move(replies->front());
  }

  Result<std::vector<RedisReply>> read_replies(std::size_t count, Deadline deadline) override {
    std::vector<RedisReply> replies;
    replies.reserve(count);
    while (replies.size() < count) {
      auto reply = read(deadline);
      if (!reply && reply.error().code == Errc::bad_data) return tl::unexpected(reply.error());
      if (!reply) return fail(Errc::uncertain, reply.error().message);
      if (!*reply) return broken(Errc::uncertain, "no answer in time");
      replies.push_back(std::move(**reply));
    }
    return replies;
  }

  Result<void> write(std::string_view bytes, Deadline deadline, net::More more) override {
    if (!usable()) return fail(Errc::unavailable, "the connection to " + where_ + " is closed");
    std::size_t sent = 0;
    asked_ = true;
    while (sent < bytes.size()) {
      const auto transfer = socket_.write_some(bytes.substr(sent), more);
      // From the first byte on nobody can tell what the server has done.
      if (!transfer) return broken(sent == 0 ? transfer.error().code : Errc::uncertain, transfer.error().message);
      sent += transfer->bytes;
      if (transfer->want != net::Want::nothing && !net::block_on({socket_.fd(), transfer->want}, deadline)) {
        return broken(sent == 0 ? Errc::timed_out : Errc::uncertain, "the server did not read in time");
      }
    }
    return {};
  }

  Result<std::optional<RedisReply>> read(Deadline deadline) override {
    if (!open_) return fail(Errc::unavailable, "the connection to " + where_ + " is closed");
    while (true) {
      auto reply = next_reply();
      if (!reply || *reply) return reply;
      const bool now_or_never = deadline.passed();
      if (std::exchange(drained_, false) && now_or_never) return std::nullopt;
      // What has just been asked for is not there yet.
      if (std::exchange(asked_, false) && !now_or_never && !socket_.has_buffered() &&
          !net::block_on({socket_.fd(), net::Want::readable}, deadline))
        return std::nullopt;
      const auto want = take_some();
      if (!want) return tl::unexpected(want.error());
      if (*want != net::Want::nothing && (now_or_never || !net::block_on({socket_.fd(), *want}, deadline)))
        return std::nullopt;
    }
  }

  [[nodiscard]] bool usable() const noexcept override { return open_ && !retired_ && owner_ == process_id(); }
  [[nodiscard]] int fd() const noexcept override { return socket_.fd(); }

 private:
  // Of what has been taken from the socket.
  Result<std::optional<RedisReply>> next_reply() {
    auto reply = reader_.next();
    if (!reply) return broken(reply.error().code, reply.error().message);
    if (*reply && wants_another_server(**reply)) retired_ = true;
    return reply;
  }
  // From the socket, for the reader; or what the socket has to wait for first.
  Result<net::Want> take_some() {
    const auto transfer = socket_.read_some(buffer_);
    if (!transfer) return broken(transfer.error().code, transfer.error().message);
    if (transfer->want != net::Want::nothing) return transfer->want;
    drained_ = transfer->bytes < buffer_.size() && !socket_.has_buffered();
    if (auto fed = reader_.feed({buffer_.data(), transfer->bytes}); !fed)
      return broken(fed.error().code, fed.error().message);
    return net::Want::nothing;
  }
  tl::unexpected<Failure> broken(Errc code, const std::string& why) {
    open_ = false;
    return fail(code, "connection to " + where_ + ": " + why);
  }

  net::Socket socket_;
  const std::string where_;
  RedisReader reader_;
  std::array<char, std::size_t{16} * 1024> buffer_;
  bool open_ = true;
  bool asked_ = false;                // since the last look at the socket
  bool drained_ = false;              // that look took all that was there
  bool retired_ = false;              // its server is not the one to talk to any more
  const pid_t owner_ = process_id();  // after fork() the connection stays the parent's
};

// An idle connection has nothing to say: readable means closed, or out of step.
bool is_quiet(const RedisSync& connection) noexcept {
  pollfd entry{connection.fd(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 0;
}

}  // namespace

Result<std::unique_ptr<RedisSync>> RedisSync::connect(const RedisOptions& options, Deadline deadline) {
  RedisDial dial(options, {}, deadline);
  while (true) {
    auto dialed = dial.advance();
    if (!dialed) return tl::unexpected(dialed.error());
    if (*dialed) return std::make_unique<Connection>(std::move((*dialed)->socket), options.display_url);
    net::block_on(dial.wait(), deadline);
  }
}

Result<RedisReply> RedisSync::command(std::initializer_list<std::string_view> arguments, Deadline deadline) {
  return command(std::span(arguments.begin(), arguments.size()), deadline);
}

Result<std::vector<RedisReply>> RedisSync::pipeline(std::string_view bytes, std::size_t replies, Deadline deadline) {
  if (auto written = write(bytes, deadline); !written) return tl::unexpected(written.error());
  return read_replies(replies, deadline);
}

struct RedisPool::State {
  explicit State(State* of_parent) noexcept : parents(of_parent) {}
  const pid_t owner = process_id();
  // Kept reachable, never used: its mutex may be held by a thread that a forked child has not.
  [[maybe_unused]] State* const parents;
  std::mutex mutex;
  std::vector<std::unique_ptr<RedisSync>> idle;  // guarded by mutex
};

RedisPool::RedisPool(RedisOptions options, std::size_t max_idle)
    : options_(std::move(options)), max_idle_(max_idle), state_(std::make_unique<State>(nullptr).release()) {}

RedisPool::~RedisPool() {
  if (auto* const state = state_.load(); state->owner == process_id()) std::unique_ptr<State>(state).reset();
}

RedisPool::State& RedisPool::state() {
  auto* current = state_.load();
  const pid_t self = process_id();
  while (current->owner != self) {
    auto fresh = std::make_unique<State>(current);
    if (state_.compare_exchange_strong(current, fresh.get())) return *fresh.release();
  }
  return *current;
}

Result<RedisPool::Lease> RedisPool::take(Deadline deadline) {
  while (true) {
    std::unique_ptr<RedisSync> connection;
    {
      State& mine = state();
      const std::lock_guard lock(mine.mutex);
      if (mine.idle.empty()) break;
      connection = std::move(mine.idle.back());
      mine.idle.pop_back();
    }
    if (is_quiet(*connection)) return Lease(*this, std::move(connection));
  }
  auto connection = RedisSync::connect(options_, deadline);
  if (!connection) return tl::unexpected(connection.error());
  return Lease(*this, std::move(*connection));
}

void RedisPool::give_back(std::unique_ptr<RedisSync> connection) noexcept {
  State& mine = state();
  const std::lock_guard lock(mine.mutex);
  if (mine.idle.size() < max_idle_) mine.idle.push_back(std::move(connection));
}

RedisPool::Lease::Lease(RedisPool& pool, std::unique_ptr<RedisSync> connection)
    : pool_(&pool), connection_(std::move(connection)) {}

RedisPool::Lease::~Lease() {
  if (connection_ && connection_->usable()) pool_->give_back(std::move(connection_));
}

}  // namespace lovage::client
