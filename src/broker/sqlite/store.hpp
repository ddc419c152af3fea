// The operations on Lovage's SQLite database: one call is one statement or a few; the caller puts them
// into transactions. What a message, a worker and a result are, is in schema.cpp.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/broker.hpp"
#include "broker/lease_observer.hpp"
#include "client/sqlite_db.hpp"

namespace lovage::broker::sqlite {

// A worker's row: what reservations are owned by.
using OwnerId = Strong<struct OwnerIdTag, std::int64_t>;

struct StoreOptions {
  std::chrono::seconds result_expires{86'400};  // 0: never
  const Clock* clock = &Clock::system();
};

// Tasks that a worker does not know.
using TaskNames = std::set<std::string, std::less<>>;

// How much one reserve may take.
struct ReserveLimits {
  std::size_t messages = 0;
  std::size_t bytes = 0;
  bool holds_others = false;  // the worker holds messages already: a suspect must wait
};

// One connection; one thread at a time.
class Store {
 public:
  static Result<std::unique_ptr<Store>> open(const client::SqliteOptions& file, const StoreOptions& options,
                                             Deadline deadline);

  [[nodiscard]] client::SqliteDb& db() noexcept { return *db_; }
  [[nodiscard]] Timestamp now() const { return options_.clock->now(); }

  // --- Messages (store_messages.cpp) ---------------------------------------------------------------
  // The queues a message goes to; not_found when its exchange has no binding for its key.
  Result<std::vector<std::string>> route(const wire::TaskMessage& message);
  Result<void> publish(const wire::TaskMessage& message, std::span<const std::string> queues);
  Result<void> publish(const wire::TaskMessage& message);
  // The same with the envelope made in advance, where others need not wait for it.
  Result<void> publish(const wire::TaskMessage& message, std::string_view envelope);
  Result<void> declare(const wire::QueueDeclaration& queue);
  // Moves what is due, up to 100, to the tails of their lists.
  Result<void> move_due(std::span<const std::string> queues);
  // Moves what is due by then, some at a time; how many.
  Result<std::int64_t> release(Timestamp due, std::int64_t limit);
  // The tasks, `unknown` ones left out, of messages that wait because some worker did not know them: at most 100 names.
  struct Waiting {
    std::string queue;
    std::string task;
  };
  Result<std::vector<Waiting>> waiting_for_others(std::span<const std::string> queues, const TaskNames& unknown);
  // Takes messages by priority over all queues, first in first out inside a list; tokens count up from
  // `next_token`. `first` says which queue is asked first, so that none starves. Those of `waiting` come first.
  Result<std::vector<Delivery>> reserve(OwnerId owner, std::span<const std::string> queues, std::size_t first,
                                        const ReserveLimits& limits, std::span<const Waiting> waiting,
                                        std::uint64_t& next_token);
  Result<bool> has_ready(std::span<const std::string> queues);
  Result<std::optional<Timestamp>> next_due(std::span<const std::string> queues);
  // Whether continuations wait for a worker of these queues.
  Result<bool> has_continuations(std::span<const std::string> queues);
  // Takes such continuations, the oldest of each queue first, up to `most` and about a MiB (one always fits).
  Result<std::vector<Delivery>> adopt(OwnerId owner, std::span<const std::string> queues, std::size_t most,
                                      std::uint64_t& next_token);

  // --- Settling (store_settle.cpp) -----------------------------------------------------------------
  // An error means that the transaction has to be rolled back; `failed` that nothing was written.
  Result<SettleStatus> settle(OwnerId owner, const Settlement& settlement);
  Result<void> bury(const BuriedMessage& buried);
  Result<SettleStatus> store_state(OwnerId owner, Token token, const StoreResult& result);
  Result<SettleStatus> record_start(OwnerId owner, Token token);

  // --- Results (store_results.cpp) -----------------------------------------------------------------
  Result<void> put_result(const StoreResult& result);
  struct StoredResult {
    std::string state;
    std::string meta;
  };
  Result<std::optional<StoredResult>> result(const std::string& task_id);
  Result<void> forget(const std::string& task_id);
  // Removes some results that have expired; how many.
  Result<std::int64_t> expire_results(std::int64_t limit);

  // --- Chords and groups (store_chords.cpp): see Backend -------------------------------------------
  Result<void> start_chord(const ChordStart& start);
  Result<void> extend_chord(const std::string& group_id);
  struct Counted {
    bool complete = false;   // all parts are there
    bool continued = false;  // and whoever brought the last one has been told
  };
  Result<Counted> count_parts(const ChordCount& count);
  Result<ChordParts> chord_parts(const std::string& group_id, const std::string& from, std::size_t most);
  Result<void> end_chord(const ChordEnd& end);
  Result<void> save_group(const std::string& group_id, const std::string& text);
  Result<std::optional<std::string>> restore_group(const std::string& group_id);
  Result<void> forget_group(const std::string& group_id);
  // Removes some that have expired; how many. Chords go with their parts.
  Result<std::int64_t> expire_chords(std::int64_t limit);
  Result<std::int64_t> expire_groups(std::int64_t limit);

  // --- Graphs of workflows (store_graphs.cpp): see Broker -------------------------------------------
  Result<void> store_graph(const Graph& graph);
  Result<std::string> graph_page(const std::string& graph_id, std::uint64_t page);
  Result<void> use_graph(const GraphUse& use);
  // Removes some that nobody has used for long; how many.
  Result<std::int64_t> expire_graphs(std::int64_t limit);

  // --- Workers (store_workers.cpp) -----------------------------------------------------------------
  Result<OwnerId> add_worker(const IncarnationId& incarnation, const std::string& node_name);
  Result<bool> has_worker(OwnerId owner);
  Result<bool> renew(const IncarnationId& incarnation);  // false: not registered
  // Gives everything back to where it stood and unregisters; a clean end leaves no suspects.
  Result<void> remove_worker(OwnerId owner);
  Result<LeaseSnapshot> lease_snapshot();
  // The same for a dead worker, whose messages become suspects; nothing when its counter has moved on.
  Result<std::optional<Lease::Swept>> sweep(const DeadIncarnation& dead);
  // Whether `holder` is the store's sweeper, now until `lease` from now.
  Result<bool> is_other_sweeper(const IncarnationId& holder, std::chrono::milliseconds lease);
  Result<void> become_sweeper(const IncarnationId& holder, std::chrono::milliseconds lease);
  Result<std::vector<WorkerInfo>> workers();

  // --- Management (store_manage.cpp) ---------------------------------------------------------------
  Result<std::vector<std::string>> queue_names();
  Result<QueueInfo> queue(const std::string& name);
  Result<std::int64_t> purge(const std::string& queue, std::int64_t limit);
  Result<std::vector<DeadLetterEntry>> dead_letters(std::size_t limit);
  Result<std::uint64_t> count_dead_letters();
  Result<std::optional<DeadLetterEntry>> dead_letter(const std::string& key_or_id);
  Result<std::int64_t> remove_dead_letters(const std::optional<std::string>& key);
  // The next messages of a survey, in `page`, which is empty before; false: there are none (store_survey.cpp).
  struct SurveyCursor {
    std::size_t stage = 0;
    std::string queue;
    std::int64_t first = std::numeric_limits<std::int64_t>::min();
    std::int64_t second = std::numeric_limits<std::int64_t>::min();
    std::uint64_t passed = 0;  // messages of this list
  };
  Result<bool> survey(SurveyCursor& at, std::vector<Sighting>& page);
  // Gives free pages back to the file system, some at a time.
  Result<void> vacuum();

 private:
  Result<std::size_t> survey_ready(SurveyCursor& at, std::vector<Sighting>& page);
  Result<std::size_t> survey_reserved(SurveyCursor& at, std::vector<Sighting>& page);
  Result<std::size_t> survey_scheduled(SurveyCursor& at, std::vector<Sighting>& page);
  Result<std::size_t> survey_dead(SurveyCursor& at, std::vector<Sighting>& page);
  Result<std::size_t> survey_continuations(SurveyCursor& at, std::vector<Sighting>& page);

  Store(std::unique_ptr<client::SqliteDb> db, const StoreOptions& options) noexcept;

  Result<void> move_to_tail(std::int64_t position);
  Result<void> insert_ready(const wire::TaskMessage& message, std::span<const std::string> queues,
                            std::string_view envelope);
  Result<std::int64_t> write_result(const char* sql, const StoreResult& result);
  using Routed = std::vector<std::vector<std::string>>;
  Result<bool> route_all(const Settlement& settlement, std::optional<Settlement>& changed, Routed& routed);
  Result<bool> holds(OwnerId owner, Token token);
  Result<bool> fence(OwnerId owner, const Settlement& settlement);
  Result<void> write_outputs(const Settlement& settlement, const Routed& routed);
  Result<SettleStatus> write_effects(OwnerId owner, const Settlement& settlement, const Routed& routed);
  Result<SettleStatus> write_counts(OwnerId owner, const Settlement& settlement);
  Result<std::int64_t> write_disposal(OwnerId owner, const Settlement& settlement);
  Result<std::int64_t> write_acknowledgement(OwnerId owner, Token token);
  Result<std::int64_t> write_return(OwnerId owner, const Settlement& settlement);
  Result<std::int64_t> write_dead_letter(OwnerId owner, const Settlement& settlement);
  Result<std::int64_t> write_continuation(OwnerId owner, Token token, const std::string& text);
  struct Chord;
  Result<std::optional<Chord>> find_chord(const std::string& group_id);
  Result<Chord> find_or_add_chord(const std::string& group_id);
  Result<void> remove_chord(std::int64_t id);
  Result<void> remove_graph(const std::string& graph_id);
  [[nodiscard]] std::optional<std::int64_t> expiry() const;  // of what is stored now; nothing: never

  std::unique_ptr<client::SqliteDb> db_;
  StoreOptions options_;
  std::int64_t puts_ = 0;  // results stored by this connection
};

}  // namespace lovage::broker::sqlite
