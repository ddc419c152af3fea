#include "app/result_node.hpp"

#include <utility>

#include "app/callbacks.hpp"
#include "app/canvas_shape.hpp"
#include "wire/canvas.hpp"

namespace lovage::app {
namespace {

using detail::ResultNode;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;
using Node = std::shared_ptr<const ResultNode>;

constexpr int kDeepest = 50;

Node make(std::string id, Node parent) {
  return std::make_shared<const ResultNode>(
      ResultNode{.id = std::move(id), .is_group = false, .children = {}, .parent = std::move(parent), .stored = {}});
}

std::string id_of(const Value& signature) {
  return wire::text_option(canvas_options(signature), "task_id").value_or("");
}

Result<Node> build(const Value& signature, Node parent, int depth);

Result<Node> group_of(std::string id, const Array& members, Node parent, int depth) {
  Array flat;
  if (auto ok = flatten(members, flat, depth); !ok) return tl::unexpected(ok.error());
  ResultNode group{.id = std::move(id), .is_group = true, .children = {}, .parent = std::move(parent), .stored = {}};
  for (const auto& member : flat) {
    auto child = build(member, nullptr, depth + 1);
    if (!child) return child;
    group.children.push_back(std::move(*child));
  }
  return std::make_shared<const ResultNode>(std::move(group));
}

Result<Node> build(const Value& signature, Node parent, int depth) {
  if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  const Array* const tasks = canvas_tasks(signature);
  switch (wire::canvas_kind(signature)) {
    case CanvasKind::chain: {
      Array steps;
      if (auto ok = unroll(signature, steps, depth); !ok) return tl::unexpected(ok.error());
      for (const auto& step : with_chords(std::move(steps))) {
        auto node = build(step, std::move(parent), depth + 1);
        if (!node) return node;
        parent = std::move(*node);
      }
      return parent;
    }
    case CanvasKind::group:
      if (tasks == nullptr) return fail(Errc::bad_data, "a group without tasks");
      return group_of(id_of(signature), *tasks, std::move(parent), depth);
    case CanvasKind::chord: {
      const Value* const body = wire::chord_body(signature);
      if (tasks == nullptr || body == nullptr) return fail(Errc::bad_data, "a chord without a header or a body");
      auto header = group_of(header_id(signature).value_or(""), *tasks, std::move(parent), depth);
      if (!header || stands_for_group(signature)) return header;
      return build(*body, std::move(*header), depth + 1);
    }
    case CanvasKind::chunks:
    case CanvasKind::task:
    case CanvasKind::reference:
      break;
  }
  return make(id_of(signature), std::move(parent));
}

Value tuple_or_null(const Node& node) {
  return node ? to_tuple(*node) : Value();
}

Result<Node> from_tuple(const Value& tuple, int depth) {
  const Array* const pair = tuple.if_array();
  const Array* const own = pair != nullptr && pair->size() == 2 ? (*pair)[0].if_array() : nullptr;
  const std::string* const id = own != nullptr && own->size() == 2 ? (*own)[0].if_string() : nullptr;
  if (id == nullptr || depth > kDeepest) return fail(Errc::bad_data, "no result tuple");
  ResultNode node{.id = *id, .is_group = (*pair)[1].if_array() != nullptr, .children = {}, .parent = {}, .stored = {}};
  if (!(*own)[1].is_null()) {
    auto parent = from_tuple((*own)[1], depth + 1);
    if (!parent) return parent;
    node.parent = std::move(*parent);
  }
  if (node.is_group) {
    for (const auto& child : *(*pair)[1].if_array()) {
      auto read = from_tuple(child, depth + 1);
      if (!read) return read;
      node.children.push_back(std::move(*read));
    }
  }
  return std::make_shared<const ResultNode>(std::move(node));
}

}  // namespace

Result<Node> results_of(const Value& signature) {
  return build(signature, nullptr, 0);
}

Value to_tuple(const ResultNode& node) {
  Value children;
  if (node.is_group) {
    Array list;
    for (const auto& child : node.children) list.push_back(to_tuple(*child));
    children = Value(std::move(list));
  }
  return Value(Array{Value(Array{Value(node.id), tuple_or_null(node.parent)}), std::move(children)});
}

Result<Node> node_from_tuple(const Value& tuple) {
  return from_tuple(tuple, 0);
}

}  // namespace lovage::app
