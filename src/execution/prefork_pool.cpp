#include "execution/prefork_pool.hpp"

#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>

#include "base/backoff.hpp"
#include "base/logging.hpp"
#include "execution/prefork_child.hpp"

namespace lovage::execution {
namespace {

constexpr std::chrono::milliseconds kKillGrace{100};  // between the first signal and SIGKILL; Celery's
constexpr std::chrono::milliseconds kWatchPeriod{10};
constexpr std::chrono::seconds kOrphanPatience{1};  // for the children of a dead fork server to be killed
constexpr std::chrono::seconds kEndPatience{5};     // for a child that has closed its socket to end
constexpr std::chrono::seconds kStopPatience{2};    // for idle children to end
constexpr unsigned kMaxServerFailures = 5;
constexpr Backoff kRestart{};

}  // namespace

PreforkPool::PreforkPool(const PoolOptions& options)
    : loop_(options.loop),
      trace_(trace_settings(options.config, options.hostname, {})),
      command_{options.executable, options.fork_server_arguments},
      max_tasks_(static_cast<std::uint64_t>(std::max(0, options.config.worker_max_tasks_per_child))),
      max_memory_kib_(options.config.worker_max_memory_per_child),
      server_(options.loop, *this),
      slots_(options.concurrency),
      appetite_(options.concurrency, options.fair),
      limits_(
          options.loop, [this](JobId job) { events_->on_soft_time_limit(job); },
          [this](JobId job) { over_hard_limit(job); }) {
  auto file = SharedPages::create_file(slots_.size());
  if (!file) raise(file.error());
  pages_file_ = std::move(*file);
  auto pages = SharedPages::map(pages_file_.get(), 0, slots_.size());
  if (!pages) raise(pages.error());
  pages_ = std::move(*pages);
}

void PreforkPool::start(PoolEvents& events, UniqueFunction<void()> ready) {
  events_ = &events;
  ready_ = std::move(ready);
  open_server();
}

std::size_t PreforkPool::appetite() const noexcept {
  const bool any =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.child && slot.child->is_ready(); });
  return any && !stopping_ ? appetite_.total() : 0;
}

std::vector<int> PreforkPool::pids() const {
  std::vector<int> pids;
  for (const Slot& slot : slots_)
    if (slot.child && slot.child->pid() != 0) pids.push_back(slot.child->pid());
  return pids;
}

// --- Fork server -----------------------------------------------------------------------------------

void PreforkPool::open_server() {
  const auto opened = server_.open(command_, pages_file_.get());
  if (opened) return;
  log::error("The fork server cannot be started: " + opened.error().message);
  reopen_server_later();
}

void PreforkPool::on_server_report(const ForkPacket& packet) {
  if (packet.type == ForkPacket::Type::ready) {
    if (packet.value > 1) {
      log::warning(
          fmt::format("The app has {} threads once it is loaded: children cannot be forked and are started "
                      "anew, which takes longer and shares no memory",
                      packet.value));
    }
    server_ready_ = true;
    for (Slot& slot : slots_) start_child(slot);
    return;
  }
  const auto slot = std::find_if(slots_.begin(), slots_.end(),
                                 [&](const Slot& entry) { return entry.child && entry.child->id() == packet.child; });
  if (slot == slots_.end()) return;
  if (packet.type == ForkPacket::Type::exited) {
    finish_child(*slot, packet.status, packet.max_rss_kib);
  } else if (packet.type == ForkPacket::Type::start_failed) {
    log::error("A child process cannot be started: " + std::generic_category().message(packet.value));
    finish_child(*slot, 0, 0);
  }
}

void PreforkPool::on_server_gone() {
  server_ready_ = false;
  if (stopping_) return finish_orphans(true);
  log::error("The fork server has ended; its children are lost");
  give_back_unstarted();  // it may take long, or be for good
  for (Slot& slot : slots_) slot.timer.reset();
  server_timer_ = loop_.after(kOrphanPatience, [this] { finish_orphans(true); });
  finish_orphans(false);
}

// The children die with their fork server; the end of its socket says that one has. `all`: gives the
// others up, too. They can claim nothing any more, and what they write goes nowhere.
void PreforkPool::finish_orphans(bool all) {
  for (Slot& slot : slots_)
    if (slot.child && (all || slot.child->is_closed())) finish_child(slot, SIGKILL, 0);
  if (std::none_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.child != nullptr; }))
    reopen_server_later();
}

void PreforkPool::reopen_server_later() {
  server_timer_.reset();
  if (stopping_ || broken_) return finish_stop();
  if (++server_failures_ > kMaxServerFailures) {
    broken_ = true;
    give_back_unstarted();
    events_->on_broken({Errc::unavailable, "the fork server ends as soon as it is started"});
    return;
  }
  server_timer_ = loop_.after(kRestart.ceiling(server_failures_ - 1), [this] { open_server(); });
}

// --- Children --------------------------------------------------------------------------------------

ChildSettings PreforkPool::child_settings(const Slot& slot) const {
  const auto index = static_cast<std::size_t>(&slot - slots_.data());
  ChildSettings settings{.trace = trace_,
                         .slot = index,
                         .max_frame = max_frame_for(trace_.limits.max_bytes),
                         .max_tasks = max_tasks_,
                         .max_memory_kib = max_memory_kib_};
  settings.trace.process_name = fmt::format("ForkPoolWorker-{}", index + 1);
  return settings;
}

void PreforkPool::start_child(Slot& slot) {
  slot.timer.reset();
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    log::error("A child process cannot be started: socketpair: " + std::generic_category().message(errno));
    return start_child_later(slot);
  }
  net::Fd ours(ends[0]);
  net::Fd theirs(ends[1]);
  slot.retiring = slot.sole = false;
  slot.doom.reset();
  ChildLink::Options options{.id = ++last_child_id_, .first_sequence = slot.sequence, .settings = child_settings(slot)};
  server_.start_child(options.id, std::move(theirs));
  ChildLink::Events& self = *this;
  slot.child = std::make_unique<ChildLink>(loop_, self, std::move(options), std::move(ours),
                                           pages_.slot(static_cast<std::size_t>(&slot - slots_.data())).claims);
}

void PreforkPool::start_child_later(Slot& slot) {
  slot.timer = loop_.after(kRestart.ceiling(slot.failures++), [this, &slot] { start_child(slot); });
}

// The child is dead. What it wrote before is read first; then only a job that it has claimed, and has not to tell of
// before it runs, can have run without an outcome.
void PreforkPool::finish_child(Slot& slot, int wait_status, std::int64_t max_rss_kib) {
  slot.timer.reset();
  const std::unique_ptr<ChildLink> child = std::move(slot.child);
  slot.child = nullptr;
  child->drain();
  std::vector<Request> unstarted = child->take_back();
  slot.sequence = child->next_sequence();
  const bool recycled = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == kRecycledExitCode;
  const ChildDeath death{
      .pid = child->pid(), .wait_status = wait_status, .max_rss_kib = static_cast<long>(max_rss_kib)};
  if (!slot.doom && !slot.retiring && !recycled && server_ready_)
    log::error(fmt::format("Process '{}' pid:{} ended: {}", child->process_name(), child->pid(), death.describe()));

  for (const ChildLink::Job& job : child->jobs()) {
    const JobId id = job.request.job;
    const bool doomed = slot.doom && (slot.doom->job == id || slot.doom->kind == Outcome::Kind::not_started);
    if (!job.started && job.request.tell_start && !doomed) {
      unstarted.insert(unstarted.begin(), job.request);
      continue;
    }
    limits_.ended(id);
    Outcome outcome = doomed ? Outcome::of(id, slot.doom->kind, "terminated") : Outcome::of(id, Outcome::Kind::lost);
    outcome.death = death;
    if (job.started)
      outcome.runtime =
          std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - job.since);
    outcome.pid = child->pid();
    outcome.process_name = child->process_name();
    add_outcome(std::move(outcome));
  }
  requeue(std::move(unstarted));
  if (stopping_) return finish_stop();
  if (!server_ready_) return;
  if (child->is_fresh() && !slot.retiring) return start_child_later(slot);
  start_child(slot);
}

void PreforkPool::retire(Slot& slot) {
  slot.retiring = true;
  slot.child->close_sending();
}

void PreforkPool::doom(Slot& slot, Doom why, int signal) {
  requeue(slot.child->take_back());
  // Now nothing can start there any more. If the job is not what it claimed last, it is done already,
  // and another one must not die for it.
  if (slot.child->jobs().empty() || slot.child->jobs().back().request.job != why.job) return;
  slot.doom = why;
  server_.signal_child(slot.child->id(), signal);
  if (signal != SIGKILL) slot.timer = loop_.after(kKillGrace, [this, &slot] { kill_now(slot); });
}

void PreforkPool::kill_now(Slot& slot) {
  if (slot.child) server_.signal_child(slot.child->id(), SIGKILL);
}

PreforkPool::Slot* PreforkPool::slot_of(const ChildLink& child) noexcept {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.child.get() == &child; });
  return found == slots_.end() ? nullptr : &*found;
}

PreforkPool::Slot* PreforkPool::slot_holding(JobId job) noexcept {
  for (Slot& slot : slots_) {
    if (!slot.child) continue;
    for (const ChildLink::Job& held : slot.child->jobs())
      if (held.request.job == job) return &slot;
  }
  return nullptr;
}

// --- Jobs ------------------------------------------------------------------------------------------

void PreforkPool::on_child_ready(ChildLink&) {
  server_failures_ = 0;
  schedule();
}

void PreforkPool::on_job_started(ChildLink& child, const ChildLink::Job& job) {
  limits_.started(job.request.job, job.request.soft_time_limit, job.request.time_limit);
  events_->on_started(job.request.job, child.pid());
}

void PreforkPool::on_job_state(const ChildLink::Job& job, std::string state, std::string meta_json) {
  events_->on_state(job.request.job, std::move(state), std::move(meta_json));
}

void PreforkPool::on_job_outcome(ChildLink& child, const ChildLink::Job& job, Outcome outcome) {
  appetite_.saw(outcome.runtime);
  limits_.ended(job.request.job);
  if (Slot* const slot = slot_of(child)) {
    slot->failures = 0;
    if (slot->sole) retire(*slot);
  }
  add_outcome(std::move(outcome));
}

void PreforkPool::on_child_closed(ChildLink& child, bool sane) {
  Slot* const slot = slot_of(child);
  if (slot == nullptr) return;  // it is being finished
  if (server_ready_ && !sane) {
    log::error(
        fmt::format("Process '{}' pid:{} wrote what makes no sense: it is killed", child.process_name(), child.pid()));
    return kill_now(*slot);
  }
  if (server_ready_) {
    // Its end is reported soon, unless a task has closed what was not its own.
    if (!slot->timer) slot->timer = loop_.after(kEndPatience, [this, slot] { kill_now(*slot); });
    return;
  }
  loop_.post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired() && !server_ready_) finish_orphans(false);
  });
}

void PreforkPool::over_hard_limit(JobId job) {
  if (Slot* const slot = slot_holding(job)) doom(*slot, {job, Outcome::Kind::timed_out}, SIGTERM);
}

// Requests behind a task that turned out to be long go to whoever is free, and its start is told.
void PreforkPool::watch_long_tasks() {
  bool crowded = false;
  bool busy = false;
  bool all_told = true;
  for (Slot& slot : slots_) {
    if (!slot.child || slot.child->jobs().empty()) continue;
    busy = true;
    slot.child->look_for_start();
    const Monotonic now = std::chrono::steady_clock::now();
    const ChildLink::Job& oldest = slot.child->jobs().front();
    if (oldest.started && now - oldest.since > Appetite::kWindow) {
      appetite_.saw(std::chrono::duration_cast<std::chrono::microseconds>(now - oldest.since));
      if (slot.child->jobs().size() > 1) requeue(slot.child->take_back());
    }
    crowded = crowded || slot.child->jobs().size() > 1;
    all_told = all_told && (oldest.started || oldest.request.tell_start);
  }
  if (!crowded && all_told && (!busy || appetite_.ahead() == 0)) watch_.reset();
}

void PreforkPool::requeue(std::vector<Request> requests) {
  if (requests.empty()) return;
  for (; !requests.empty(); requests.pop_back()) {
    Request& last = requests.back();
    (last.alone ? alone_ : backlog_).push_front(std::move(last));
  }
  schedule();
}

void PreforkPool::add_outcome(Outcome outcome) {
  outcomes_.push_back(std::move(outcome));
  schedule();
}

void PreforkPool::give_back_unstarted() {
  for (Slot& slot : slots_)
    if (slot.child) requeue(slot.child->take_back());
  for (auto* const queue : {&backlog_, &alone_})
    for (const Request& request : std::exchange(*queue, {}))
      add_outcome(Outcome::of(request.job, Outcome::Kind::not_started));
}

// --- Once a turn -----------------------------------------------------------------------------------

void PreforkPool::schedule() {
  if (std::exchange(scheduled_, true)) return;
  loop_.at_end_of_turn([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) end_of_turn();
  });
}

void PreforkPool::end_of_turn() {
  scheduled_ = false;
  if (ready_ &&
      std::all_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.child && slot.child->is_ready(); }))
    std::exchange(ready_, {})();
  dispatch();
  if (!outcomes_.empty()) events_->on_outcomes(std::exchange(outcomes_, {}));
}

bool PreforkPool::is_free(const Slot& slot) const noexcept {
  return slot.child && slot.child->is_ready() && !slot.retiring && !slot.sole && !slot.doom;
}

void PreforkPool::dispatch() {
  if (!server_ready_ || stopping_) return;
  dispatch_alone();
  dispatch_backlog();
  bool look = false;
  for (const Slot& slot : slots_) {
    if (!slot.child) continue;
    slot.child->flush();
    look = look || slot.child->jobs().size() > 1 || (appetite_.ahead() > 0 && !slot.child->jobs().empty());
  }
  if (look && !watch_) watch_ = loop_.every(kWatchPeriod, [this] { watch_long_tasks(); });
}

// One each, then two each, ...: the children's queues grow evenly.
void PreforkPool::dispatch_backlog() {
  const std::size_t most = alone_.empty() ? appetite_.per_slot() : 1;
  for (std::size_t level = 1; level <= most && !backlog_.empty(); ++level) {
    for (Slot& slot : slots_) {
      if (backlog_.empty()) return;
      if (is_free(slot) && slot.child->jobs().size() < level) give(slot, backlog_);
    }
  }
}

// A suspect gets a child that has run nothing, and that ends with it: its death is then nobody else's.
void PreforkPool::dispatch_alone() {
  if (alone_.empty()) return;
  std::size_t coming = 0;  // fresh children on their way
  for (Slot& slot : slots_) {
    if (!slot.child || !slot.child->is_ready() || slot.retiring) {
      ++coming;
    } else if (!alone_.empty() && is_free(slot) && slot.child->is_fresh()) {
      slot.sole = give(slot, alone_);
    }
  }
  for (Slot& slot : slots_) {
    if (coming >= alone_.size()) return;
    if (!is_free(slot) || slot.child->is_fresh() || !slot.child->jobs().empty()) continue;
    retire(slot);
    ++coming;
  }
}

bool PreforkPool::give(Slot& slot, std::deque<Request>& from) {
  Request request = std::move(from.front());
  from.pop_front();
  // While tasks are short, watch_long_tasks() sees the start of one that is not.
  request.tell_start =
      request.tell_start || request.alone || request.soft_time_limit || request.time_limit || appetite_.ahead() == 0;
  if (slot.child->give(request)) return true;
  Outcome outcome = Outcome::of(request.job, Outcome::Kind::malformed, "too-large");
  outcome.detail = "the message is too large for a child process";
  add_outcome(std::move(outcome));
  return false;
}

void PreforkPool::submit(Request request) {
  if (broken_) return add_outcome(Outcome::of(request.job, Outcome::Kind::not_started));
  auto& queue = request.alone ? alone_ : backlog_;
  queue.push_back(std::move(request));
  schedule();
}

void PreforkPool::allow_starts_until(Monotonic until) noexcept {
  for (std::size_t i = 0; i < slots_.size(); ++i) pages_.slot(i).permit.allow_until(until);
}

void PreforkPool::give_back() {
  give_back_unstarted();
}

void PreforkPool::terminate(JobId job, int signal) {
  if (Slot* const slot = slot_holding(job)) {
    doom(*slot, {job, Outcome::Kind::revoked}, signal);
    if (slot->doom) return;
  }
  for (auto* const queue : {&backlog_, &alone_}) {
    const auto found =
        std::find_if(queue->begin(), queue->end(), [job](const Request& entry) { return entry.job == job; });
    if (found == queue->end()) continue;
    queue->erase(found);
    add_outcome(Outcome::of(job, Outcome::Kind::revoked, "terminated"));
    return;
  }
}

void PreforkPool::kill_all() {
  give_back_unstarted();
  for (Slot& slot : slots_) {
    if (slot.child && !slot.child->jobs().empty())
      doom(slot, {slot.child->jobs().back().request.job, Outcome::Kind::not_started}, SIGKILL);
  }
}

// --- Stop ------------------------------------------------------------------------------------------

void PreforkPool::stop(UniqueFunction<void()> done) {
  stopped_ = std::move(done);
  stopping_ = true;
  kill_all();
  server_timer_.reset();
  watch_.reset();
  for (Slot& slot : slots_) {
    slot.timer.reset();
    if (slot.child && !slot.retiring) retire(slot);
  }
  stop_timer_ = loop_.after(kStopPatience, [this] {
    for (Slot& slot : slots_) kill_now(slot);
  });
  finish_stop();
}

void PreforkPool::finish_stop() {
  const bool children =
      std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.child != nullptr; });
  if (!stopped_ || (children && server_.is_open())) return;
  stop_timer_.reset();
  give_back_unstarted();
  if (!outcomes_.empty()) events_->on_outcomes(std::exchange(outcomes_, {}));
  server_.close(std::exchange(stopped_, {}));
}

}  // namespace lovage::execution
