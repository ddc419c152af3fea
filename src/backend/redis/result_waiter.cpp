#include "backend/redis/result_waiter.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <lovage/states.hpp>

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "base/backoff.hpp"
#include "base/process_id.hpp"
#include "wire/result_meta.hpp"

namespace lovage::backend::redis {
namespace {

bool is_ready_meta(const std::string& meta) {
  if (const auto status = wire::peek_status(meta)) return states::is_ready(*status);
  const auto decoded = wire::decode_result_meta(meta);
  return decoded && states::is_ready(decoded->status);
}

// What the waiters of one key know.
struct Channel {
  int waiters = 0;
  std::uint64_t confirmed = 0;      // how often the server has confirmed the subscription: each time a GET is due
  std::optional<std::string> meta;  // ready
  std::optional<Failure> refusal;   // of the look that came with the subscription
};

// One waiter's own looks at its key: GETs on another connection than the one that all share.
struct Looks {
  std::uint64_t answered = 0;          // the confirmations that asked for them
  std::optional<Failure> refused;      // why the last one was refused
  unsigned refusals = 0;               // how often they failed
  Deadline again = Deadline::never();  // when the last one is repeated
};

}  // namespace

struct ResultWaiter::State {
  const pid_t pid = process_id();
  const int wake_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::map<std::string, Channel> channels;
  bool has_leader = false;
  bool transactions = true;                       // the server takes a SUBSCRIBE in a transaction
  std::unique_ptr<client::RedisSync> connection;  // used by the leader alone, but while it holds the mutex
  std::string unwritten;                          // SUBSCRIBE and UNSUBSCRIBE commands
  std::optional<Failure> failure;                 // why there is no connection
  std::optional<Failure> doubt;                   // why the leader is asked to make another
  unsigned attempt = 0;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ::close(wake_fd); }

  void wake_leader() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd, &one, sizeof one);
  }
  void enter(const std::string& key) {
    if (channels[key].waiters++ > 0) return;
    subscribe(key);
    if (has_leader) wake_leader();
  }
  // Alone on the connection, a key is looked at and subscribed to in one step, with one answer. A connection that is
  // subscribed already takes no other commands: there the confirmation asks for a GET on another one.
  void subscribe(const std::string& key) {
    if (!transactions || channels.size() > 1) return client::append_command(unwritten, {"SUBSCRIBE", key});
    client::append_command(unwritten, {"MULTI"});
    client::append_command(unwritten, {"GET", key});
    client::append_command(unwritten, {"SUBSCRIBE", key});
    client::append_command(unwritten, {"EXEC"});
  }
  void leave(const std::string& key) {
    const auto at = channels.find(key);
    if (--at->second.waiters > 0) return;
    channels.erase(at);
    client::append_command(unwritten, {"UNSUBSCRIBE", key});
    if (has_leader) return wake_leader();
    write_out(net::More::yes);  // whoever gives back a result does not wait for this; another wait may come soon
  }

  void lose(const Failure& why) {
    connection.reset();
    unwritten.clear();
    failure = why;
    doubt.reset();
  }
  // From any waiter. The leader may sleep on the connection's descriptor: then it closes it itself.
  void doubt_connection(const Failure& why) {
    if (!has_leader) return lose(why);
    doubt = why;
    wake_leader();
  }
  void write_out(net::More more = net::More::no) {
    if (!connection || unwritten.empty()) return;
    if (auto written = connection->write(unwritten, Deadline::after(std::chrono::seconds(1)), more); !written) {
      return lose(written.error());
    }
    unwritten.clear();
  }
  void resubscribe() {
    unwritten.clear();
    for (const auto& [key, channel] : channels) subscribe(key);
  }
  // What came: [meta or nil, ["subscribe", key, n]] of a transaction, ["subscribe", key, n], ["message", key, meta],
  // ["unsubscribe", ...].
  void take(client::RedisReply& reply) {
    if (reply.is_error() && std::exchange(transactions, false)) return resubscribe();
    if (reply.items.size() == 2 && reply.items[1].items.size() == 3) return take_transaction(reply);
    if (reply.items.size() < 3) return;
    const auto at = channels.find(reply.items[1].text);
    if (at == channels.end()) return;
    if (reply.items[0].text == "subscribe") ++at->second.confirmed;
    if (reply.items[0].text == "message" && is_ready_meta(reply.items[2].text)) {
      at->second.meta = std::move(reply.items[2].text);
    }
    changed.notify_all();
  }
  void take_transaction(client::RedisReply& reply) {
    const auto at = channels.find(reply.items[1].items[1].text);
    if (at == channels.end()) return;
    client::RedisReply& stored = reply.items[0];
    if (stored.is_error()) {
      at->second.refusal = client::failure_of(stored);
      ++at->second.confirmed;  // looked at again
    }
    if (!stored.is_nil() && !stored.is_error() && is_ready_meta(stored.text)) at->second.meta = std::move(stored.text);
    changed.notify_all();
  }
  // Whether anything was there.
  bool read_what_is_there() {
    bool any = false;
    while (connection) {
      auto reply = connection->read(Deadline::after(Duration::zero()));
      if (!reply) {
        lose(reply.error());
      } else if (*reply) {
        any = true;
        take(**reply);
      } else {
        break;
      }
    }
    return any;
  }
  void lead_once(std::unique_lock<std::mutex>& lock, const client::RedisOptions& options, Deadline deadline,
                 Deadline wake);
  void sleep_once(std::unique_lock<std::mutex>& lock, const client::RedisOptions& options, Deadline deadline,
                  Deadline wake);
  std::optional<std::string> look(std::unique_lock<std::mutex>& lock, client::RedisPool& pool, const std::string& key,
                                  Deadline deadline, Looks& looks);
};

// One turn of the leader: connect if need be, write, sleep until something comes (or `wake`), read it. The mutex is
// free while it sleeps or connects.
void ResultWaiter::State::lead_once(std::unique_lock<std::mutex>& lock, const client::RedisOptions& options,
                                    Deadline deadline, Deadline wake) {
  if (!connection) {
    const auto pause = attempt > 0 ? Backoff{}.jittered(attempt - 1, random_u64()) : std::chrono::milliseconds(0);
    ++attempt;
    lock.unlock();
    pollfd woken{wake_fd, POLLIN, 0};
    if (pause.count() > 0) ::poll(&woken, 0, deadline.or_earlier(Deadline::after(pause)).poll_timeout());
    auto made = client::RedisSync::connect(options, deadline);
    lock.lock();
    if (!made) return lose(made.error());
    connection = std::move(*made);
    failure.reset();
    doubt.reset();
    attempt = 0;
    resubscribe();
  }
  write_out();
  if (read_what_is_there() || !connection) return;
  std::array<pollfd, 2> ready{pollfd{connection->fd(), POLLIN, 0}, pollfd{wake_fd, POLLIN, 0}};
  lock.unlock();
  ::poll(ready.data(), ready.size(), wake.poll_timeout());
  lock.lock();
  std::uint64_t wakes = 0;
  if (ready[1].revents != 0) [[maybe_unused]]
    const auto drained = ::read(wake_fd, &wakes, sizeof wakes);
  if (doubt) return lose(Failure(*doubt));
  write_out();
  if (ready[0].revents != 0) read_what_is_there();
}

// Until the leader tells that something came, or `wake`; where nobody leads, as the leader.
void ResultWaiter::State::sleep_once(std::unique_lock<std::mutex>& lock, const client::RedisOptions& options,
                                     Deadline deadline, Deadline wake) {
  if (!has_leader) {
    has_leader = true;
    lead_once(lock, options, deadline, wake);
    has_leader = false;
  } else if (wake.is_never()) {
    changed.wait(lock);
  } else {
    changed.wait_until(lock, wake.when());
  }
}

// The meta if it is ready. The mutex is free while the server is asked.
std::optional<std::string> ResultWaiter::State::look(std::unique_lock<std::mutex>& lock, client::RedisPool& pool,
                                                     const std::string& key, Deadline deadline, Looks& looks) {
  looks.answered = channels[key].confirmed;
  looks.again = Deadline::never();
  lock.unlock();
  auto other = pool.take(deadline);
  auto reply =
      other ? (*other)->command({"GET", key}, deadline) : Result<client::RedisReply>(tl::unexpected(other.error()));
  lock.lock();
  looks.refused.reset();
  if (reply) {
    channels[key].refusal.reset();
    if (reply->is_nil() || !is_ready_meta(reply->text)) return std::nullopt;
    return std::move(reply->text);
  }
  const Failure& why = reply.error();
  if (why.code != Errc::refused && why.code != Errc::timed_out) {
    doubt_connection(why);  // the next confirmation asks for a look again
    return std::nullopt;
  }
  if (why.code == Errc::refused) looks.refused = why;
  looks.again = Deadline::after(Backoff{}.jittered(looks.refusals++, random_u64()));
  return std::nullopt;
}

ResultWaiter::ResultWaiter(client::RedisPool& pool) : pool_(pool), state_(new State) {}

ResultWaiter::~ResultWaiter() {
  State* const mine = state_.load();
  if (mine->pid == process_id()) delete mine;
}

// After a fork the parent's state is left as it is: its mutex may be held, its connection is not ours.
ResultWaiter::State& ResultWaiter::state() {
  State* current = state_.load();
  if (current->pid == process_id()) return *current;
  auto fresh = std::make_unique<State>();
  if (state_.compare_exchange_strong(current, fresh.get())) return *fresh.release();
  return *current;
}

Result<std::optional<std::string>> ResultWaiter::wait(const std::string& key, Deadline deadline) {
  State& shared = state();
  std::unique_lock lock(shared.mutex);
  shared.enter(key);
  Looks looks;
  std::optional<std::string> meta;
  for (;;) {
    const Channel& channel = shared.channels[key];
    meta = channel.meta;
    // A second waiter joins a confirmed subscription: it has to look as well.
    const bool due = !meta && (channel.confirmed != looks.answered || looks.again.passed());
    if (due) meta = shared.look(lock, pool_, key, deadline, looks);
    if (meta || deadline.passed()) break;
    if (!due) shared.sleep_once(lock, pool_.options(), deadline, deadline.or_earlier(looks.again));
  }
  const auto refused = looks.refused ? looks.refused : shared.channels[key].refusal;
  const auto failure = refused ? refused : shared.failure;
  shared.leave(key);
  // A leader is needed as long as somebody waits.
  if (!shared.has_leader) shared.changed.notify_all();
  lock.unlock();
  if (!meta && failure) return tl::unexpected(*failure);
  return meta;
}

}  // namespace lovage::backend::redis
