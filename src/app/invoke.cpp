#include "app/invoke.hpp"

#include <algorithm>
#include <cmath>

#include <lovage/error.hpp>

#include "app/current_context.hpp"
#include "app/throw_trace.hpp"
#include "base/logging.hpp"
#include "wire/body.hpp"

namespace lovage::app {
namespace {

std::string traceback_text(const std::string& frames, const std::string& last_line) {
  return "Traceback (most recent call last):\n" + frames + last_line + "\n";
}

// "ValueError: boom", as Python ends a traceback.
std::string headline(const wire::ExceptionInfo& exception) {
  std::string text = exception.module.empty() || exception.module == "builtins" ? "" : exception.module + ".";
  text += exception.type;
  if (exception.arguments.empty()) return text;
  const auto* only = exception.arguments.size() == 1 ? exception.arguments[0].if_string() : nullptr;
  return text + ": " + (only != nullptr ? *only : wire::args_repr(exception.arguments));
}

std::string seconds_text(std::chrono::milliseconds delay) {
  auto text = std::to_string(delay.count() / 1000);
  if (const auto rest = delay.count() % 1000; rest != 0) {
    auto digits = std::to_string(1000 + rest).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    text += "." + digits;
  }
  return text + "s";
}

// Celery: Retry.__str__
std::string retry_message(const RetryOptions& options, const wire::ExceptionInfo& reason) {
  std::string text = "Retry";
  if (options.eta) {
    text += " at " + wire::to_wire_time(std::chrono::floor<std::chrono::microseconds>(*options.eta)).text;
  } else {
    text += " in " + seconds_text(options.countdown.value_or(std::chrono::milliseconds(0)));
  }
  if (!options.reason.empty()) return text + ": " + options.reason;
  return reason.type.empty() ? text : text + ": " + reason.repr();
}

RetryRaised retry_raised(Context::State& state) {
  RetryRaised retry;
  retry.options = std::move(*state.retry_asked);
  retry.reason = describe_exception(state.retry_cause);
  retry.message = retry_message(retry.options, retry.reason);
  retry.traceback = traceback_text(state.retry_traceback, retry.message);
  state.retry_asked.reset();
  state.retry_cause = nullptr;
  return retry;
}

// Celery: get_exponential_backoff_interval. The jitter is uniform in whole seconds from 0 on.
std::chrono::milliseconds autoretry_delay(const TaskOptions& options, std::int64_t retries, std::uint64_t random) {
  if (options.retry_backoff <= 0) return options.default_retry_delay;
  const double factor = std::floor(std::max(1.0, options.retry_backoff));
  const double most = static_cast<double>(std::max<std::int64_t>(0, options.retry_backoff_max.count()));
  const double grown = factor * std::exp2(static_cast<double>(std::clamp<std::int64_t>(retries, 0, 1'000)));
  auto seconds = static_cast<std::uint64_t>(std::min(most, grown));
  if (options.retry_jitter) seconds = random % (seconds + 1);
  return std::chrono::seconds(seconds);
}

bool may_autoretry(const TaskDefinition& task, Context::State& state, const std::exception_ptr& error) {
  if (!task.options.autoretry_for.matches(error)) return false;
  return !task.options.max_retries || state.facts().retries < *task.options.max_retries;
}

Raised raised(const TaskDefinition& task, const std::exception_ptr& error) {
  Raised result;
  result.exception = describe_exception(error);
  result.traceback = traceback_text(throw_frames(error), headline(result.exception));
  result.expected = task.options.throws.matches(error);
  return result;
}

void warn_swallowed(Context::State& state, const std::string& what) {
  log::warning("Task " + state.facts().task + "[" + state.facts().id + "] caught the signal of its own " + what +
                   " all the same",
               {{"id", state.facts().id}, {"name", state.facts().task}});
}

// It has asked for something else than its result, and went on.
std::optional<Invocation> swallowed(Context::State& state) {
  if (state.retry_asked) {
    warn_swallowed(state, "retry() and went on: it is retried");
    return retry_raised(state);
  }
  if (!state.replacement) return std::nullopt;
  warn_swallowed(state, "replace() and went on: it is replaced");
  return Replaced{std::move(*state.replacement)};
}

Invocation after_exception(const TaskDefinition& task, Context::State& state, std::uint64_t random,
                           const std::exception_ptr& error) {
  if (auto asked = swallowed(state)) return std::move(*asked);
  if (may_autoretry(task, state, error)) {
    state.retry_asked = RetryOptions{.countdown = autoretry_delay(task.options, state.facts().retries, random)};
    state.retry_cause = error;
    state.retry_traceback = throw_frames(error);
    return retry_raised(state);
  }
  return raised(task, error);
}

Invocation run(const TaskDefinition& task, Context::State& state, std::uint64_t random) {
  Context context(state);
  const CurrentContext current(context);
  const ThrowWatch watch;
  try {
    Value value = task.call(context, state.request.args, state.request.kwargs);
    if (auto asked = swallowed(state)) return std::move(*asked);
    return Returned{std::move(value)};
  } catch (const Retry&) {
    // A Retry that retry() did not throw: the task's own defaults.
    if (!state.retry_asked) state.retry_asked = RetryOptions{.countdown = task.options.default_retry_delay};
    return retry_raised(state);
  } catch (const Ignore& ignore) {
    if (state.replacement) return Replaced{std::move(*state.replacement)};
    return ignore;
  } catch (const Reject& reject) {
    return reject;
  } catch (...) {
    return after_exception(task, state, random, std::current_exception());
  }
}

}  // namespace

void throw_retries_exceeded(const RequestInfo& request, const std::exception_ptr& cause) {
  if (cause) std::rethrow_exception(cause);
  throw MaxRetriesExceeded("Can't retry " + request.task + "[" + request.id +
                           "] args:" + wire::args_repr(request.args) + " kwargs:" + wire::kwargs_repr(request.kwargs));
}

Invocation invoke(const TaskDefinition& task, Context::State& state, std::uint64_t random) noexcept {
  state.definition = &task;
  try {
    return run(task, state, random);
  } catch (...) {
    // Describing the exception failed in its turn, for want of memory as a rule.
    return Raised{{"MemoryError", "builtins", {}}, {}, false};
  }
}

}  // namespace lovage::app
