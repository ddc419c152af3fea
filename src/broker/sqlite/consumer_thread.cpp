#include "broker/sqlite/consumer_thread.hpp"

#include <algorithm>
#include <iterator>

#include <lovage/states.hpp>

#include "base/backoff.hpp"
#include "base/logging.hpp"

namespace lovage::broker::sqlite {
namespace {

using namespace std::chrono_literals;

// The bounds of one transaction: others wait for the gate meanwhile.
constexpr std::size_t kWorkAtOnce = 256;
constexpr auto kTimeAtOnce = 20ms;
constexpr auto kStoreTimeout = 5s;
// Should a wake-up be lost (the side file removed, the disk full), this finds the message.
constexpr auto kSafetyLook = 3s;
// A store that cannot be reached gets the messages back by the sweeper instead.
constexpr unsigned kCloseAttempts = 3;
// Names of tasks that a worker remembers not to know; whoever forgets some learns them again.
constexpr std::size_t kMostUnknown = 1'000;
// Continuations of others that a worker holds at a time: they come beside its credit.
constexpr std::size_t kMostAdopted = 16;

bool is_waited_for(const Settlement& settlement) noexcept {
  return settlement.disposal != Disposal::acknowledge || !settlement.results.empty() || !settlement.sends.empty();
}

void answer(std::vector<UniqueFunction<void()>>& waiting, Report& report) {
  std::move(waiting.begin(), waiting.end(), std::back_inserter(report.done));
  waiting.clear();
}

}  // namespace

ConsumerThread::ConsumerThread(std::shared_ptr<StoreAccess> access, Identity identity,
                               std::shared_ptr<std::atomic<bool>> registered, Reporter report)
    : access_(std::move(access)),
      identity_(std::move(identity)),
      registered_(std::move(registered)),
      report_(std::move(report)) {}

ConsumerThread::~ConsumerThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ConsumerThread::start() {
  thread_ = std::thread([this] { run(); });
}

void ConsumerThread::run() {
  for (;;) {
    wait();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    take_orders();
    turn();
    if (closed_) break;
  }
  subscription_.reset();
}

void ConsumerThread::wait() {
  std::unique_lock lock(mutex_);
  const bool listening = wants_messages();
  Monotonic until = std::chrono::steady_clock::now() + kSafetyLook;
  if (listening && next_due_) {
    // Bounded before it becomes nanoseconds: an eta may be thousands of years away.
    const auto ahead = *next_due_ - access_->clock().now();
    if (ahead < kSafetyLook) until = std::chrono::steady_clock::now() + std::max(ahead, decltype(ahead)::zero());
  }
  if (adopts()) until = std::min(until, adopt_at_);
  if (retry_at_) {
    // Nothing but the end hurries a retry.
    woken_.wait_until(lock, *retry_at_, [this] { return stopping_; });
    retry_at_.reset();
    at_once_ = true;
    return;
  }
  if (at_once_) return;
  woken_.wait_until(lock, until, [&] { return stopping_ || ordered_ || (rung_ && listening); });
}

void ConsumerThread::take_orders() {
  const std::lock_guard lock(mutex_);
  at_once_ = std::exchange(ordered_, false) || at_once_;
  if (wants_messages()) rung_ = false;
  std::move(orders_.work.begin(), orders_.work.end(), std::back_inserter(work_));
  orders_.work.clear();
  if (orders_.credit) credit_ = *std::exchange(orders_.credit, std::nullopt);
  if (orders_.queues) queues_ = std::move(*std::exchange(orders_.queues, std::nullopt));
  std::move(orders_.declare.begin(), orders_.declare.end(), std::back_inserter(declare_));
  orders_.declare.clear();
  reserving_ = orders_.reserving;
  closing_ = orders_.closing;
  std::move(orders_.when_stopped.begin(), orders_.when_stopped.end(), std::back_inserter(when_stopped_));
  orders_.when_stopped.clear();
  std::move(orders_.when_closed.begin(), orders_.when_closed.end(), std::back_inserter(when_closed_));
  orders_.when_closed.clear();
}

void ConsumerThread::turn() {
  Report report;
  done_work_ = 0;
  wakes_others_ = false;
  if (auto done = work(report); done) {
    committed(report);
  } else {
    failed(done.error(), report);
  }
  if (!report.empty()) report_(std::move(report));
}

Result<void> ConsumerThread::work(Report& report) {
  const Deadline deadline = Deadline::after(kStoreTimeout);
  if (auto listening = subscribe(); !listening) return listening;
  auto store = access_->acquire(deadline);
  if (!store) return tl::unexpected(store.error());
  if (!std::exchange(at_once_, false) && work_.empty()) {
    auto any = is_there_work(**store);
    if (!any) return tl::unexpected(any.error());
    if (!*any) return {};
  }
  auto transaction = (*store)->db().begin(deadline, [this] {
    take_orders();  // that came while others had their turns: the longer they took, the more this one gets done
    return work_.empty() ? client::CommitSurvives::process_death : client::CommitSurvives::power_loss;
  });
  if (!transaction) return tl::unexpected(transaction.error());
  if (auto done = transact(**store, report); !done) return done;
  return transaction->commit(wakes_others_ ? client::CommitWakes::everybody : client::CommitWakes::nobody);
}

Result<bool> ConsumerThread::is_there_work(Store& store) {
  if (!owner_) return true;
  if (adopts_now()) {
    auto waiting = store.has_continuations(queues_);
    if (!waiting || *waiting) return waiting;
    adopt_at_ = std::chrono::steady_clock::now() + identity_.lease / 3;
  }
  if (!wants_messages() || lone_) return false;
  if (auto seen = look_ahead(store); !seen) return tl::unexpected(seen.error());
  if (next_due_ && *next_due_ <= store.now()) return true;
  auto ready = store.has_ready(queues_);
  if (!ready || *ready) return ready;
  auto waiting = store.waiting_for_others(queues_, unknown_);
  if (!waiting) return tl::unexpected(waiting.error());
  return !waiting->empty();
}

// Before the first look, so that no commit falls between the two.
Result<void> ConsumerThread::subscribe() {
  if (subscription_) return {};
  auto commits = access_->commits();
  if (!commits) return tl::unexpected(commits.error());
  subscription_.emplace(client::CommitWatch::subscribe(*commits, [this] {
    {
      const std::lock_guard lock(mutex_);
      rung_ = true;
    }
    woken_.notify_one();
  }));
  return {};
}

Result<void> ConsumerThread::transact(Store& store, Report& report) {
  if (auto entered = enter_store(store); !entered) return entered;
  if (auto done = do_work(store, report); !done) return done;
  if (auto reserved = reserve(store, report); !reserved) return reserved;
  if (auto adopted = adopt(store, report); !adopted) return adopted;
  if (closing_ && done_work_ == work_.size()) {
    wakes_others_ = true;
    return store.remove_worker(*owner_);
  }
  return look_ahead(store);
}

Result<void> ConsumerThread::enter_store(Store& store) {
  for (const auto& queue : declare_) {
    if (auto declared = store.declare(queue); !declared) return declared;
  }
  if (!owner_) {
    auto added = store.add_worker(identity_.incarnation, identity_.node_name);
    if (!added) return tl::unexpected(added.error());
    owner_ = *added;
    return {};
  }
  auto registered = store.has_worker(*owner_);
  if (!registered) return tl::unexpected(registered.error());
  lost_ = !*registered;
  return {};
}

Result<void> ConsumerThread::do_work(Store& store, Report& report) {
  const Deadline enough = Deadline::after(kTimeAtOnce);
  while (done_work_ < work_.size() && done_work_ < kWorkAtOnce && !enough.passed()) {
    if (auto done = do_one(store, work_[done_work_], report); !done) return done;
    ++done_work_;
  }
  return {};
}

Result<void> ConsumerThread::do_one(Store& store, const Work& work, Report& report) {
  if (const auto* settlement = std::get_if<Settlement>(&work)) {
    auto status = store.settle(*owner_, *settlement);
    if (!status) return tl::unexpected(status.error());
    report.settled.emplace_back(settlement->token, *status);
    if (!settlement->unknown_task.empty()) {
      if (unknown_.size() >= kMostUnknown) unknown_.clear();
      unknown_.insert(settlement->unknown_task);
    }
    const bool done = *status == SettleStatus::settled || *status == SettleStatus::carries_on;
    wakes_others_ = wakes_others_ || (done && is_waited_for(*settlement));
  } else if (const auto* state = std::get_if<StateUpdate>(&work)) {
    if (auto status = store.store_state(*owner_, state->token, state->result); !status) {
      return tl::unexpected(status.error());
    }
    wakes_others_ = wakes_others_ || states::is_ready(state->result.state);
  } else {
    const Token token = std::get<StartRecord>(work).token;
    auto status = store.record_start(*owner_, token);
    if (!status) return tl::unexpected(status.error());
    report.started.emplace_back(token, *status);
  }
  return {};
}

bool ConsumerThread::wants_messages() const {
  return reserving_ && !closing_ && !lost_ && credit_.messages > delivered_messages_ - credit_.seen_messages;
}

// What may be taken, with this turn's settlements counted in.
ReserveLimits ConsumerThread::limits(const Report& report) const {
  if (!wants_messages()) return {};
  std::size_t holds = held_.size();
  bool lone = lone_.has_value();
  for (const auto& [token, status] : report.settled) {
    if (status == SettleStatus::failed) continue;
    if (status != SettleStatus::carries_on) holds -= held_.count(token);
    lone = lone && *lone_ != token;
  }
  if (lone) return {};
  const std::size_t unseen_bytes = delivered_bytes_ - credit_.seen_bytes;
  return {credit_.messages - (delivered_messages_ - credit_.seen_messages),
          credit_.bytes - std::min(credit_.bytes, unseen_bytes), holds > 0};
}

Result<void> ConsumerThread::reserve(Store& store, Report& report) {
  const ReserveLimits most = limits(report);
  if (most.messages == 0) return {};
  if (auto moved = store.move_due(queues_); !moved) return moved;
  auto waiting = store.waiting_for_others(queues_, unknown_);
  if (!waiting) return tl::unexpected(waiting.error());
  auto taken = store.reserve(*owner_, queues_, first_queue_++, most, *waiting, next_token_);
  if (!taken) return tl::unexpected(taken.error());
  report.deliveries = std::move(*taken);
  return {};
}

bool ConsumerThread::adopts() const noexcept {
  return reserving_ && !closing_ && !lost_ && adopted_.size() < kMostAdopted;
}

bool ConsumerThread::adopts_now() const {
  return adopts() && std::chrono::steady_clock::now() >= adopt_at_;
}

Result<void> ConsumerThread::adopt(Store& store, Report& report) {
  if (!adopts_now()) return {};
  auto adopted = store.adopt(*owner_, queues_, kMostAdopted - adopted_.size(), next_token_);
  if (!adopted) return tl::unexpected(adopted.error());
  std::move(adopted->begin(), adopted->end(), std::back_inserter(report.deliveries));
  report.looked_for_continuations = true;
  return {};
}

Result<void> ConsumerThread::look_ahead(Store& store) {
  auto due = store.next_due(queues_);
  if (!due) return tl::unexpected(due.error());
  next_due_ = *due;
  return {};
}

void ConsumerThread::committed(Report& report) {
  work_.erase(work_.begin(), work_.begin() + static_cast<std::ptrdiff_t>(done_work_));
  attempts_ = 0;
  if (owner_) {
    declare_.clear();
    registered_->store(true);
    report.connected = !std::exchange(connected_, true);
  }
  for (const auto& [token, status] : report.settled) note_settled(token, status);
  if (report.looked_for_continuations) adopt_at_ = std::chrono::steady_clock::now() + identity_.lease / 3;
  for (const auto& delivery : report.deliveries) {
    held_.insert(delivery.token);
    if (delivery.suspect) lone_ = delivery.token;
    if (delivery.is_continuation) {
      adopted_.insert(delivery.token);
      adopt_at_ = {};  // there may be more
      continue;
    }
    ++delivered_messages_;
    delivered_bytes_ += delivery.bytes.size();
  }
  report.lost = lost_ && !std::exchange(told_lost_, true);
  at_once_ = !work_.empty();
  if (!reserving_) answer(when_stopped_, report);
  if (closing_ && work_.empty()) finish(report);
}

void ConsumerThread::note_settled(Token token, SettleStatus status) {
  if (status == SettleStatus::failed) return;
  if (lone_ == token) lone_.reset();
  if (status == SettleStatus::carries_on) return;
  held_.erase(token);
  adopted_.erase(token);
}

void ConsumerThread::failed(Failure why, Report& report) {
  report = Report{};  // it was rolled back
  if (!registered_->load()) owner_.reset();
  connected_ = false;
  const auto delay = Backoff{}.jittered(attempts_++, random_u64());
  retry_at_ = std::chrono::steady_clock::now() + delay;
  if (!reserving_) answer(when_stopped_, report);
  if (closing_ && attempts_ >= kCloseAttempts) {
    log::error("Cannot give back what is reserved (the other workers will after the lease): " + why.message);
    finish(report);
  }
  report.retry_in = delay;
  report.failure = std::move(why);
}

void ConsumerThread::finish(Report& report) {
  closed_ = true;
  answer(when_closed_, report);
}

}  // namespace lovage::broker::sqlite
