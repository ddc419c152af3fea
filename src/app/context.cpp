#include <lovage/context.hpp>

#include <algorithm>

#include <lovage/error.hpp>
#include <lovage/signature.hpp>

#include "app/current_context.hpp"
#include "app/invoke.hpp"
#include "app/throw_trace.hpp"

namespace lovage {
namespace {
thread_local Context* current_context = nullptr;
}

namespace app {

CurrentContext::CurrentContext(Context& context) noexcept : previous_(current_context) {
  current_context = &context;
}
CurrentContext::~CurrentContext() {
  current_context = previous_;
}

}  // namespace app

Context* Context::current() noexcept {
  return current_context;
}

const RequestInfo& Context::request() const {
  return state_->facts();
}

void Context::update_state(std::string_view state, Value meta) {
  state_->update_state(state, std::move(meta));
}

bool Context::soft_time_limit_exceeded() const noexcept {
  return state_->soft_limit_passed.load(std::memory_order_relaxed) ||
         std::chrono::steady_clock::now() >= state_->soft_deadline;
}

void Context::check() const {
  if (soft_time_limit_exceeded()) throw SoftTimeLimitExceeded();
}

void Context::retry(const RetryOptions& options) {
  auto asked = options;
  const auto* task = state_->definition;
  if (!asked.countdown && !asked.eta && task != nullptr) asked.countdown = task->options.default_retry_delay;
  const std::exception_ptr cause = std::current_exception();
  const auto most = asked.max_retries ? asked.max_retries : task != nullptr ? task->options.max_retries : 3;
  if (most && state_->facts().retries >= *most) app::throw_retries_exceeded(state_->facts(), cause);
  state_->retry_traceback = app::throw_frames(cause);
  state_->retry_cause = cause;
  state_->retry_asked = std::move(asked);
  throw Retry{};
}

void Context::replace(const Signature& task) {
  if (request().is_eager) throw Error("replace() needs a worker: this task runs in eager mode");
  state_->replacement = task.to_value();
  throw Ignore{};
}

void Context::add_to_chord(const Signature& task) {
  if (!request().is_chord_part) throw Error("add_to_chord(): the task " + request().task + " is no part of a chord");
  state_->added_to_chord.push_back(task.to_value());
}

}  // namespace lovage
