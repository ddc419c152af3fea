#include "worker/dispatcher.hpp"

#include <utility>

#include <fmt/format.h>

#include <lovage/states.hpp>

#include "base/logging.hpp"
#include "worker/kill_point.hpp"
#include "worker/log_lines.hpp"
#include "worker/metas.hpp"

namespace lovage::worker {

using broker::SettleStatus;
using execution::JobId;
using execution::Outcome;

Dispatcher::Dispatcher(Parts parts, DispatcherOwner& owner)
    : facts_(parts.facts),
      rules_(parts.facts),
      embeds_(parts.facts),
      clock_(parts.clock),
      pool_(parts.pool),
      outbox_(parts.outbox),
      limits_(parts.limits),
      is_revoked_(std::move(parts.is_revoked)),
      graphs_(parts.outbox),
      owner_(owner) {}

// --- Consumers come and go --------------------------------------------------------------------------

void Dispatcher::attach(broker::Consumer& consumer, Settler& settler) {
  detach();
  ++generation_;
  lost_ = false;
  consumer_ = &consumer;
  settler_ = &settler;
  update_credit();
}

void Dispatcher::detach() {
  consumer_ = nullptr;
  settler_ = nullptr;
  credit_given_ = false;
  // Outcomes of these runs are dropped when they come.
  for (auto at = jobs_.begin(); at != jobs_.end();) {
    Held& held = at->second;
    if (held.in_pool) {
      // An early acknowledgement left the broker long ago: its outcome is stored without a fence anyway.
      held.forgotten = !held.job.acknowledged;
      ++at;
    } else {
      bytes_waiting_ -= held.job.bytes;
      at = jobs_.erase(at);
    }
  }
  preparing_ = 0;
  refused_.clear();
  std::erase_if(unsettled_, [this](const auto& entry) { return entry.first >> 48 == generation_; });
}

void Dispatcher::begin() {
  asking_ = true;
  update_credit();
}

void Dispatcher::drain() {
  draining_ = true;
  update_credit();
  pool_.give_back();
  tell_if_idle();
}

void Dispatcher::kill() {
  pool_.kill_all();
}

void Dispatcher::return_refused() {
  for (auto& [token, refused] : std::exchange(refused_, {})) {
    if (!refused.continuation.empty()) {
      carry_on(job_id(token), token, refused.continuation);
      continue;
    }
    broker::Settlement settlement;
    settlement.token = token;
    settlement.disposal = broker::Disposal::return_tail;
    settlement.marks = broker::Marks{.suspect = true, .strikes = refused.strikes + 1, .waited_unknown = {}};
    settle(std::move(settlement), refused.id, refused.strikes + 1);
  }
}

// A token is unique within its incarnation alone; a job's number within the process.
JobId Dispatcher::job_id(Token token) const noexcept {
  return generation_ << 48 | token.get();
}

// --- From the broker ---------------------------------------------------------------------------------

void Dispatcher::on_deliveries(std::vector<broker::Delivery> deliveries) {
  pass(KillPoint::after_reserve);
  const auto by_store = consumer_ != nullptr ? consumer_->now() : std::nullopt;
  const Timestamp now = by_store.value_or(clock_.now());
  for (auto& delivery : deliveries) {
    if (delivery.is_continuation) {
      carry_on(job_id(delivery.token), delivery.token, delivery.bytes);
      continue;
    }
    Arrival arrival = assess(std::move(delivery), facts_, rules_, embeds_, now, is_revoked_);
    if (auto* const settled = std::get_if<Decided>(&arrival)) {
      log_line(settled->line);
      const Token token = settled->settlement.token;
      settle(std::move(settled->settlement), fmt::format("{}", token.get()));
    } else {
      run(std::move(std::get<Accepted>(arrival)));
    }
  }
  update_credit();
}

void Dispatcher::run(Accepted arrival) {
  Job& job = arrival.job;
  if (draining_) return settle(SettlementRules::give_back(job), job.id());
  log_received(job);
  const Token token = job.token;
  bytes_waiting_ += job.bytes;
  Held& held = jobs_[job_id(token)];
  held.job = std::move(arrival.job);
  prepare(job_id(token), held);
}

void Dispatcher::start(Held& held) {
  if (!held.job.marks.suspect) return submit(held);
  ++preparing_;
  consumer_->record_start(held.job.token);
}

// What still comes for an incarnation that is lost is run by others: in the pool it would wait for the next one's
// permit to start.
void Dispatcher::submit(Held& held) {
  if (lost_) return;
  pass(KillPoint::before_run);
  held.in_pool = true;
  ++in_pool_;
  ++not_started_;
  execution::Request request;
  request.job = job_id(held.job.token);
  request.message = held.job.message;
  request.soft_time_limit = held.job.rules.soft_time_limit;
  request.time_limit = held.job.rules.time_limit;
  request.alone = held.job.marks.suspect;
  request.tell_start = held.job.rules.track_started || !held.job.rules.acks_late;
  pool_.submit(std::move(request));
}

void Dispatcher::on_start_recorded(Token token, SettleStatus status) {
  const auto found = jobs_.find(job_id(token));
  if (found == jobs_.end()) return;
  --preparing_;
  Held& held = found->second;
  if (status == SettleStatus::settled && !draining_) return submit(held);
  bytes_waiting_ -= held.job.bytes;
  const Job job = std::move(held.job);
  jobs_.erase(found);
  if (status == SettleStatus::fenced) {
    log_fenced(job.id());
    tell_if_idle();
  } else {
    settle(SettlementRules::give_back(job), job.id());
  }
  update_credit();
}

void Dispatcher::on_settled(Token token, SettleStatus status) {
  const auto found = unsettled_.find(job_id(token));
  if (found == unsettled_.end()) return;
  if (status == SettleStatus::fenced) {
    log_fenced(found->second.id);
  } else if (status == SettleStatus::failed) {
    log_not_settled(found->second.id);
    refused_.emplace_back(token, std::move(found->second));
  }
  pass(KillPoint::after_settle);
  if (!found->second.continuation.empty()) {
    pass(KillPoint::after_continuation);
  } else if (!found->second.next.empty()) {
    pass(KillPoint::after_count);
  }
  const std::string next = status == SettleStatus::carries_on ? std::move(found->second.next) : std::string();
  unsettled_.erase(found);
  if (!next.empty()) carry_on(job_id(token), token, next);
  if (unsettled_.size() + 1 == kMostHeld) update_credit();
  tell_if_idle();
}

void Dispatcher::on_connected() {
  owner_.on_connected();
  update_credit();
}

void Dispatcher::on_disconnected(const Failure& why, std::chrono::milliseconds retry_in) {
  owner_.on_disconnected(why, retry_in);
}

void Dispatcher::on_lost() {
  lost_ = true;
  pool_.kill_all();
  owner_.on_incarnation_lost();
}

// --- From the pool -----------------------------------------------------------------------------------

void Dispatcher::on_started(JobId job, int pid) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  Held& held = found->second;
  mark_started(held);
  if (held.forgotten) return;
  if (held.job.rules.track_started)
    store_state(held.job, std::string(states::started),
                Value(Object{{"pid", Value(pid)}, {"hostname", Value(facts_.node_name)}}));
  if (!held.job.rules.acks_late) acknowledge_early(held.job);
}

void Dispatcher::mark_started(Held& held) {
  if (held.job.started) return;
  held.job.started = true;
  --not_started_;
  bytes_waiting_ -= held.job.bytes;
}

void Dispatcher::acknowledge_early(Job& job) {
  if (job.acknowledged) return;
  job.acknowledged = true;
  broker::Settlement settlement;
  settlement.token = job.token;
  settle(std::move(settlement), job.id());
}

void Dispatcher::on_state(JobId job, std::string state, std::string meta_json) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end() || found->second.forgotten || !found->second.job.rules.stores_result) return;
  auto meta = wire::decode_value(meta_json, wire::Serializer::json);
  if (!meta)
    return log::error(
        fmt::format("Task [{}]: its state {} cannot be read: {}", found->second.job.id(), state, meta.error().message));
  store_state(found->second.job, state, std::move(*meta));
}

void Dispatcher::store_state(const Job& job, const std::string& state, Value meta) {
  auto result = state_meta(job.message, state, std::move(meta), facts_);
  if (!result)
    return log::error(
        fmt::format("Task [{}]: its state {} cannot be stored: {}", job.id(), state, result.error().message));
  if (job.acknowledged) {
    Outbox::Item item;
    item.results.push_back(std::move(*result));
    outbox_.push(std::move(item));
  } else if (settler_ != nullptr) {
    settler_->store_state(job.token, std::move(*result));
  }
}

void Dispatcher::on_outcomes(std::vector<Outcome> outcomes) {
  for (const auto& outcome : outcomes) {
    const auto found = jobs_.find(outcome.job);
    if (found == jobs_.end()) continue;
    Held held = std::move(found->second);
    jobs_.erase(found);
    --in_pool_;
    if (!held.job.started) {
      --not_started_;
      bytes_waiting_ -= held.job.bytes;
    }
    if (held.forgotten) {
      log_fenced(held.job.id());  // its incarnation was lost while it ran
    } else {
      finish(held.job, outcome);
    }
  }
  update_credit();
  tell_if_idle();
}

void Dispatcher::finish(const Job& job, const Outcome& outcome) {
  pass(KillPoint::after_run);
  DeathContext context;
  if (outcome.kind == Outcome::Kind::lost) context.last_log_lines = log::recent_lines();
  broker::Settlement settlement = rules_.finished(job, outcome, clock_.now(), context);
  log_outcome(job, outcome, settlement);
  if (job.acknowledged) return settle_early_acknowledged(std::move(settlement), outcome.job, job.id());
  settle(std::move(settlement), job.id(), job.marks.strikes);
}

void Dispatcher::on_soft_time_limit(JobId job) {
  if (const auto found = jobs_.find(job); found != jobs_.end()) log_soft_time_limit(found->second.job);
}

void Dispatcher::on_broken(const Failure& why) {
  owner_.on_pool_broken(why);
}

// --- Settling ----------------------------------------------------------------------------------------

void Dispatcher::settle(broker::Settlement settlement, const std::string& id, int strikes) {
  pass(KillPoint::before_settle);
  if (settler_ == nullptr) return;
  std::string next = next_of(settlement);
  if (!next.empty()) pass(KillPoint::before_count);
  unsettled_.insert_or_assign(job_id(settlement.token),
                              Unsettled{.id = id, .strikes = strikes, .next = std::move(next), .continuation = {}});
  settler_->settle(std::move(settlement));
}

void Dispatcher::settle_early_acknowledged(broker::Settlement settlement, JobId job, const std::string& id) {
  if (settlement.results.empty() && settlement.sends.empty() && !settlement.counts && !settlement.ended_chord &&
      !settlement.graph)
    return;
  // Under a number that no token has: the acknowledgement itself may still be under way.
  const JobId number = job | JobId{1} << 63;
  std::string next = next_of(settlement);
  const bool carries_on = settlement.disposal == broker::Disposal::carry_on;
  unsettled_.insert_or_assign(number, Unsettled{.id = id, .next = {}, .continuation = {}});
  Outbox::Item item = Outbox::Item::of(settlement);
  item.done = [this, number, job, id, next = std::move(next), carries_on](bool complete) {
    unsettled_.erase(number);
    if (complete || carries_on) return carry_on_unreserved(next, job, id);
    tell_if_idle();
  };
  outbox_.push(std::move(item));
}

// --- Credit ------------------------------------------------------------------------------------------

Load Dispatcher::load() const {
  return {.slots = pool_.slots(),
          .appetite = pool_.appetite(),
          .in_pool = in_pool_ + preparing_,
          .not_started = not_started_ + preparing_,
          .bytes_waiting = bytes_waiting_,
          .unsettled = unsettled_.size()};
}

void Dispatcher::update_credit() {
  if (consumer_ == nullptr) return;
  const Credit credit = asking_ && !draining_ ? credit_for(load(), limits_) : Credit{};
  const bool give = credit.messages > 0;
  if (!give && !credit_given_) return;
  credit_given_ = give;
  consumer_->set_credit(credit.messages, credit.bytes);
}

void Dispatcher::tell_if_idle() {
  if (!draining_ || in_pool_ > 0 || preparing_ > 0) return;
  owner_.on_soft_idle();
  if (idle()) owner_.on_idle();
}

}  // namespace lovage::worker
