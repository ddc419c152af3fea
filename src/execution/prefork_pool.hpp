// The prefork pool: each slot is a child process of the fork server. A child that crashes, is killed or
// passes a hard time limit costs the job that it ran, and nothing else: what was queued behind it goes to
// another child.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "execution/appetite.hpp"
#include "execution/child_link.hpp"
#include "execution/fork_server_link.hpp"
#include "execution/make_pool.hpp"
#include "execution/pool.hpp"
#include "execution/shared_pages.hpp"
#include "execution/time_limits.hpp"

namespace lovage::execution {

class PreforkPool final : public Pool, private ForkServerLink::Events, private ChildLink::Events {
 public:
  explicit PreforkPool(const PoolOptions& options);

  void start(PoolEvents& events, UniqueFunction<void()> ready) override;
  [[nodiscard]] std::size_t slots() const noexcept override { return slots_.size(); }
  [[nodiscard]] std::size_t appetite() const noexcept override;
  void submit(Request request) override;
  void allow_starts_until(Monotonic until) noexcept override;
  void give_back() override;
  void terminate(JobId job, int signal) override;
  void kill_all() override;
  void stop(UniqueFunction<void()> done) override;
  [[nodiscard]] std::vector<int> pids() const override;
  [[nodiscard]] std::string name() const override { return "prefork"; }

 private:
  // Why a child is being killed, and which job's outcome that decides.
  struct Doom {
    JobId job = 0;
    Outcome::Kind kind{};
  };
  struct Slot {
    std::unique_ptr<ChildLink> child;
    std::uint64_t sequence = 0;  // of its next request; goes on from child to child
    bool retiring = false;       // has been told to end
    bool sole = false;           // holds a request that is to be alone
    std::optional<Doom> doom;
    unsigned failures = 0;    // children in a row that ended without having run anything
    net::Registration timer;  // the second, harder kill, or the next start
  };

  // Fork server.
  void open_server();
  void on_server_report(const ForkPacket& packet) override;
  void on_server_gone() override;
  void finish_orphans(bool all);
  void reopen_server_later();

  // Children.
  void start_child(Slot& slot);
  void start_child_later(Slot& slot);
  void finish_child(Slot& slot, int wait_status, std::int64_t max_rss_kib);
  void retire(Slot& slot);
  void doom(Slot& slot, Doom why, int signal);
  void kill_now(Slot& slot);
  Slot* slot_of(const ChildLink& child) noexcept;
  Slot* slot_holding(JobId job) noexcept;
  [[nodiscard]] ChildSettings child_settings(const Slot& slot) const;

  // Jobs.
  void on_child_ready(ChildLink& child) override;
  void on_job_started(ChildLink& child, const ChildLink::Job& job) override;
  void on_job_state(const ChildLink::Job& job, std::string state, std::string meta_json) override;
  void on_job_outcome(ChildLink& child, const ChildLink::Job& job, Outcome outcome) override;
  void on_child_closed(ChildLink& child, bool sane) override;
  void over_hard_limit(JobId job);
  void watch_long_tasks();
  void requeue(std::vector<Request> requests);  // at the head, in their order
  void add_outcome(Outcome outcome);
  void give_back_unstarted();

  // Once a turn: hands requests out and outcomes over.
  void schedule();
  void end_of_turn();
  void dispatch();
  void dispatch_alone();
  void dispatch_backlog();
  bool give(Slot& slot, std::deque<Request>& from);
  [[nodiscard]] bool is_free(const Slot& slot) const noexcept;
  void finish_stop();

  net::Loop& loop_;
  const TraceSettings trace_;
  const ForkServerLink::Command command_;
  const std::uint64_t max_tasks_;
  const std::uint64_t max_memory_kib_;
  PoolEvents* events_ = nullptr;
  UniqueFunction<void()> ready_;  // until it was called
  UniqueFunction<void()> stopped_;

  net::Fd pages_file_;
  SharedPages pages_;
  ForkServerLink server_;
  bool server_ready_ = false;
  unsigned server_failures_ = 0;  // starts in a row that brought no child up
  net::Registration server_timer_;
  std::uint32_t last_child_id_ = 0;
  std::vector<Slot> slots_;

  std::deque<Request> backlog_;
  std::deque<Request> alone_;  // suspects: each needs a child of its own
  Appetite appetite_;
  TimeLimits limits_;
  net::Registration watch_;  // while a long task could hold others up
  std::vector<Outcome> outcomes_;
  bool scheduled_ = false;
  bool stopping_ = false;
  bool broken_ = false;
  net::Registration stop_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is still posted when the pool goes
};

}  // namespace lovage::execution
