#include "cli/result_text.hpp"

#include <chrono>

#include <fmt/format.h>
#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "base/exit_code.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"

namespace lovage::cli {
namespace {

Deadline deadline_after(std::optional<double> seconds) {
  constexpr double kLongest = 1e9;
  if (!seconds || !(*seconds <= kLongest)) return Deadline::never();
  return Deadline::after(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*seconds)));
}

}  // namespace

wire::ResultMeta current_result(backend::Backend& backend, const std::string& id) {
  const auto bytes = take(backend.get(id, management_deadline()));
  if (bytes) return take(wire::decode_result_meta(*bytes));
  wire::ResultMeta pending;
  pending.task_id = id;
  pending.status = states::pending;
  return pending;
}

wire::ResultMeta wait_for_result(backend::Backend& backend, const std::string& id, std::optional<double> seconds) {
  // In slices, so that a lost connection shows as an error, however long the wait.
  constexpr std::chrono::seconds kSlice{30};
  const Deadline deadline = deadline_after(seconds);
  while (true) {
    const auto bytes = take(backend.wait(id, Deadline::after(kSlice).or_earlier(deadline)));
    if (bytes) return take(wire::decode_result_meta(*bytes));
    if (deadline.passed()) {
      throw Timeout(fmt::format("task {} is not ready after {} s (state: {})", id, seconds.value_or(0),
                                current_result(backend, id).status));
    }
  }
}

int print_result(const wire::ResultMeta& meta, ResultForm form) {
  const bool succeeded = meta.status == states::success;
  if (form == ResultForm::json) {
    print_json({{"id", meta.task_id},
                {"state", meta.status},
                {"result", meta.result},
                {"traceback", meta.traceback ? Value(*meta.traceback) : Value()}});
  } else if (!succeeded) {
    print_error(fmt::format("task {} ended as {}: {}", meta.task_id, meta.status,
                            wire::exception_from_value(meta.result).repr()));
  } else if (const auto* text = meta.result.if_string(); text != nullptr && form == ResultForm::raw) {
    print(*text);
  } else {
    print_json(meta.result);
  }
  return succeeded ? kOk : kFailure;
}

}  // namespace lovage::cli
