// How messages reach Redis: one LPUSH for each list of a chunk, and chunks are built while the server works on those
// before them. One round trip for a single message.
#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "broker/redis/redis_broker.hpp"

namespace lovage::broker::redis {
namespace {

// Small enough that the server begins early and that the buffers are used again, not asked of the kernel anew; large
// enough that both sides wake up seldom.
constexpr std::size_t kChunkBytes = 128U << 10U;
// Together a thousand tasks or more: for so many a slow network takes one round trip.
constexpr std::size_t kMostUnderWay = 12;
// A program that sends to ever new queues declares them again now and then.
constexpr std::size_t kMostDeclared = 1'000;

using Outcomes = std::vector<Result<void>>;

// Messages that travel together.
class Chunk {
 public:
  // `room`: for how many bytes there is to be room from the first message on.
  explicit Chunk(std::size_t room) : room_(room) {}

  [[nodiscard]] bool empty() const noexcept { return copies_.empty(); }
  [[nodiscard]] bool is_full() const noexcept { return bytes_ >= kChunkBytes; }
  [[nodiscard]] std::size_t replies() const noexcept { return pushes_.size(); }

  void add(std::size_t message, const std::string& list_key, std::string_view envelope) {
    auto push = std::find_if(pushes_.begin(), pushes_.end(), [&](const Push& known) { return known.key == list_key; });
    if (push == pushes_.end()) {
      push = pushes_.insert(push, {list_key, {}, 0});
      if (pushes_.size() == 1) push->words.reserve(room_);  // mostly there is no other
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

  // Once it is written: what the answer means is all that is still to be known.
  void forget_text() noexcept {
    for (Push& push : pushes_) push.words = {};
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
  std::size_t room_;
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

// Builds chunks while the server works on those before them.
class RedisBroker::Publication final : public Publishing {
 public:
  Publication(RedisBroker& broker, Deadline deadline) : broker_(broker), deadline_(deadline) {}
  Publication(const Publication&) = delete;
  Publication& operator=(const Publication&) = delete;
  ~Publication() override {
    if (!under_way_.empty()) connection_->drop();  // left by an exception
  }

  void send(std::span<const wire::TaskMessage> messages) override {
    const std::size_t seen = outcomes_.size();
    outcomes_.resize(messages.size());
    if (failure_) return;
    if (const auto declared = broker_.declare_new(messages.subspan(seen), deadline_); !declared) {
      failure_ = unsent(declared.error());
      return;
    }
    for (; next_ < messages.size() && !failure_; ++next_) {
      add(messages, next_);
      if (chunk_.is_full()) flush();
    }
  }

  std::vector<Result<void>> finish() override {
    if (!failure_ && !chunk_.empty()) flush();
    await_answers(0);
    if (failure_) {
      chunk_.fail(unsent(*failure_), outcomes_);
      fail_from(next_, unsent(*failure_), outcomes_);
    }
    return std::move(outcomes_);
  }

 private:
  // Messages that go one way mostly follow each other: it is looked up once for all of them.
  void add(std::span<const wire::TaskMessage> messages, std::size_t at) {
    const auto same_way = [](const wire::TaskMessage& a, const wire::TaskMessage& b) {
      return a.routing_key == b.routing_key && a.exchange == b.exchange && a.priority == b.priority;
    };
    if (at == 0 || !same_way(messages[at], messages[at - 1])) lists_ = broker_.list_keys(messages[at], deadline_);
    if (!lists_) {
      outcomes_[at] = tl::unexpected(lists_.error());
      return;
    }
    envelope_.clear();
    wire::append_envelope(envelope_, messages[at]);
    for (const auto& list : *lists_) chunk_.add(at, list, envelope_);
  }

  void flush() {
    Chunk chunk = std::exchange(chunk_, Chunk(kChunkBytes + kChunkBytes / 8));  // who fills one fills others
    commands_.clear();
    chunk.append_commands(commands_);
    if (const auto written = write(); !written) {
      failure_ = written.error();
      is_cut_ = true;
    }
    chunk.forget_text();
    under_way_.push_back(std::move(chunk));
    await_answers(failure_ ? 0 : kMostUnderWay);
  }

  Result<void> write() {
    if (!connection_) {
      auto taken = broker_.pool_.take(deadline_);
      if (!taken) return tl::unexpected(taken.error());
      connection_.emplace(std::move(*taken));
    }
    return (*connection_)->write(commands_, deadline_);
  }

  // Reads what the server says of the oldest chunks under way, until no more than `left` are.
  void await_answers(std::size_t left) {
    for (; under_way_.size() > left; under_way_.pop_front()) {
      Chunk& oldest = under_way_.front();
      const bool is_unwritten = is_cut_ && under_way_.size() == 1;
      auto replies = is_unwritten || is_broken_ ? tl::unexpected(*failure_)
                                                : (*connection_)->read_replies(oldest.replies(), deadline_);
      if (replies) {
        oldest.take(*replies, outcomes_);
        continue;
      }
      is_broken_ = true;
      failure_ = replies.error();
      oldest.fail(*failure_, outcomes_);
    }
  }

  RedisBroker& broker_;
  const Deadline deadline_;
  std::optional<client::RedisPool::Lease> connection_;
  Outcomes outcomes_;
  std::size_t next_ = 0;
  Result<std::vector<std::string>> lists_;  // the way of the message before
  Chunk chunk_{0};
  std::deque<Chunk> under_way_;
  bool is_cut_ = false;     // the last of them was not written whole
  bool is_broken_ = false;  // no answer comes any more
  std::optional<Failure> failure_;
  std::string envelope_;
  std::string commands_;
};

std::vector<Result<void>> RedisBroker::publish(std::span<const wire::TaskMessage> messages, Deadline deadline) {
  Publication publication(*this, deadline);
  publication.send(messages);
  return publication.finish();
}

std::unique_ptr<Publishing> RedisBroker::start_publishing(Deadline deadline) {
  return std::make_unique<Publication>(*this, deadline);
}

Result<std::vector<std::string>> RedisBroker::list_keys(const wire::TaskMessage& message, Deadline deadline) {
  if (const auto read = read_bindings(message.exchange, deadline); !read) {
    return tl::unexpected(read.error());
  }
  const std::lock_guard lock(mutex_);
  auto lists = bindings_.lists_for(message);
  if (!lists) return lists;
  for (auto& list : *lists) list = keys_.list(list);
  return lists;
}

Result<void> RedisBroker::read_bindings(const std::string& exchange, Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (bindings_.knows(exchange)) return {};
  }
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const auto rows = (*connection)->command({"SMEMBERS", keys_.binding(exchange)}, deadline);
  if (!rows) return tl::unexpected(unsent(rows.error()));
  const std::lock_guard lock(mutex_);
  bindings_.learn(exchange, *rows);
  return {};
}

// Writes the bindings that kombu's declare would write for queues which messages name themselves, once per process.
Result<void> RedisBroker::declare_new(std::span<const wire::TaskMessage> messages, Deadline deadline) {
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
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const auto replies = (*connection)->pipeline(bytes, fresh.size(), deadline);
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
