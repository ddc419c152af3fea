// The graph of a result, as DOT and as JSON.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include <lovage/group_result.hpp>

#include "app/core.hpp"
#include "app/result_node.hpp"
#include "app/result_states.hpp"

namespace lovage {
namespace {

using detail::ResultNode;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

class Graph {
 public:
  Graph(const ResultNode& last, app::Core& core) {
    collect(last);
    const auto found = app::states_of(core, tasks_);
    for (std::size_t i = 0; i < tasks_.size(); ++i) states_.emplace(tasks_[i], found[i]);
  }

  [[nodiscard]] std::string to_dot() const {
    std::string out = "digraph {\n  compound=true\n";
    for (const auto* root : roots_) append_node(*root, out, "  ");
    for (const auto& [from, to] : edges_) append_arrow(*from, *to, out);
    return out + "}\n";
  }

  [[nodiscard]] Value to_value() const {
    Array nodes;
    for (const auto* task : tasks_) nodes.push_back(Object{{"id", task->id}, {"state", states_.at(task)}});
    Array groups;
    for (const auto* group : groups_) {
      Array members;
      for (const auto& child : group->children) members.emplace_back(child->id);
      groups.push_back(Object{{"id", group->id}, {"members", std::move(members)}});
    }
    Array edges;
    for (const auto& [from, to] : edges_) edges.push_back(Array{from->id, to->id});
    return Object{{"nodes", std::move(nodes)}, {"groups", std::move(groups)}, {"edges", std::move(edges)}};
  }

 private:
  // What comes before a node stands beside it, in the same frame; first comes first.
  void collect(const ResultNode& last) {
    const auto chain = chain_of(last);
    roots_.insert(roots_.end(), chain.begin(), chain.end());
    for (const auto* node : chain) collect_in(*node);
  }

  void collect_in(const ResultNode& node) {
    if (node.parent) edges_.emplace_back(node.parent.get(), &node);
    if (!node.is_group) return tasks_.push_back(&node);
    frames_.emplace(&node, groups_.size());
    groups_.push_back(&node);
    for (const auto& child : node.children) {
      for (const auto* step : chain_of(*child)) collect_in(*step);
    }
  }

  static std::vector<const ResultNode*> chain_of(const ResultNode& last) {
    std::vector<const ResultNode*> chain;
    for (const auto* node = &last; node != nullptr; node = node->parent.get()) chain.push_back(node);
    std::ranges::reverse(chain);
    return chain;
  }

  [[nodiscard]] std::string frame_of(const ResultNode& group) const {
    return "cluster_" + std::to_string(frames_.at(&group));
  }

  void append_node(const ResultNode& node, std::string& out, const std::string& indent) const {
    if (!node.is_group) {
      out += indent + quoted(node.id) + " [shape=box, label=" + quoted(node.id + " " + states_.at(&node)) + "]\n";
      return;
    }
    out += indent + "subgraph " + frame_of(node) + " {\n";
    for (const auto& child : node.children) {
      for (const auto* step : chain_of(*child)) append_node(*step, out, indent + "  ");
    }
    out += indent + "}\n";
  }

  // An arrow joins tasks; from or to a group it is cut off at the group's frame.
  void append_arrow(const ResultNode& from, const ResultNode& to, std::string& out) const {
    const auto tails = app::leaves_of(from);
    const auto heads = app::leaves_of(to);
    if (tails.empty() || heads.empty()) return;
    out += "  " + quoted(tails.front()->id) + " -> " + quoted(heads.front()->id);
    std::string ends;
    if (from.is_group) ends += "ltail=" + frame_of(from);
    if (to.is_group) ends += (ends.empty() ? "lhead=" : ", lhead=") + frame_of(to);
    out += ends.empty() ? "\n" : " [" + ends + "]\n";
  }

  std::vector<const ResultNode*> roots_;
  std::vector<const ResultNode*> tasks_;
  std::vector<const ResultNode*> groups_;
  std::vector<std::pair<const ResultNode*, const ResultNode*>> edges_;
  std::unordered_map<const ResultNode*, std::string> states_;
  std::unordered_map<const ResultNode*, std::size_t> frames_;
};

ResultNode node_of(const ResultHandle& result) {
  return {
      .id = result.id(), .is_group = false, .children = {}, .parent = result.parent_node(), .stored = result.stored()};
}

}  // namespace

std::string to_dot(const ResultHandle& result) {
  return Graph(node_of(result), *result.core()).to_dot();
}

std::string to_dot(const GroupHandle& result) {
  return Graph(*result.node(), *result.core()).to_dot();
}

Value to_graph(const ResultHandle& result) {
  return Graph(node_of(result), *result.core()).to_value();
}

Value to_graph(const GroupHandle& result) {
  return Graph(*result.node(), *result.core()).to_value();
}

}  // namespace lovage
