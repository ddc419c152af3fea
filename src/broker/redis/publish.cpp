// RedisBroker::publish: one LPUSH for each list of a chunk, and a chunk is built while the server works on the one
// before it. One round trip for a single message.
#include <algorithm>
#include <optional>
#include <utility>

#include "broker/redis/redis_broker.hpp"

namespace lovage::broker::redis {
namespace {

// Small enough that the server begins early and that the buffers are used again, not asked of the kernel anew; large
// enough that both sides wake up seldom.
constexpr std::size_t kChunkBytes = 256U << 10U;
// A program that sends to ever new queues declares them again now and then.
constexpr std::size_t kMostDeclared = 1'000;

using Outcomes = std::vector<Result<void>>;

// Messages that travel together.
class Chunk {
 public:
  // `expected`: how many bytes will come at most, about.
  explicit Chunk(std::size_t expected) : expected_(std::min(expected, kChunkBytes + kChunkBytes / 8)) {}

  [[nodiscard]] bool empty() const noexcept { return copies_.empty(); }
  [[nodiscard]] bool is_full() const noexcept { return bytes_ >= kChunkBytes; }
  [[nodiscard]] std::size_t replies() const noexcept { return pushes_.size(); }

  void add(std::size_t message, const std::string& list_key, std::string_view envelope) {
    auto push = std::find_if(pushes_.begin(), pushes_.end(), [&](const Push& known) { return known.key == list_key; });
    if (push == pushes_.end()) {
      push = pushes_.insert(push, {list_key, {}, 0});
      if (pushes_.size() == 1) push->words.reserve(expected_);  // mostly there is no other
    }
    client::append_word(push->words, envelope);
    ++push->count;
    bytes_ += envelope.size();
    copies_.push_back({message, static_cast<std::size_t>(push - pushes_.begin())});
  }

  void append_commands(std::string& out) const {
    out.reserve(out.size() + bytes_ + 16 * copies_.size() + 256 * pushes_.size());
    for (const Push& push : pushes_) {
      client::append_command_head(out, 2 + push.count);
      client::append_word(out, "LPUSH");
      client::append_word(out, push.key);
      out += push.words;
    }
  }

  void fail(const Failure& why, Outcomes& outcomes) const {
    for (const Copy& copy : copies_) outcomes[copy.message] = tl::unexpected(why);
  }
  void take(std::span<const client::RedisReply> replies, Outcomes& outcomes) const {
    for (const Copy& copy : copies_) {
      const auto& reply = replies[copy.push];
      if (reply.is_error()) outcomes[copy.message] = tl::unexpected(client::failure_of(reply));
    }
  }

 private:
  struct Push {
    std::string key;
    std::string words;
    std::size_t count = 0;
  };
  struct Copy {  // of a message, in one list
    std::size_t message = 0;
    std::size_t push = 0;
  };
  std::size_t expected_;
  std::vector<Push> pushes_;
  std::vector<Copy> copies_;
  std::size_t bytes_ = 0;
};

// The same failure for what was not sent: without the doubt.
Failure unsent(Failure why) {
  if (why.code == Errc::uncertain) why.code = Errc::unavailable;
  return why;
}

void fail_from(std::size_t from, const Failure& why, Outcomes& outcomes) {
  for (std::size_t i = from; i < outcomes.size(); ++i) {
    if (outcomes[i]) outcomes[i] = tl::unexpected(why);
  }
}

}  // namespace

std::vector<Result<void>> RedisBroker::publish(std::span<const wire::TaskMessage> messages, Deadline deadline) {
  Outcomes outcomes(messages.size());
  auto connection = pool_.take(deadline);
  if (!connection) {
    fail_from(0, connection.error(), outcomes);
    return outcomes;
  }
  if (const auto declared = declare_new(**connection, messages, deadline); !declared) {
    fail_from(0, unsent(declared.error()), outcomes);
    return outcomes;
  }
  const Routes routes = route(**connection, messages, deadline);

  std::size_t next = 0;
  std::string envelope;
  std::string commands;
  const auto fill = [&](Chunk& chunk) {
    for (; next < messages.size() && !chunk.is_full(); ++next) {
      const auto& lists = routes.ways[routes.way_of[next]];
      if (!lists) {
        outcomes[next] = tl::unexpected(lists.error());
        continue;
      }
      envelope.clear();
      wire::append_envelope(envelope, messages[next]);
      for (const auto& list : *lists) chunk.add(next, list, envelope);
    }
  };
  std::optional<Chunk> under_way;
  while (true) {
    Chunk chunk(next < messages.size() ? (messages.size() - next) * wire::envelope_size(messages[next]) : 0);
    fill(chunk);
    std::optional<Failure> failure;
    if (!chunk.empty()) {
      commands.clear();
      chunk.append_commands(commands);
      if (const auto written = (*connection)->write(commands, deadline); !written) failure = written.error();
    }
    if (failure) chunk.fail(*failure, outcomes);
    if (under_way) {
      const auto replies = (*connection)->read_replies(under_way->replies(), deadline);
      if (replies) {
        under_way->take(*replies, outcomes);
      } else {
        failure = replies.error();
        under_way->fail(*failure, outcomes);
        chunk.fail(*failure, outcomes);
      }
    }
    if (failure) fail_from(next, unsent(*failure), outcomes);
    if (failure || chunk.empty()) return outcomes;
    under_way = std::move(chunk);
  }
}

// Messages that go one way mostly follow each other: each way is looked up once for all of them.
RedisBroker::Routes RedisBroker::route(client::RedisSync& connection, std::span<const wire::TaskMessage> messages,
                                       Deadline deadline) {
  Routes routes;
  routes.way_of.reserve(messages.size());
  const auto same_way = [](const wire::TaskMessage& a, const wire::TaskMessage& b) {
    return a.routing_key == b.routing_key && a.exchange == b.exchange && a.priority == b.priority;
  };
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& message = messages[i];
    if (i == 0 || !same_way(message, messages[i - 1])) routes.ways.push_back(list_keys(connection, message, deadline));
    routes.way_of.push_back(routes.ways.size() - 1);
  }
  return routes;
}

Result<std::vector<std::string>> RedisBroker::list_keys(client::RedisSync& connection, const wire::TaskMessage& message,
                                                        Deadline deadline) {
  if (const auto read = read_bindings(connection, message.exchange, deadline); !read) {
    return tl::unexpected(read.error());
  }
  const std::lock_guard lock(mutex_);
  auto lists = bindings_.lists_for(message);
  if (!lists) return lists;
  for (auto& list : *lists) list = keys_.list(list);
  return lists;
}

Result<void> RedisBroker::read_bindings(client::RedisSync& connection, const std::string& exchange, Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (bindings_.knows(exchange)) return {};
  }
  const auto rows = connection.command({"SMEMBERS", keys_.binding(exchange)}, deadline);
  if (!rows) return tl::unexpected(unsent(rows.error()));
  const std::lock_guard lock(mutex_);
  bindings_.learn(exchange, *rows);
  return {};
}

// Writes the bindings that kombu's declare would write for queues which messages name themselves, once per process.
Result<void> RedisBroker::declare_new(client::RedisSync& connection, std::span<const wire::TaskMessage> messages,
                                      Deadline deadline) {
  std::set<std::string> fresh;
  {
    const std::lock_guard lock(mutex_);
    const std::string* last = nullptr;
    for (const auto& message : messages) {
      if (!message.exchange.empty() || (last != nullptr && *last == message.routing_key)) continue;
      last = &message.routing_key;
      if (!declared_.contains(message.routing_key)) fresh.insert(message.routing_key);
    }
  }
  if (fresh.empty()) return {};
  std::string bytes;
  for (const auto& name : fresh) {
    wire::QueueDeclaration queue;
    queue.name = name;
    client::append_command(bytes, {"SADD", keys_.binding(name), keys_.binding_row(queue)});
  }
  const auto replies = connection.pipeline(bytes, fresh.size(), deadline);
  if (!replies) return tl::unexpected(replies.error());
  for (const auto& reply : *replies) {
    if (reply.is_error()) return tl::unexpected(client::failure_of(reply));
  }
  const std::lock_guard lock(mutex_);
  if (declared_.size() + fresh.size() > kMostDeclared) declared_.clear();
  declared_.merge(fresh);
  return {};
}

}  // namespace lovage::broker::redis
