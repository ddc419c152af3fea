#include "app/graph_reference.hpp"

#include <utility>

#include "app/canvas_shape.hpp"

namespace lovage::app {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;

constexpr int kDeepest = 50;

Value* leading(Value& signature, int depth = 0) {
  switch (canvas_kind(signature)) {
    case CanvasKind::reference:
      return &signature;
    case CanvasKind::chain: {
      Array* const steps = canvas_tasks(signature);
      return steps != nullptr && !steps->empty() && depth < kDeepest ? leading(steps->front(), depth + 1) : nullptr;
    }
    case CanvasKind::group:
    case CanvasKind::chord:
    case CanvasKind::chunks:
    case CanvasKind::task:
      break;
  }
  return nullptr;
}

std::optional<std::string> graph_of(const Value& signature, int depth);

std::optional<std::string> graph_of_any(const Array* signatures, int depth) {
  if (signatures == nullptr) return std::nullopt;
  for (const auto& signature : *signatures) {
    if (auto graph = graph_of(signature, depth + 1)) return graph;
  }
  return std::nullopt;
}

std::optional<std::string> graph_of(const Value& signature, int depth) {
  if (depth > kDeepest) return std::nullopt;
  if (const auto reference = wire::graph_reference(signature)) return reference->graph_id;
  if (auto graph = graph_of_any(canvas_tasks(signature), depth)) return graph;
  const Value* const body = canvas_kind(signature) == CanvasKind::chord ? wire::chord_body(signature) : nullptr;
  if (body != nullptr) {
    if (auto graph = graph_of(*body, depth + 1)) return graph;
  }
  const Object& options = canvas_options(signature);
  const Value* const chain = options.find("chain");
  if (auto graph = graph_of_any(chain != nullptr ? chain->if_array() : nullptr, depth)) return graph;
  const Value* const chord = options.find("chord");
  return chord != nullptr ? graph_of(*chord, depth + 1) : std::nullopt;
}

}  // namespace

std::optional<wire::GraphReference> leading_reference(const Value& signature) {
  // It is looked at alone.
  const Value* const reference = leading(const_cast<Value&>(signature));  // NOLINT(*-const-cast)
  return reference != nullptr ? wire::graph_reference(*reference) : std::nullopt;
}

Result<void> put_in_place(Value& signature, Value node) {
  if (auto ok = check_object(node); !ok) return ok;
  Value* const reference = leading(signature);
  if (reference == nullptr) return fail(Errc::bad_data, "no reference to put a node in the place of");
  const Object options = canvas_options(std::as_const(*reference));
  pass_on(options, node);
  Object& own = canvas_options(node);
  append_links(own, "link", options.find("link"));
  append_links(own, "link_error", options.find("link_error"));
  for (const std::string_view name : {"group_id", "group_index", "chord"}) set_default(own, name, options.find(name));
  *reference = std::move(node);
  return {};
}

std::optional<std::string> graph_of(const Value& signature) {
  return graph_of(signature, 0);
}

}  // namespace lovage::app
