// One incarnation on Redis: reserves through the reserve script, waits at doorbells, settles in batches.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/consumer.hpp"
#include "broker/redis/bindings.hpp"
#include "broker/redis/doorbells.hpp"
#include "broker/redis/keys.hpp"
#include "broker/redis/script.hpp"
#include "broker/redis/settle_batch.hpp"
#include "client/redis_options.hpp"
#include "net/loop.hpp"

namespace lovage::broker::redis {

// What the lease thread tells the loop.
struct Heartbeat {
  std::atomic<std::int64_t> answered_ns{0};  // steady clock: when a renewal was last answered
  std::atomic<bool> lost{false};
  void beat() noexcept;
  [[nodiscard]] bool is_fresh(std::chrono::milliseconds within) const noexcept;
};

struct ConsumerSetup {
  client::RedisOptions redis;
  Keys keys;
  std::optional<ResultStore> results;  // empty: results are stored elsewhere, a settlement has none
  IncarnationId incarnation;
  ConsumerOptions options;
  std::shared_ptr<Heartbeat> heartbeat;
};

// The lists that a queue's messages wait in, one for each priority step. At most 32 a worker.
inline constexpr std::size_t kMaxLists = 32;

class RedisConsumer final : public Consumer {
 public:
  RedisConsumer(net::Loop& loop, ConsumerSetup setup);
  RedisConsumer(const RedisConsumer&) = delete;
  RedisConsumer& operator=(const RedisConsumer&) = delete;
  ~RedisConsumer() override;

  [[nodiscard]] const IncarnationId& incarnation() const noexcept override { return setup_.incarnation; }
  void start(ConsumerEvents& events) override;
  void set_credit(std::size_t messages, std::size_t bytes) override;
  void settle(Settlement settlement) override;
  void store_state(Token token, StoreResult result) override;
  void record_start(Token token) override;
  void stop_reserving(UniqueFunction<void()> done) override;
  void close(UniqueFunction<void()> done) override;
  void add_queue(wire::QueueDeclaration queue) override;
  void cancel_queue(const std::string& queue) override;
  [[nodiscard]] std::optional<Timestamp> now() const override;

 private:
  enum class State { idle, connecting, adopting, ready, lost, closed };

  struct List {
    std::string name;  // without prefix
    std::string queue;
    int step = 0;
    std::string key;
    std::string inbox;
    std::string schedule;
    bool active = true;  // cancelled queues stay known: reservations may still name them
  };

  // --- lifecycle: redis_consumer.cpp
  void add_lists(const wire::QueueDeclaration& queue);
  void connected();
  void disconnected(const Failure& why, std::chrono::milliseconds retry_in);
  void register_incarnation();
  void check_registration();
  void look_for_predecessor();
  void ask_for_time();
  void became_ready();
  void tick();
  void lost();
  void pump_at_end_of_turn();
  void pump();
  void advance_shutdown();
  void give_everything_back();
  void hand_back_schedules();
  void finish_close();
  void later(UniqueFunction<void()> function);
  void server_refused(const char* what, const Failure& failure);
  void try_again();

  // --- reserving: reserving.cpp
  std::deque<List>::iterator find_list(const std::string& key);
  void came(const std::string& list_key, std::string message);
  void take(Token token);
  void take_all();
  void take_all_again();
  void rung(const std::string& list_key);
  void look_everywhere();
  void send_reserves();
  void ask_for_messages();
  [[nodiscard]] bool wants_more() const noexcept {
    return !alone_ && credit_ > 0 && (credit_bytes_ > 0 || credit_untouched_);
  }
  [[nodiscard]] bool may_wait() const;
  void released(Token token);
  void send_reserve(std::size_t messages, std::size_t bytes);
  std::shared_ptr<ScriptCall> reserve_call(std::size_t messages, std::size_t bytes);
  struct Asked {
    std::uint64_t first = 0;
    std::size_t messages = 0;
    std::size_t bytes = 0;
    std::uint64_t wishes = 0;
    bool looks = false;              // into inboxes
    std::vector<std::size_t> order;  // positions in lists_
  };
  void reserved(const Asked& asked, Result<client::RedisReply> reply);
  std::vector<Delivery> take_deliveries(const Asked& asked, client::RedisReply& reply);
  void wake_when_due(std::int64_t in_ms);
  void adopt_unknown(UniqueFunction<void()> done);
  void adopt(std::vector<std::string> fields, UniqueFunction<void()> done);
  std::optional<Delivery> hold_again(const std::string& field, client::RedisReply& message);
  void adopt_continuations();
  void adopted_continuations(std::uint64_t first, const client::RedisReply& reply);
  void compare_count();

  // --- settling: settling.cpp
  void send_settlements();
  bool route(SettleItem& item);  // false: a binding has to be read first
  void declare_queues(const Settlement& settlement);
  void declare_queue(const wire::QueueDeclaration& queue);
  void ask_for_bindings(const std::string& exchange);
  void fill_batch();
  bool add_to_batch(SettleItem& item);  // false: it has no room, and was not taken
  [[nodiscard]] std::optional<InboxMessage> place_of(Token token) const;
  void send_new_batch(SettleBatch& batch);
  void send_with_wait(SettleBatch& batch, Token token);
  void look_at_untaken();
  void one_answered(std::uint64_t number, Token token, bool is_settled);
  [[nodiscard]] std::size_t awaited_batches() const;
  void send_batch(SettleBatch& batch, Send how = Send::by_sha);
  void resend_batches();
  void resend_refused_batches();
  using Batches = std::map<std::uint64_t, SettleBatch>;
  void batch_answered(Batches::iterator found, const client::RedisReply& reply);
  void conclude(Batches::iterator found, std::string_view codes);
  void expire_results(SettleBatch::Entry entry, SettleStatus status, std::size_t from);
  void report(const SettleBatch::Entry& entry, SettleStatus status);
  void report_all_fenced();
  void queue_item(SettleKind kind, Settlement settlement);

  net::Loop& loop_;
  ConsumerSetup setup_;
  ConsumerEvents* events_ = nullptr;
  State state_ = State::idle;
  bool registered_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::deque<List> lists_;  // grows only: names are referred to
  std::vector<wire::QueueDeclaration> queues_;

  struct Held {
    std::size_t list = 0;    // position in lists_
    bool settling = false;   // its settlement waits or is under way
    bool adopted = false;    // a continuation that somebody else died with
    bool has_state = false;  // one was stored, STARTED for example
  };
  // What the server's hash holds of ours, as of the replies that have come: by token.
  std::unordered_map<std::uint64_t, Held> held_;
  std::uint64_t next_token_ = 1;
  // Messages that a wait has brought and that run already, while they are still in their inbox: by token. Most are
  // settled from there. Nothing else is done with messages or inboxes before the server has been asked to reserve
  // these.
  struct Untaken {
    std::size_t list = 0;  // position in lists_
    std::string message;
    bool asked = false;
    std::uint64_t batch = 0;  // what settles it: it went with a wait, or goes once this is reserved; 0: nothing yet
  };
  std::map<std::uint64_t, Untaken> untaken_;
  bool take_refused_ = false;  // one was: nothing is reserved or settled until they have been asked for again
  net::Registration take_timer_;
  bool arms_later_ = false;        // the next wait, together with the outcome of what one has brought
  std::set<std::string> unknown_;  // tasks that this worker has given back because it does not know them

  std::size_t credit_ = 0;
  std::size_t credit_bytes_ = 0;
  bool credit_untouched_ = false;  // nothing came for it yet: one message may, whatever its size
  std::size_t asked_ = 0;          // by reserves that are in flight; waits may bring one each, too
  std::size_t asked_bytes_ = 0;
  std::size_t in_flight_ = 0;
  bool hungry_ = true;          // lists may hold something
  bool look_ = true;            // so may inboxes
  bool everywhere_ = true;      // any list; else those that rang
  std::set<std::size_t> rung_;  // positions in lists_
  std::uint64_t wishes_ = 0;    // how often we became hungry: an older reply does not feed us
  bool plenty_ = false;         // the queues held more than the last reserve took
  bool paused_ = false;         // the reserve script was refused: nothing is asked for until the retry timer
  bool adopting_ = false;       // continuations, by a call that is in flight
  std::size_t adopted_ = 0;     // held
  bool more_to_adopt_ = false;  // when these are done
  bool alone_ = false;          // a suspect is held, or waits until nothing is
  std::size_t turn_ = 0;        // which queue comes first
  Monotonic due_at_ = Monotonic::max();

  std::deque<SettleItem> pending_;    // for the batches after batch_, and what waits for bindings
  std::optional<SettleBatch> batch_;  // the next to be sent, never empty
  Batches outstanding_;
  std::set<std::uint64_t> refused_batches_;  // of the outstanding ones: the server could not, for the moment
  std::vector<std::uint64_t> answered_;
  std::size_t expiring_ = 0;  // calls of expire_results() that are under way
  std::uint64_t next_batch_ = 1;
  Bindings bindings_;
  std::set<std::string> asked_bindings_;
  std::set<std::pair<std::string, std::string>> declared_;  // exchange and row, written by this consumer
  std::size_t declaring_ = 0;                               // of them: not answered yet

  struct ServerTime {
    Timestamp time;
    Monotonic at;
  };
  std::optional<ServerTime> server_time_;
  bool time_asked_ = false;

  UniqueFunction<void()> stop_done_;
  UniqueFunction<void()> close_done_;
  bool stopping_ = false;
  bool inboxes_empty_ = false;
  bool giving_back_ = false;
  bool pump_posted_ = false;

  net::Registration ticks_;
  net::Registration due_timer_;
  net::Registration retry_timer_;
  std::unique_ptr<client::RedisAsync> commands_;
  std::unique_ptr<Doorbells> bells_;
};

}  // namespace lovage::broker::redis
