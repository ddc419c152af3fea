// The thread of a SQLite consumer: takes orders, works on the store, reports.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "broker/consumer.hpp"
#include "broker/sqlite/access.hpp"
#include "client/commit_watch.hpp"

namespace lovage::broker::sqlite {

struct StateUpdate {
  Token token;
  StoreResult result;
};
struct StartRecord {
  Token token;
};
using Work = std::variant<Settlement, StateUpdate, StartRecord>;

// What the worker would take beyond the deliveries that it had seen when it said so.
struct Credit {
  std::size_t messages = 0;
  std::size_t bytes = 0;
  std::size_t seen_messages = 0;
  std::size_t seen_bytes = 0;
};

// What the loop wants done, gathered until the thread takes it.
struct Orders {
  std::deque<Work> work;
  std::optional<Credit> credit;
  std::optional<std::vector<std::string>> queues;
  std::vector<wire::QueueDeclaration> declare;
  bool reserving = true;  // stays false once it was
  bool closing = false;   // stays true once it was
  std::vector<UniqueFunction<void()>> when_stopped;
  std::vector<UniqueFunction<void()>> when_closed;
};

// What one turn of the thread has to tell, in the order in which it is told.
struct Report {
  bool connected = false;
  std::optional<Failure> failure;
  std::chrono::milliseconds retry_in{0};
  std::vector<std::pair<Token, SettleStatus>> settled;
  std::vector<std::pair<Token, SettleStatus>> started;
  std::vector<Delivery> deliveries;
  bool looked_for_continuations = false;
  bool lost = false;
  std::vector<UniqueFunction<void()>> done;

  [[nodiscard]] bool empty() const noexcept {
    return !connected && !failure && settled.empty() && started.empty() && deliveries.empty() && !lost && done.empty();
  }
};

class ConsumerThread {
 public:
  using Reporter = std::function<void(Report)>;

  struct Identity {
    IncarnationId incarnation;
    std::string node_name;
    std::chrono::milliseconds lease;
  };
  ConsumerThread(std::shared_ptr<StoreAccess> access, Identity identity, std::shared_ptr<std::atomic<bool>> registered,
                 Reporter report);
  ~ConsumerThread();
  ConsumerThread(const ConsumerThread&) = delete;
  ConsumerThread& operator=(const ConsumerThread&) = delete;

  void start();

  // Any thread: changes the orders and wakes the thread.
  template <class Change>
  void order(const Change& change) {
    {
      const std::lock_guard lock(mutex_);
      change(orders_);
      ordered_ = true;
    }
    woken_.notify_one();
  }

 private:
  void run();
  void wait();  // for orders, a commit, something due, or a moment of safety
  void take_orders();
  void turn();  // one transaction, and its report
  Result<void> work(Report& report);
  Result<bool> is_there_work(Store& store);
  Result<void> transact(Store& store, Report& report);
  Result<void> enter_store(Store& store);
  Result<void> do_work(Store& store, Report& report);
  Result<void> do_one(Store& store, const Work& work, Report& report);
  Result<void> reserve(Store& store, Report& report);
  Result<void> adopt(Store& store, Report& report);
  Result<void> look_ahead(Store& store);
  void committed(Report& report);
  void failed(Failure why, Report& report);
  [[nodiscard]] ReserveLimits limits(const Report& report) const;
  [[nodiscard]] bool wants_messages() const;
  [[nodiscard]] bool adopts() const noexcept;
  [[nodiscard]] bool adopts_now() const;
  void note_settled(Token token, SettleStatus status);
  Result<void> subscribe();
  void finish(Report& report);

  const std::shared_ptr<StoreAccess> access_;
  const Identity identity_;
  const std::shared_ptr<std::atomic<bool>> registered_;
  const Reporter report_;

  std::mutex mutex_;  // guards the next four
  std::condition_variable woken_;
  Orders orders_;
  bool ordered_ = false;
  bool rung_ = false;  // somebody has committed
  bool stopping_ = false;

  // The thread's own.
  std::deque<Work> work_;
  Credit credit_;
  std::vector<std::string> queues_;
  std::vector<wire::QueueDeclaration> declare_;
  bool reserving_ = true;
  bool closing_ = false;
  bool closed_ = false;
  std::vector<UniqueFunction<void()>> when_stopped_;
  std::vector<UniqueFunction<void()>> when_closed_;
  std::optional<OwnerId> owner_;
  bool lost_ = false;
  bool told_lost_ = false;
  bool connected_ = false;
  bool wakes_others_ = false;  // this turn wrote something that somebody may wait for
  std::size_t done_work_ = 0;  // this turn's share of work_
  std::size_t first_queue_ = 0;
  std::uint64_t next_token_ = 1;
  std::size_t delivered_messages_ = 0;
  std::size_t delivered_bytes_ = 0;
  std::unordered_set<Token> held_;
  TaskNames unknown_;          // tasks that this worker has given back because it does not know them
  std::optional<Token> lone_;  // a suspect, that runs alone
  bool at_once_ = false;       // there is more to do already
  Monotonic adopt_at_{};       // looks for continuations that others died with
  std::unordered_set<Token> adopted_;
  std::optional<Timestamp> next_due_;
  unsigned attempts_ = 0;  // that failed in a row
  std::optional<Monotonic> retry_at_;
  std::optional<client::CommitWatch::Subscription> subscription_;

  std::thread thread_;
};

}  // namespace lovage::broker::sqlite
