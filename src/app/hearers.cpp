#include "app/hearers.hpp"

#include <utility>

#include "wire/canvas.hpp"

namespace lovage::app {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;
using wire::chord_body;
using wire::text_option;

constexpr int kDeepest = 50;

Hearers hearers_of(const Value& signature, int depth) {
  const Object& options = canvas_options(signature);
  Hearers own{wire::list_of(options.find("link_error")).value_or(Array{}),
              text_option(options, "task_id").value_or("")};
  const CanvasKind kind = canvas_kind(signature);
  if (kind == CanvasKind::reference && own.errbacks.empty()) own.errbacks = wire::reference_errbacks(signature);
  const Array* const tasks = canvas_tasks(signature);
  const Value* inner = kind == CanvasKind::chord ? chord_body(signature) : nullptr;
  if (kind == CanvasKind::chain && tasks != nullptr && !tasks->empty()) inner = &tasks->back();
  if (kind == CanvasKind::group && tasks != nullptr && !tasks->empty()) inner = &tasks->front();
  if (inner == nullptr || depth > kDeepest) return own;
  // A chord's and a chain's own ids are not what people wait for.
  Hearers below = hearers_of(*inner, depth + 1);
  if (!own.errbacks.empty()) below.errbacks = std::move(own.errbacks);
  if (below.id.empty()) below.id = std::move(own.id);
  return below;
}

}  // namespace

Hearers hearers_of(const Value& signature) {
  return hearers_of(signature, 0);
}

}  // namespace lovage::app
