#include "execution/solo_pool.hpp"

#include <unistd.h>

#include <chrono>
#include <utility>

namespace lovage::execution {
namespace {

// Short tasks run several a turn, so that the loop's own costs are shared; but the loop has to turn.
constexpr std::chrono::milliseconds kSlice{2};

}  // namespace

SoloPool::SoloPool(const PoolOptions& options)
    : loop_(options.loop),
      registry_(options.registry),
      settings_(trace_settings(options.config, options.hostname, "MainProcess")),
      appetite_(1, options.fair) {}

void SoloPool::start(PoolEvents& events, UniqueFunction<void()> ready) {
  events_ = &events;
  loop_.post(std::move(ready));
}

void SoloPool::submit(Request request) {
  waiting_.push_back(std::move(request));
  schedule();
}

void SoloPool::schedule() {
  if (scheduled_ || waiting_.empty()) return;
  if (!permit_.is_valid()) {
    permit_timer_ = loop_.after(StartPermit::kLook, [this] { schedule(); });
    return;
  }
  scheduled_ = true;
  loop_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    scheduled_ = false;
    run_slice();
  });
}

void SoloPool::run_slice() {
  std::vector<Outcome> outcomes;
  const auto until = std::chrono::steady_clock::now() + kSlice;
  while (!waiting_.empty() && permit_.is_valid()) {
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    events_->on_started(request.job, ::getpid());
    outcomes.push_back(trace(settings_, registry_, request, *this));
    appetite_.saw(outcomes.back().runtime);
    if (std::chrono::steady_clock::now() >= until) break;
  }
  schedule();
  if (!outcomes.empty()) events_->on_outcomes(std::move(outcomes));
}

void SoloPool::on_state(JobId job, std::string state, std::string meta_json) {
  events_->on_state(job, std::move(state), std::move(meta_json));
}

void SoloPool::allow_starts_until(Monotonic until) noexcept {
  permit_.allow_until(until);
}

void SoloPool::give_back() {
  std::vector<Outcome> outcomes;
  for (const Request& request : std::exchange(waiting_, {}))
    outcomes.push_back(Outcome::of(request.job, Outcome::Kind::not_started));
  if (!outcomes.empty()) events_->on_outcomes(std::move(outcomes));
}

// What runs cannot be ended: this very thread runs it. What waits can.
void SoloPool::terminate(JobId job, int) {
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (it->job != job) continue;
    waiting_.erase(it);
    events_->on_outcomes({Outcome::of(job, Outcome::Kind::revoked, "terminated")});
    return;
  }
}

void SoloPool::stop(UniqueFunction<void()> done) {
  give_back();
  loop_.post(std::move(done));
}

std::vector<int> SoloPool::pids() const {
  return {::getpid()};
}

}  // namespace lovage::execution
