// How a task behaves when it runs, and how one send of it travels.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <lovage/config.hpp>
#include <lovage/value.hpp>

namespace lovage {

// A set of exception types, to say which ones a rule is for.
class ExceptionSet {
 public:
  ExceptionSet() = default;
  template <class... E>
  static ExceptionSet of() {
    ExceptionSet set;
    (set.tests_.push_back(&is<E>), ...);
    return set;
  }
  [[nodiscard]] bool empty() const noexcept { return tests_.empty(); }
  // Whether the exception is of one of the types, or derives from one.
  [[nodiscard]] bool matches(const std::exception_ptr& error) const {
    for (const auto test : tests_)
      if (test(error)) return true;
    return false;
  }

 private:
  template <class E>
  static bool is(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const E&) {
      return true;
    } catch (...) {
      return false;
    }
  }
  std::vector<bool (*)(const std::exception_ptr&)> tests_;
};

// exceptions<std::system_error, HttpError>(): for autoretry_for and throws.
template <class... E>
ExceptionSet exceptions() {
  return ExceptionSet::of<E...>();
}

// Options of a task, set where it is declared. Names and meanings are Celery's; an unset optional
// means the setting of the same name (task_<name>).
struct TaskOptions {
  // self.retry() and autoretry: how often, and how long before the next try. nullopt: for ever.
  std::optional<int> max_retries = 3;
  std::chrono::milliseconds default_retry_delay{180'000};
  // Exceptions that are retried by themselves, with delays that double (retry_backoff, in seconds; 0:
  // default_retry_delay each time), capped, and spread uniformly below that with retry_jitter.
  ExceptionSet autoretry_for = {};
  double retry_backoff = 0;
  std::chrono::seconds retry_backoff_max{600};
  bool retry_jitter = true;
  // Expected exceptions: logged as information, not as errors.
  ExceptionSet throws = {};

  std::optional<std::chrono::milliseconds> soft_time_limit = {};
  std::optional<std::chrono::milliseconds> time_limit = {};
  std::optional<bool> acks_late = {};
  std::optional<bool> acks_on_failure_or_timeout = {};
  std::optional<bool> reject_on_worker_lost = {};
  std::optional<bool> track_started = {};
  std::optional<bool> ignore_result = {};
  std::optional<bool> store_errors_even_if_ignored = {};

  // Defaults of every send of this task.
  std::string queue = {};
  std::optional<int> priority = {};
  std::string serializer = {};
  std::string compression = {};
  std::optional<std::chrono::milliseconds> expires = {};
};

}  // namespace lovage
