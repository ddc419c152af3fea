// Calls a task: the one wall that exceptions of user code hit. Pools and eager mode both come here.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <lovage/context.hpp>
#include <lovage/value.hpp>

#include "app/registry.hpp"
#include "wire/result_meta.hpp"

namespace lovage {

// One run of one task, as its Context sees it. The pool (or eager mode) makes one per call.
class Context::State {
 public:
  virtual ~State() = default;
  virtual void update_state(std::string_view state, Value meta) = 0;

  // Everything that is known of the message. Thread-safe.
  const RequestInfo& facts() {
    std::call_once(completed_, [this] { complete_request(); });
    return request;
  }

  // `args` and `kwargs`, and what complete_request() adds: most tasks never ask for more.
  RequestInfo request;
  const app::TaskDefinition* definition = nullptr;
  std::atomic<bool> soft_limit_passed{false};  // set by the pool's watch, read by the task
  // When the soft time limit passes: Context::check() compares it with the clock, so no pool needs a
  // signal or a watching thread for it. The limit has passed when either says so.
  std::chrono::steady_clock::time_point soft_deadline = std::chrono::steady_clock::time_point::max();
  std::optional<RetryOptions> retry_asked;  // set by Context::retry, also when the throw was swallowed
  std::exception_ptr retry_cause;           // the exception that was being handled then, if any
  std::string retry_traceback;              // where it was thrown
  std::vector<std::string> children;        // ids of the tasks sent by the task
  std::optional<Value> replacement;         // a signature, set by Context::replace
  Array added_to_chord;                     // signatures, by Context::add_to_chord

 private:
  virtual void complete_request() {}

  std::once_flag completed_;
};

}  // namespace lovage

namespace lovage::app {

struct Returned {
  Value value;
};
struct Raised {
  wire::ExceptionInfo exception;
  std::string traceback;
  bool expected = false;  // one of the task's `throws`
};
struct RetryRaised {
  RetryOptions options;        // countdown or eta filled in
  wire::ExceptionInfo reason;  // without a type when there was no exception: the stored result is null
  std::string message;         // "Retry in 2s: ConnectionError('upstream 1')"
  std::string traceback;
};
struct Replaced {
  Value signature;
};
using Invocation = std::variant<Returned, Raised, RetryRaised, Ignore, Reject, Replaced>;

// Runs the task on this thread, with Context::current() set. Autoretry, retry limits and the mapping of
// C++ exceptions to the wire's names happen here. `random` is for the jitter of retries.
Invocation invoke(const TaskDefinition& task, Context::State& state, std::uint64_t random) noexcept;

// What a C++ exception is called on the wire: std::invalid_argument is ValueError of builtins, an
// unknown type keeps its demangled name with module "cpp".
wire::ExceptionInfo describe_exception(const std::exception_ptr& error);

}  // namespace lovage::app
