// What a result backend stores under a task id: Celery's result meta.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <lovage/value.hpp>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "wire/body.hpp"

namespace lovage::wire {

// An exception as the wire knows it.
struct ExceptionInfo {
  std::string type;    // "ValueError"
  std::string module;  // "builtins"; "" is written as null
  Array arguments;     // "exc_message"
  // ValueError('boom 1')
  [[nodiscard]] std::string repr() const;
};

Value to_value(const ExceptionInfo& exception);
// Tolerates what other writers leave out (see D9 of the wire reference): never fails.
ExceptionInfo exception_from_value(const Value& value);

struct ResultMeta {
  std::string task_id;
  std::string status;
  Value result;  // return value, state meta, or an ExceptionInfo's object
  std::optional<std::string> traceback;
  Value children;  // array of result tuples [[id, parent], null]; null when stored without a request
  std::optional<std::string> date_done;
  std::optional<std::string> group_id;
  std::optional<std::string> parent_id;
  Object extended;  // result_extended: name, args, kwargs, worker, retries, queue, stamps
};

// In Celery's key order. `date_done` for ready states comes from the caller.
Result<std::string> encode_result_meta(const ResultMeta& meta, Serializer serializer, JsonTypes json_types);
Result<ResultMeta> decode_result_meta(std::string_view bytes, const DecodeLimits& limits = {});

// The hot path: a SUCCESS meta whose result is JSON text already (written by the pool).
struct SuccessMeta {
  std::string_view task_id;
  std::string_view result_json;
  std::string_view children_json;  // "[]" when none
  std::string_view date_done;
  std::optional<std::string_view> group_id;
  std::optional<std::string_view> parent_id;
};
std::string encode_success_meta(const SuccessMeta& meta);

// date_done as 5.6 (aware) or 5.2 (naive UTC) writes it.
std::string date_done_text(Timestamp at, JsonTypes json_types);

// "celery-task-meta-<id>"
std::string result_key(std::string_view task_id);

// The state alone, read without decoding the rest when the text is Celery's; for waiting clients.
std::optional<std::string> peek_status(std::string_view bytes);

}  // namespace lovage::wire
