#include "app/hearers.hpp"

#include <algorithm>
#include <utility>

#include "app/canvas_shape.hpp"
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

const Value* first_of(const Array* tasks) noexcept {
  return tasks != nullptr && !tasks->empty() ? &tasks->front() : nullptr;
}

Array errbacks_of(const Value& signature, int depth);

// A group that something follows is the header of a chord: what follows hears of its failures.
Array errbacks_of_chain(const Value& chain, int depth) {
  Array steps;
  if (const auto unrolled = unroll(chain, steps, depth); !unrolled) return {};
  std::size_t first = 0;
  while (first + 1 < steps.size() && canvas_kind(steps[first]) == CanvasKind::group) ++first;
  return errbacks_of(steps[first], depth + 1);
}

// Of the task that would have begun it, or of a chord the one that would have ended it; then those of the whole, which
// hang at each of its tasks when it runs.
Array errbacks_of(const Value& signature, int depth) {
  const CanvasKind kind = canvas_kind(signature);
  if (depth > kDeepest) return {};
  if (kind == CanvasKind::chain) return errbacks_of_chain(signature, depth);
  const Value* const inner = kind == CanvasKind::chord ? chord_body(signature) : first_of(canvas_tasks(signature));
  Array errbacks = kind == CanvasKind::reference ? wire::reference_errbacks(signature)
                   : inner != nullptr            ? errbacks_of(*inner, depth + 1)
                                                 : Array{};
  for (auto& own : wire::list_of(canvas_options(signature).find("link_error")).value_or(Array{})) {
    if (std::ranges::find(errbacks, own) == errbacks.end()) errbacks.push_back(std::move(own));
  }
  return errbacks;
}

// A chord's and a chain's own ids are not what people wait for.
std::string id_of(const Value& signature, int depth) {
  const CanvasKind kind = canvas_kind(signature);
  const Value* const following = canvas_options(signature).find("chain");
  const Array* const tasks = canvas_tasks(signature);
  const Value* inner = kind == CanvasKind::chord ? chord_body(signature) : first_of(tasks);
  if (kind == CanvasKind::chain && inner != nullptr) inner = &tasks->back();
  if (const Value* const last = following != nullptr ? first_of(following->if_array()) : nullptr) inner = last;
  if (inner != nullptr && depth < kDeepest) {
    if (std::string id = id_of(*inner, depth + 1); !id.empty()) return id;
  }
  return text_option(canvas_options(signature), "task_id").value_or("");
}

}  // namespace

Hearers hearers_of(const Value& signature) {
  return {errbacks_of(signature, 0), id_of(signature, 0)};
}

}  // namespace lovage::app
