#include "client/redis_async.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "client/redis_dial.hpp"
#include "net/loop.hpp"
#include "net/stream.hpp"

namespace lovage::client {
namespace {

// hiredis' reader moves what is left in its buffer after every kilobyte of replies: little is moved fast.
constexpr std::size_t kPiece = std::size_t{16} * 1024;

constexpr std::array<std::string_view, 1> kPing{"PING"};

using RepliesHandler = UniqueFunction<void(Result<std::vector<RedisReply>>)>;

// A request whose replies are not all there.
struct Pending {
  std::uint64_t start = 0;  // where its bytes begin, counted from the connection's first
  std::size_t missing = 1;
  RedisAsync::ReplyHandler one;  // either this ...
  RepliesHandler all;            // ... or this
  std::vector<RedisReply> replies;

  void fail(const Failure& why) const { one ? one(tl::unexpected(why)) : all(tl::unexpected(why)); }
};

// A connection that is being made.
struct Making {
  std::optional<RedisDial> dial;
  net::Registration watch;
  net::Registration timer;  // the dial's limit
  std::optional<DialedRedis> made;

  void start(const RedisAsync::Options& options) {
    // Every candidate has its own limit; the whole has none.
    dial.emplace(options.redis, options.client_name, Deadline::never());
  }
  // As RedisDial::advance(); `again` is called when it can go on.
  Result<std::optional<DialedRedis>> advance(net::Loop& loop, const std::function<void()>& again) {
    // Before the dial closes the descriptor that is watched.
    watch.reset();
    timer.reset();
    auto dialed = dial->advance();
    if (!dialed || *dialed) return dialed;
    const auto wait = dial->wait();
    watch = wait.want == net::Want::writable ? loop.on_writable(wait.fd, again) : loop.on_readable(wait.fd, again);
    if (!wait.until.is_never()) timer = loop.after(wait.until.remaining(), again);
    return dialed;
  }
  void stop() {
    watch.reset();
    timer.reset();
    dial.reset();
    made.reset();
  }
};

bool is_message(const RedisReply& reply) {
  if (reply.kind != RedisReply::Kind::array || reply.items.empty()) return false;
  const auto& kind = reply.items.front().text;
  return kind == "message" || kind == "pmessage";
}

}  // namespace

struct RedisAsync::Impl : std::enable_shared_from_this<RedisAsync::Impl> {
  Impl(net::Loop& event_loop, Options given, Events calls)
      : loop(event_loop), options(std::move(given)), events(std::move(calls)) {}

  enum class State { closed, dialing, ready, waiting };

  void connect() {
    if (state != State::closed && state != State::waiting) return;
    state = State::dialing;
    making.start(options);
    // Later: events never come from within connect().
    making.timer = loop.after(Duration::zero(), [this] { advance_making(); });
    if (options.suspect_after.count() > 0) watch_for(options.suspect_after);
  }

  void advance_making() {
    const auto self = shared_from_this();
    auto dialed = making.advance(loop, [this] { advance_making(); });
    if (!dialed) return lose(dialed.error());
    if (*dialed) return established(std::move(**dialed));
  }

  void established(DialedRedis dialed) {
    making.stop();
    beside.stop();
    watchdog.reset();
    state = State::ready;
    last_heard = std::chrono::steady_clock::now();
    if (options.keepalive.count() > 0) watch_for(options.keepalive);
    client_id = dialed.client_id;
    reader = RedisReader();
    queued = 0;
    stream = std::make_unique<net::Stream>(loop, std::move(dialed.socket),
                                           net::Stream::Handlers{[this](std::string_view bytes) { receive(bytes); },
                                                                 [this](const Failure& why) { lose(why); }});
    if (events.on_connected) events.on_connected();
  }

  void close() {
    state = State::closed;
    ++closes;
    forget_connection();
    pending.clear();
    rejected.clear();
  }

  void forget_connection() {
    making.stop();
    beside.stop();
    watchdog.reset();
    stream.reset();
    out.clear();
    awaiting = false;
    client_id = 0;
    ++generation;
  }

  // The connection is gone, or none could be made: every request fails, and another try is due, or made already.
  void lose(const Failure& why, std::optional<DialedRedis> next = {}) {
    const auto self = shared_from_this();
    const std::string where = state == State::ready ? "connection to " + options.redis.display_url + ": " : "";
    const Failure lost{Errc::unavailable, where + why.message};
    const std::uint64_t written = stream ? stream->written() : 0;
    forget_connection();
    state = State::waiting;
    const auto delay = next ? std::chrono::milliseconds(0) : options.backoff.jittered(attempt++, random_u64());
    making.timer = loop.after(delay, [this] {
      const auto alive = shared_from_this();
      connect();
    });
    const auto now = closes;
    for (const auto& request : std::exchange(pending, {})) {
      request.fail({request.start < written ? Errc::uncertain : Errc::unavailable, lost.message});
      if (closes != now) return;  // a handler closed us
    }
    const auto code = why.code == Errc::uncertain ? Errc::unavailable : why.code;
    if (events.on_disconnected) events.on_disconnected({code, lost.message}, delay);
    if (next && closes == now && state == State::waiting) established(std::move(*next));
  }

  void receive(std::string_view bytes) {
    const auto self = shared_from_this();
    last_heard = std::chrono::steady_clock::now();
    beside.stop();
    const auto now = generation;
    while (generation == now && !bytes.empty()) {
      const auto piece = bytes.substr(0, kPiece);
      bytes.remove_prefix(piece.size());
      if (auto fed = reader.feed(piece); !fed) return lose(fed.error());
      take_replies(now);
    }
    if (generation == now && pending.empty()) awaiting = false;
  }

  void take_replies(std::uint64_t now) {
    while (generation == now) {
      auto reply = reader.next();
      if (!reply) return lose(reply.error());
      if (!*reply) return;
      take_reply(std::move(**reply));
    }
  }

  void take_reply(RedisReply reply) {
    if (events.on_message && is_message(reply)) return events.on_message(std::move(reply));
    if (pending.empty()) return lose({Errc::bad_data, "a reply that answers no command"});
    std::optional<Failure> elsewhere;
    if (wants_another_server(reply)) {
      elsewhere = failure_of(reply);
    } else {
      attempt = 0;  // only a server that does its work ends the back-off
    }
    const auto now = generation;
    auto& front = pending.front();
    if (front.one) {
      const auto request = std::move(front);
      pending.pop_front();
      request.one(std::move(reply));
    } else {
      front.replies.push_back(std::move(reply));
      if (--front.missing == 0) {
        auto request = std::move(front);
        pending.pop_front();
        request.all(std::move(request.replies));
      }
    }
    if (elsewhere && generation == now) lose(*elsewhere);
  }

  void add(Pending request, std::string bytes) {
    if (state != State::ready) return reject(std::move(request));
    request.start = queued;
    queued += bytes.size();
    if (out.empty()) {
      out.swap(bytes);
    } else {
      out += bytes;
    }
    pending.push_back(std::move(request));
    schedule_flush();
  }

  void add_command(std::span<const std::string_view> arguments, ReplyHandler handler) {
    Pending request{queued, 1, std::move(handler), {}, {}};
    if (state != State::ready) return reject(std::move(request));
    const auto before = out.size();
    append_command(out, arguments);
    queued += out.size() - before;
    pending.push_back(std::move(request));
    schedule_flush();
  }

  // Handlers are called later, never from within the call that asked.
  void reject(Pending request) {
    rejected.push_back(std::move(request));
    if (rejected.size() > 1) return;
    loop.at_end_of_turn([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      const auto now = self->closes;
      for (const auto& late : std::exchange(self->rejected, {})) {
        late.fail({Errc::unavailable, "not connected to " + self->options.redis.display_url});
        if (self->closes != now) return;
      }
    });
  }

  void schedule_flush() {
    if (flush_scheduled) return;
    flush_scheduled = true;
    loop.at_end_of_turn([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->flush();
    });
  }

  void flush() {
    flush_scheduled = false;
    if (state != State::ready || out.empty()) return;
    stream->write(out);
    if (std::exchange(awaiting, true)) return;
    last_heard = std::chrono::steady_clock::now();
    reached.reset();
    if (!watchdog) watch_silence(Duration::zero());
  }

  void watch_for(Duration delay) {
    watchdog = loop.after(std::max<Duration>(delay, std::chrono::milliseconds(1)), [this] {
      const auto self = shared_from_this();
      look();
    });
  }

  // Wakes for the next limit of a silence that is so long.
  void watch_silence(Duration silent) {
    const Duration suspect = options.suspect_after;
    const Duration limit = options.reply_timeout;
    Duration next = Duration::max();
    if (suspect.count() > 0) next = silent < suspect ? suspect - silent : suspect;
    if (limit.count() > 0) next = std::min(next, limit - silent);
    if (next != Duration::max()) watch_for(next);
  }

  void look() {
    watchdog.reset();
    if (state == State::dialing) return make_beside();
    const auto now = std::chrono::steady_clock::now();
    if (!awaiting) {
      if (options.keepalive.count() == 0) return;
      const auto quiet = now - last_heard;
      if (quiet < options.keepalive) return watch_for(options.keepalive - quiet);
      return add_command(kPing, [](const Result<RedisReply>&) {});
    }
    if (has_moved()) last_heard = now;
    const auto silent = now - last_heard;
    const auto limit = options.reply_timeout;
    if (limit.count() > 0 && silent >= limit) {
      return lose({Errc::unavailable, "no reply for " + std::to_string(limit.count()) + " ms"});
    }
    if (options.suspect_after.count() > 0 && silent >= options.suspect_after && !beside.dial) make_beside();
    watch_silence(silent);
  }

  void make_beside() {
    beside.start(options);
    beside.timer = loop.after(Duration::zero(), [this] { advance_beside(); });
  }

  // A large request takes its time on its way: then that is open.
  bool has_moved() {
    const auto before = std::exchange(reached, stream->written() - stream->in_transit());
    const bool moved = before && before != reached;
    if (moved) beside.stop();
    return moved;
  }

  void advance_beside() {
    const auto self = shared_from_this();
    auto dialed = beside.advance(loop, [this] { advance_beside(); });
    if (!dialed) return beside.stop();  // of a connection that was made, look() tries again
    if (!*dialed) return;
    if (state == State::dialing) return established(std::move(**dialed));
    beside.made = std::move(*dialed);
    // After what has come on the first connection meanwhile, while this process was stopped or busy.
    beside.timer = loop.after(Duration::zero(), [this] { replace(); });
  }

  void replace() {
    const auto self = shared_from_this();
    if (has_moved() || !beside.made) return;
    lose({Errc::unavailable, "no reply, while the server answers a new connection"}, std::exchange(beside.made, {}));
  }

  net::Loop& loop;
  const Options options;
  const Events events;
  State state = State::closed;
  unsigned attempt = 0;
  // Handlers may end the connection, or close us, while we work on it.
  std::uint64_t generation = 0;
  std::uint64_t closes = 0;
  Making making;                         // its timer is also that of the next try
  Making beside;                         // a second connection, to know whether the first is dead or the server slow
  net::Registration watchdog;            // runs on past the last reply: cheaper than one timer a turn
  bool awaiting = false;                 // replies to what was written
  Monotonic last_heard{};                // or when the first of them was asked for, or what was asked moved on
  std::optional<std::uint64_t> reached;  // bytes that had come to the server's system at the last look
  std::unique_ptr<net::Stream> stream;
  RedisReader reader;
  std::int64_t client_id = 0;
  std::string out;           // this turn's commands
  std::uint64_t queued = 0;  // bytes asked to be written since the connection was made
  bool flush_scheduled = false;
  std::deque<Pending> pending;
  std::vector<Pending> rejected;
};

RedisAsync::RedisAsync(net::Loop& loop, Options options, Events events)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(events))) {}

RedisAsync::~RedisAsync() {
  impl_->close();
}

void RedisAsync::connect() {
  impl_->connect();
}

void RedisAsync::close() {
  impl_->close();
}

bool RedisAsync::connected() const noexcept {
  return impl_->state == Impl::State::ready;
}

std::int64_t RedisAsync::client_id() const noexcept {
  return impl_->client_id;
}

void RedisAsync::command(std::span<const std::string_view> arguments, ReplyHandler handler) {
  impl_->add_command(arguments, std::move(handler));
}

void RedisAsync::command(std::initializer_list<std::string_view> arguments, ReplyHandler handler) {
  impl_->add_command(std::span(arguments.begin(), arguments.size()), std::move(handler));
}

void RedisAsync::pipeline(std::string bytes, std::size_t replies, RepliesHandler handler) {
  impl_->add(Pending{0, replies, {}, std::move(handler), {}}, std::move(bytes));
}

void RedisAsync::reset(const Failure& why) {
  if (impl_->state == Impl::State::ready) impl_->lose(why);
}

}  // namespace lovage::client
