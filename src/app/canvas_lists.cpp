#include "app/canvas_lists.hpp"

#include <string>
#include <utility>

#include <lovage/error.hpp>

#include "app/canvas_shape.hpp"
#include "app/routing.hpp"
#include "wire/canvas.hpp"
#include "wire/signature.hpp"

namespace lovage::app {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;

// What a signature ends in. Freezing has bounded its depth, and found objects alone.
Value& end_of(Value& signature) {
  const CanvasKind kind = canvas_kind(signature);
  Array* const steps = kind == CanvasKind::chain ? canvas_tasks(signature) : nullptr;
  if (steps != nullptr && !steps->empty()) return end_of(steps->back());
  Value* const body = kind == CanvasKind::chord ? wire::chord_body(signature) : nullptr;
  return body != nullptr ? end_of(*body) : signature;
}

const Value& first_task(const Value& signature) {
  const Array* const tasks = canvas_tasks(signature);
  return tasks != nullptr && !tasks->empty() ? first_task(tasks->front()) : signature;
}

// Somebody who has celery.accumulate, as all workers have, serves that queue.
Object destination_of(const Config& config, const Value& task) {
  const auto text = [&](std::string_view name) { return wire::text_option(canvas_options(task), name).value_or(""); };
  const Value* const name = task.find("task");
  const std::string* const known = name != nullptr ? name->if_string() : nullptr;
  const auto found =
      find_destination(config, known != nullptr ? *known : "",
                       {.queue = text("queue"), .exchange = text("exchange"), .routing_key = text("routing_key")});
  if (found.exchange.empty()) return {{"queue", Value(found.routing_key)}};
  return {{"exchange", Value(found.exchange)}, {"routing_key", Value(found.routing_key)}};
}

}  // namespace

Value list_of_results(Object options) {
  return wire::to_value(wire::SignatureData{.task = "celery.accumulate",
                                            .args = {},
                                            .kwargs = {{"index", Value(0)}},
                                            .options = std::move(options),
                                            .subtask_type = std::nullopt,
                                            .immutable = false});
}

Result<void> end_in_one_result(const Config& config, Value& header_task) try {
  if (auto ok = freeze(header_task); !ok) return ok;
  Value& end = end_of(header_task);
  const Array* const members = canvas_tasks(end);
  if (canvas_kind(end) != CanvasKind::group || members == nullptr || members->empty()) return {};
  Object options = destination_of(config, first_task(end));
  options["task_id"] = canvas_options(end)["task_id"];
  Array steps;
  steps.push_back(std::move(end));
  steps.push_back(list_of_results(std::move(options)));
  end = std::move(with_chords(std::move(steps)).front());
  return {};
} catch (const Error& error) {  // the rules of sending throw at callers
  return fail(Errc::bad_data, error.what());
}

}  // namespace lovage::app
