// A store in the memory of this process: queues, reservations, schedule, dead letters and results, under one lock
// that is taken once for a batch. Workers that wait are woken, nobody polls.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/strong.hpp"
#include "broker/broker.hpp"
#include "broker/lease_observer.hpp"
#include "broker/memory/bell.hpp"
#include "broker/memory/chord_table.hpp"
#include "broker/memory/exchanges.hpp"
#include "broker/memory/graph_table.hpp"
#include "broker/memory/queue.hpp"
#include "broker/memory/result_table.hpp"

namespace lovage::broker::memory {

struct StoreOptions {
  std::chrono::seconds result_expires{86'400};  // 0: never
  const Clock* clock = &Clock::system();        // outlives the store
};

// An incarnation in the store; never used again.
using WorkerId = Strong<struct WorkerIdTag, std::uint64_t>;

// What a worker wants done with what it has reserved.
struct StateUpdate {
  Token token;
  StoreResult result;
};
struct StartRecord {
  Token token;
};
using Work = std::variant<Settlement, StateUpdate, StartRecord>;

// What a worker would take.
struct Credit {
  std::size_t messages = 0;
  std::size_t bytes = 0;
  bool used = false;    // something was taken on it: the first message comes whatever its size
  bool adopts = false;  // continuations that others died with, too: they come beside the rest
};

struct Reserved {
  std::vector<Delivery> deliveries;
  bool lost = false;  // the worker is not registered any more
  // There was no more to take: the bell rings when something comes, but not when this falls due.
  std::optional<Timestamp> next_due;
};

// Thread-safe. Not for use after fork(): the child has a copy, whose lock may be held by a thread that it has not.
class Store {
 public:
  Store(std::string name, const StoreOptions& options);

  [[nodiscard]] const Clock& clock() const noexcept { return *options_.clock; }
  [[nodiscard]] std::string identity() const;
  [[nodiscard]] std::string display_url() const { return "memory://" + name_; }
  // For clocks that somebody moves: workers look again for what is due.
  void clock_moved();
  // Until no queue that a worker serves holds a message that is due, and no worker one that is not settled; false: not
  // by the deadline.
  bool wait_until_idle(Deadline deadline);

  // --- Messages (store_messages.cpp) ---------------------------------------------------------------
  std::vector<Result<void>> publish(std::span<const wire::TaskMessage> messages);
  void declare(std::span<const wire::QueueDeclaration> queues);
  // Takes messages by priority over the worker's queues, first in first out inside a list. When it takes less than
  // the credit allows, the worker's bell rings for what comes next. For continuations it rings anyway.
  Reserved reserve(WorkerId id, const Credit& credit);

  // --- Settling (store_settle.cpp) -----------------------------------------------------------------
  // One status for each, in order. Results are moved out of `works`.
  std::vector<SettleStatus> carry_out(WorkerId id, std::span<Work> works);

  // --- Workers (store_workers.cpp) -----------------------------------------------------------------
  WorkerId add_worker(const IncarnationId& incarnation, const std::string& node_name, std::shared_ptr<Bell> bell);
  void add_queue(WorkerId id, const wire::QueueDeclaration& queue);
  void cancel_queue(WorkerId id, const std::string& name);
  // Gives everything back to where it stood and unregisters; a clean end leaves no suspects.
  void remove_worker(WorkerId id);
  bool renew(const IncarnationId& incarnation);  // false: not registered
  // What the store's sweeper sees; nothing when that is another than `holder`, who is it from now on until a `lease`
  // has passed.
  std::optional<LeaseSnapshot> look_as_sweeper(const IncarnationId& holder, std::chrono::milliseconds lease);
  // Gives the messages of a dead worker back, as suspects; nothing when its counter has moved on.
  std::optional<Lease::Swept> sweep(const DeadIncarnation& dead);
  std::vector<WorkerInfo> workers();

  // --- Results (store_results.cpp) -----------------------------------------------------------------
  void put_results(std::span<const StoreResult> results);
  std::vector<std::optional<std::string>> results(std::span<const std::string> task_ids);
  std::optional<std::string> wait_for_result(const std::string& task_id, Deadline deadline);
  void forget(const std::string& task_id);
  // Removes some results that have expired, and what else has; how many results.
  std::size_t expire_results(std::size_t most);

  // --- Chords and groups (store_chords.cpp): see Backend -------------------------------------------
  void start_chord(const ChordStart& start);
  void extend_chord(const std::string& group_id);
  bool count_parts(const ChordCount& count);
  ChordParts chord_parts(const std::string& group_id, const std::string& from, std::size_t most);
  void end_chord(const ChordEnd& end);
  void save_group(const std::string& group_id, const std::string& text);
  std::optional<std::string> restore_group(const std::string& group_id);
  void forget_group(const std::string& group_id);

  // --- Graphs of workflows (store_chords.cpp): see Broker -------------------------------------------
  void store_graph(const Graph& graph);
  Result<std::string> graph_page(const std::string& graph_id, std::uint64_t page);
  void use_graph(const GraphUse& use);

  // --- Management (store_manage.cpp) ---------------------------------------------------------------
  std::vector<QueueInfo> queues(std::span<const std::string> names);  // none: all
  std::uint64_t purge(const std::string& queue);
  std::uint64_t count_dead_letters();
  std::vector<DeadLetterEntry> dead_letters(std::size_t limit);
  std::optional<DeadLetterEntry> dead_letter(const std::string& key_or_id);
  Result<void> retry_dead_letter(const std::string& key, const wire::TaskMessage& message);
  void bury(std::span<const BuriedMessage> messages);  // (store_settle.cpp)
  std::uint64_t purge_dead_letters(const std::optional<std::string>& key);
  std::uint64_t release(Timestamp due);   // moves what is due by then to the queues; how many
  void survey(const SurveyVisit& visit);  // (store_survey.cpp)

 private:
  using Queues = std::map<std::string, Queue, std::less<>>;
  using Entry = Queues::value_type;  // of a queue; it stays where it is

  struct Reservation {
    Entry* queue = nullptr;
    int step = 0;
    bool started = false;  // recorded
    Message message;
    std::optional<std::string> continuation{};  // has taken the message's place
  };
  // A continuation whose worker has gone: waits for another that serves its queue.
  struct Waiting {
    std::string queue;
    int step = 0;
    std::string text;
  };
  struct Worker {
    IncarnationId incarnation;
    std::string node_name;
    std::shared_ptr<Bell> bell;
    std::uint64_t counter = 0;
    std::vector<Entry*> queues;
    std::size_t first_queue = 0;  // is asked first, so that none starves
    std::unordered_map<Token, Reservation> reserved;
    std::uint64_t next_token = 1;
    std::optional<Token> lone;      // a suspect, that runs alone
    std::set<std::string> unknown;  // tasks that it has given back because it does not know them
    bool listening = false;         // its bell rings for what comes
  };

  // Of a survey, under the lock.
  void add_reserved(std::vector<Found>& found) const;
  void add_dead(std::vector<Found>& found) const;
  void add_continuations(std::vector<Found>& found) const;

  // Holds the store, and rings the bells of those for whom something came once it has let go.
  class Turn {
   public:
    explicit Turn(Store& store) : store_(store), lock_(store.mutex_) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn();
    void came(const Entry& queue);
    void continuation_came(const Entry& queue);
    void wake(Worker& worker);

   private:
    Store& store_;
    std::unique_lock<std::mutex> lock_;
    std::vector<std::shared_ptr<Bell>> bells_;
  };

  class Picker;

  // With the lock held.
  [[nodiscard]] bool is_idle() const;
  Entry& queue_named(const std::string& name);
  void drop_if_unused(Entry& queue);
  void declare(const wire::QueueDeclaration& queue);
  Result<std::vector<std::string>> route(const wire::TaskMessage& message) const;
  void place(Turn& turn, const std::vector<std::string>& queues, const wire::SharedMessage& message);
  void adopt(Worker& worker, std::vector<Delivery>& deliveries);
  void pick(Worker& worker, Picker& picker, Timestamp now);
  void pick_unknown(Worker& worker, Entry& queue, int step, Timestamp now, Picker& picker);
  void hand_out(Worker& worker, Entry& queue, int step, Message message, std::chrono::milliseconds ahead,
                Picker& picker);
  Worker* find_worker(WorkerId id);
  Worker* find_worker(const IncarnationId& incarnation);
  void give_back(Turn& turn, WorkerId id);
  SettleStatus carry_out(Turn& turn, Worker& worker, Work& work);
  SettleStatus settle(Turn& turn, Worker& worker, Settlement& settlement);
  void dispose(Turn& turn, Worker& worker, Settlement& settlement, Reservation reservation);
  bool is_carried_on(Settlement& settlement);
  void continue_with(Reservation& reservation, Settlement& settlement);
  void bury_reserved(const Reservation& reservation, Settlement& settlement);
  bool count(const ChordCount& count, Timestamp now);
  void end(const ChordEnd& end, Timestamp now);
  bool route_all(Settlement& settlement, std::vector<std::vector<std::string>>& routed);
  void bury(const BuriedMessage& buried);
  void bury(DeadLetter letter, std::string queue, int step, std::string bytes);
  void put_result(StoreResult result, Timestamp now);

  const std::string name_;
  const StoreOptions options_;
  std::mutex mutex_;  // guards what follows
  Queues queues_;
  Exchanges exchanges_;
  std::map<WorkerId, Worker> workers_;
  std::map<std::uint64_t, DeadLetterEntry> dead_letters_;
  ResultTable results_;
  ChordTable chords_;
  GraphTable graphs_;
  std::deque<Waiting> continuations_;
  std::unordered_multimap<std::string, std::condition_variable*> result_waiters_;
  std::condition_variable idle_;
  std::size_t idle_waiters_ = 0;
  IncarnationId sweeper_;
  Monotonic sweeper_until_{};
  std::uint64_t last_position_ = 0;
  std::uint64_t last_worker_ = 0;
  std::uint64_t last_dead_letter_ = 0;
};

// The process's store of that name, made with `options` when there is none; it lives as long as somebody uses it.
std::shared_ptr<Store> open_store(const std::string& name, const StoreOptions& options);

}  // namespace lovage::broker::memory
