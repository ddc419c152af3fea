#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "broker/sqlite/schema.hpp"
#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {
namespace {

constexpr std::int64_t kDueAtOnce = 100;
constexpr std::size_t kNamesAtOnce = 100;

// A row of a list, before it is reserved.
struct Row {
  std::int64_t position = 0;
  Delivery delivery;
};

// Says which of the rows that it is offered, in order, one reserve takes.
class Picker {
 public:
  explicit Picker(const ReserveLimits& limits) : limits_(limits), enough_(limits.messages == 0) {}

  [[nodiscard]] bool has_enough() const noexcept { return enough_; }
  [[nodiscard]] std::size_t room() const noexcept { return limits_.messages - rows_.size(); }
  [[nodiscard]] std::vector<Row> take() noexcept { return std::move(rows_); }

  [[nodiscard]] bool wants(std::size_t size, bool suspect) noexcept {
    // A suspect runs alone: it waits until the worker holds nothing, and nothing is taken past it.
    const bool alone = rows_.empty() && !limits_.holds_others;
    const bool fits = rows_.empty() || bytes_ + size <= limits_.bytes;
    if (!fits || (suspect && !alone)) enough_ = true;
    return !enough_;
  }
  void add(Row row) {
    bytes_ += row.delivery.bytes.size();
    enough_ = row.delivery.suspect || rows_.size() + 1 == limits_.messages;
    rows_.push_back(std::move(row));
  }

 private:
  ReserveLimits limits_;
  std::vector<Row> rows_;
  std::size_t bytes_ = 0;
  bool enough_;
};

// The rows of a query: position, bytes, suspect, strikes, waited, due.
Result<void> pick(client::SqliteQuery& rows, const std::string& queue, int step, Timestamp now, Picker& picker) {
  while (!picker.has_enough()) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    const std::string_view bytes = rows.text(1);
    const bool suspect = rows.integer(2) != 0;
    if (!picker.wants(bytes.size(), suspect)) break;
    // What it need not wait any more has been counted in advance.
    const Timestamp due{std::chrono::microseconds(rows.integer(5))};
    const auto ahead = std::chrono::ceil<std::chrono::milliseconds>(std::max(due, now) - now);
    const auto waited = std::max(std::chrono::milliseconds(rows.integer(4)) - ahead, std::chrono::milliseconds(0));
    picker.add({rows.integer(0), Delivery{.token = {},
                                          .queue = queue,
                                          .step = step,
                                          .bytes = std::string(bytes),
                                          .suspect = suspect,
                                          .strikes = static_cast<int>(rows.integer(3)),
                                          .waited_unknown = waited}});
  }
  return {};
}

Result<void> pick_from_list(client::SqliteDb& db, const std::string& queue, int step, Timestamp now, Picker& picker) {
  auto rows = db.query(
      "SELECT position, bytes, suspect, strikes, waited, 0 FROM messages WHERE place = 0 AND queue = ? AND step = ?"
      " ORDER BY position LIMIT ?");
  rows.bind_text(1, queue).bind(2, step).bind(3, static_cast<std::int64_t>(picker.room()));
  return pick(rows, queue, step, now, picker);
}

Result<void> pick_waiting(client::SqliteDb& db, const Store::Waiting& waiting, int step, Timestamp now,
                          Picker& picker) {
  auto rows = db.query(
      "SELECT position, bytes, suspect, strikes, waited, due FROM messages"
      " WHERE place = 2 AND queue = ? AND unknown = ? AND step = ? ORDER BY position LIMIT ?");
  rows.bind_text(1, waiting.queue).bind_text(2, waiting.task).bind(3, step);
  rows.bind(4, static_cast<std::int64_t>(picker.room()));
  return pick(rows, waiting.queue, step, now, picker);
}

Result<std::vector<std::int64_t>> positions_of(client::SqliteQuery& rows) {
  std::vector<std::int64_t> positions;
  for (;;) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return positions;
    positions.push_back(rows.integer(0));
  }
}

}  // namespace

Store::Store(std::unique_ptr<client::SqliteDb> db, const StoreOptions& options) noexcept
    : db_(std::move(db)), options_(options) {}

Result<std::unique_ptr<Store>> Store::open(const client::SqliteOptions& file, const StoreOptions& options,
                                           Deadline deadline) {
  auto db = client::SqliteDb::open(file, deadline);
  if (!db) return tl::unexpected(db.error());
  if (auto prepared = prepare_schema(**db, deadline); !prepared) {
    return fail(prepared.error().code, fmt::format("'{}': {}", file.path, prepared.error().message));
  }
  return std::unique_ptr<Store>(new Store(std::move(*db), options));
}

Result<std::vector<std::string>> Store::route(const wire::TaskMessage& message) {
  if (message.exchange.empty()) return std::vector<std::string>{message.routing_key};
  auto rows = db_->query(
      "SELECT e.type, b.routing_key, b.pattern, b.queue FROM exchanges e JOIN bindings b ON b.exchange = e.name"
      " WHERE e.name = ?");
  rows.bind_text(1, message.exchange);
  auto type = wire::ExchangeType::direct;
  std::vector<wire::Binding> bindings;
  for (;;) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    type = static_cast<wire::ExchangeType>(rows.integer(0));
    bindings.push_back({std::string(rows.text(1)), std::string(rows.text(2)), std::string(rows.text(3))});
  }
  auto queues = wire::route(type, bindings, message.routing_key);
  if (!queues.empty()) return queues;
  return fail(Errc::not_found, fmt::format("exchange '{}' has no queue bound for routing key '{}'", message.exchange,
                                           message.routing_key));
}

Result<void> Store::publish(const wire::TaskMessage& message, std::span<const std::string> queues) {
  return insert_ready(message, queues, wire::encode_envelope(message));
}

Result<void> Store::publish(const wire::TaskMessage& message) {
  return publish(message, wire::encode_envelope(message));
}

Result<void> Store::publish(const wire::TaskMessage& message, std::string_view envelope) {
  auto queues = route(message);
  if (!queues) return tl::unexpected(queues.error());
  return insert_ready(message, *queues, envelope);
}

Result<void> Store::insert_ready(const wire::TaskMessage& message, std::span<const std::string> queues,
                                 std::string_view envelope) {
  for (const auto& queue : queues) {
    auto done = db_->query("INSERT INTO messages(queue, step, place, bytes) VALUES(?, ?, 0, ?)")
                    .bind_text(1, queue)
                    .bind(2, wire::priority_step(message.priority))
                    .bind_blob(3, envelope)
                    .run();
    if (!done) return tl::unexpected(done.error());
  }
  return {};
}

Result<void> Store::declare(const wire::QueueDeclaration& queue) {
  const std::string& exchange = queue.exchange.empty() ? queue.name : queue.exchange;
  const wire::Binding binding = wire::binding_of(queue);
  auto done = db_->query("INSERT OR IGNORE INTO queues VALUES(?)").bind_text(1, queue.name).run();
  if (done) {
    done = db_->query(
                  "INSERT INTO exchanges VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET type = excluded.type"
                  " WHERE type <> excluded.type")
               .bind_text(1, exchange)
               .bind(2, static_cast<std::int64_t>(queue.exchange_type))
               .run();
  }
  if (done) {
    done = db_->query("INSERT OR IGNORE INTO bindings VALUES(?, ?, ?, ?)")
               .bind_text(1, exchange)
               .bind_text(2, binding.routing_key)
               .bind_text(3, binding.pattern)
               .bind_text(4, binding.queue)
               .run();
  }
  if (!done) return tl::unexpected(done.error());
  return {};
}

Result<void> Store::move_to_tail(std::int64_t position) {
  auto moved = db_->query(
                      "UPDATE messages SET place = 0, due = NULL, unknown = NULL,"
                      " position = (SELECT max(position) + 1 FROM messages) WHERE position = ?")
                   .bind(1, position)
                   .run();
  if (!moved) return tl::unexpected(moved.error());
  return {};
}

Result<void> Store::move_due(std::span<const std::string> queues) {
  const std::int64_t until = now().time_since_epoch().count();
  std::int64_t room = kDueAtOnce;
  for (const auto& queue : queues) {
    auto rows =
        db_->query("SELECT position FROM messages WHERE place = 2 AND queue = ? AND due <= ? ORDER BY due LIMIT ?");
    auto due = positions_of(rows.bind_text(1, queue).bind(2, until).bind(3, room));
    if (!due) return tl::unexpected(due.error());
    for (const std::int64_t position : *due) {
      if (auto moved = move_to_tail(position); !moved) return moved;
    }
    room -= static_cast<std::int64_t>(due->size());
    if (room <= 0) break;
  }
  return {};
}

Result<std::int64_t> Store::release(Timestamp due, std::int64_t limit) {
  auto rows = db_->query("SELECT position FROM messages WHERE place = 2 AND due <= ? ORDER BY queue, due LIMIT ?");
  auto found = positions_of(rows.bind(1, due.time_since_epoch().count()).bind(2, limit));
  if (!found) return tl::unexpected(found.error());
  for (const std::int64_t position : *found) {
    if (auto moved = move_to_tail(position); !moved) return tl::unexpected(moved.error());
  }
  return static_cast<std::int64_t>(found->size());
}

Result<std::vector<Delivery>> Store::reserve(OwnerId owner, std::span<const std::string> queues, std::size_t first,
                                             const ReserveLimits& limits, std::span<const Waiting> waiting,
                                             std::uint64_t& next_token) {
  Picker picker(limits);
  const Timestamp now = this->now();
  for (const int step : wire::kDefaultPrioritySteps) {
    for (const auto& each : waiting) {
      if (picker.has_enough()) break;
      if (auto read = pick_waiting(*db_, each, step, now, picker); !read) return tl::unexpected(read.error());
    }
    for (std::size_t i = 0; i < queues.size() && !picker.has_enough(); ++i) {
      if (auto read = pick_from_list(*db_, queues[(first + i) % queues.size()], step, now, picker); !read) {
        return tl::unexpected(read.error());
      }
    }
  }
  std::vector<Delivery> taken;
  for (auto& [position, delivery] : picker.take()) {
    delivery.token = Token(next_token++);
    auto claimed =
        db_->query("UPDATE messages SET place = 1, owner = ?, token = ?, due = NULL, unknown = NULL WHERE position = ?")
            .bind(1, owner.get())
            .bind(2, static_cast<std::int64_t>(delivery.token.get()))
            .bind(3, position)
            .run();
    if (!claimed) return tl::unexpected(claimed.error());
    taken.push_back(std::move(delivery));
  }
  return taken;
}

Result<std::vector<Store::Waiting>> Store::waiting_for_others(std::span<const std::string> queues,
                                                              const TaskNames& unknown) {
  std::vector<Waiting> found;
  std::size_t looks = kNamesAtOnce;
  for (const auto& queue : queues) {
    for (std::string last; looks > 0; --looks) {
      auto row = db_->query(
          "SELECT unknown FROM messages WHERE place = 2 AND unknown IS NOT NULL AND queue = ? AND unknown > ?"
          " ORDER BY unknown LIMIT 1");
      auto more = row.bind_text(1, queue).bind_text(2, last).step();
      if (!more) return tl::unexpected(more.error());
      if (!*more) break;
      last = row.text(0);
      if (!unknown.contains(last)) found.push_back({queue, last});
    }
  }
  return found;
}

Result<bool> Store::has_ready(std::span<const std::string> queues) {
  for (const auto& queue : queues) {
    auto row = db_->query("SELECT 1 FROM messages WHERE place = 0 AND queue = ? LIMIT 1");
    auto found = row.bind_text(1, queue).step();
    if (!found || *found) return found;
  }
  return false;
}

Result<std::optional<Timestamp>> Store::next_due(std::span<const std::string> queues) {
  std::optional<Timestamp> next;
  for (const auto& queue : queues) {
    auto row = db_->query("SELECT due FROM messages WHERE place = 2 AND queue = ? ORDER BY due LIMIT 1");
    auto found = row.bind_text(1, queue).step();
    if (!found) return tl::unexpected(found.error());
    if (!*found) continue;
    const Timestamp due{std::chrono::microseconds(row.integer(0))};
    if (!next || due < *next) next = due;
  }
  return next;
}

}  // namespace lovage::broker::sqlite
