// The result of a task that was sent: Celery's AsyncResult.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <lovage/convert.hpp>
#include <lovage/error.hpp>
#include <lovage/value.hpp>

namespace lovage {

namespace app {
class Core;
}
namespace detail {
struct ResultNode;
struct StoredResult;
}  // namespace detail

struct GetOptions {
  // A task that waits for another one can fill the pool with waiting tasks: get() inside a task throws
  // unless this is set. Celery: disable_sync_subtasks=False.
  bool allow_in_task = false;
  // false: a failure is returned as the stored exception, {"exc_type", "exc_message", "exc_module"}, and
  // not thrown. Only useful where the result's type is Value.
  bool propagate = true;
};

// What all AsyncResults can do, whatever the result's type. Cheap to copy; keeps the app's connections
// alive. All members may be called from any thread, and may throw ConnectionError when the result backend
// cannot be reached (within 5 s, or the timeout given), and ConfigError when there is none.
class ResultHandle {
 public:
  [[nodiscard]] const std::string& id() const noexcept { return id_; }

  // PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED or a custom state. PENDING also for unknown ids.
  [[nodiscard]] std::string state() const;
  [[nodiscard]] bool ready() const;       // SUCCESS, FAILURE or REVOKED
  [[nodiscard]] bool successful() const;  // SUCCESS
  [[nodiscard]] bool failed() const;      // FAILURE

  // The stored result: the return value, a custom state's meta, or an exception's object.
  [[nodiscard]] Value result() const;
  [[nodiscard]] Value info() const { return result(); }
  [[nodiscard]] std::optional<std::string> traceback() const;
  // The tasks that the task sent.
  [[nodiscard]] std::vector<ResultHandle> children() const;
  // The result of the step before this one, for results of workflows that this process has sent; nothing for the first
  // one, and where a group came before it: see parent_group() in group_result.hpp.
  [[nodiscard]] std::optional<ResultHandle> parent() const;
  // [[id, parent], null]: the result and what came before it. Celery: AsyncResult.as_tuple.
  [[nodiscard]] Value as_tuple() const;

  // Waits until the result is ready and returns its state. Throws Timeout.
  std::string wait(std::chrono::milliseconds timeout, const GetOptions& options = {}) const;
  // Waits and returns the result as a Value. Throws what AsyncResult::get throws.
  Value get_value(std::optional<std::chrono::milliseconds> timeout, const GetOptions& options = {}) const;

  // Tells every worker not to run the task; with `terminate` also to kill, with that signal ("SIGTERM", "KILL", ...),
  // the process that runs it already. Returns when the broker has taken the message: nobody answers, and only workers
  // that are up now and obey remote control hear it (Celery's; Lovage's own do not listen yet). Saying it again does no
  // harm. Throws ConfigError for an unknown signal and where the broker has no remote control (sqlite, memory),
  // ConnectionError when the broker cannot be reached within 5 s. Celery: AsyncResult.revoke.
  void revoke(bool terminate = false, std::string_view signal = "SIGTERM") const;

  // Removes the stored result, and those of the chain's earlier steps. Celery: AsyncResult.forget.
  void forget() const;

  // For the library: `stored` is a result that is known already (eager mode).
  ResultHandle(std::shared_ptr<app::Core> core, std::string id,
               std::shared_ptr<const detail::StoredResult> stored = nullptr);
  ResultHandle(std::shared_ptr<app::Core> core, const detail::ResultNode& node);
  [[nodiscard]] const std::shared_ptr<const detail::ResultNode>& parent_node() const noexcept { return parent_; }
  [[nodiscard]] const std::shared_ptr<const detail::StoredResult>& stored() const noexcept { return stored_; }
  [[nodiscard]] const std::shared_ptr<app::Core>& core() const noexcept { return core_; }

 private:
  std::shared_ptr<app::Core> core_;
  std::string id_;
  std::shared_ptr<const detail::ResultNode> parent_;
  std::shared_ptr<const detail::StoredResult> stored_;
};

namespace detail {
[[noreturn]] void throw_at_result(const std::string& id, const TypeError& inner);
}

// The result of a task that returns R.
template <class R = Value>
class AsyncResult : public ResultHandle {
 public:
  explicit AsyncResult(ResultHandle handle) : ResultHandle(std::move(handle)) {}

  // Waits for the result and returns it. Throws TaskFailed with the worker's type, message and traceback,
  // TaskRevoked, Timeout, TypeError when the result is not an R, ConnectionError. Inside a task it throws
  // Error: see GetOptions.
  R get(std::chrono::milliseconds timeout, const GetOptions& options = {}) const {
    return convert(get_value(timeout, options));
  }
  // The same without a limit.
  R get(const GetOptions& options = {}) const { return convert(get_value(std::nullopt, options)); }

 private:
  R convert(const Value& value) const {
    if constexpr (!std::is_void_v<R>) {
      try {
        return from_value<R>(value);
      } catch (const TypeError& error) {
        detail::throw_at_result(id(), error);
      }
    }
  }
};

}  // namespace lovage
