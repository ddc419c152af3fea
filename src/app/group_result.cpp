#include <lovage/group_result.hpp>

#include <algorithm>

#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "app/core.hpp"
#include "app/result_node.hpp"
#include "app/stored_result.hpp"
#include "wire/result_meta.hpp"

namespace lovage {
namespace {

using detail::ResultNode;

constexpr std::chrono::seconds kReadTimeout{5};
constexpr std::chrono::milliseconds kLongestWait = std::chrono::years(100);
// Ids asked for at once.
constexpr std::size_t kChunk = 1'000;

backend::Backend& backend_of(app::Core& core) {
  if (auto* backend = core.backend()) return *backend;
  throw ConfigError("this app stores no results: result_backend is disabled");
}

void append_leaves(const ResultNode& node, std::vector<const ResultNode*>& leaves) {
  if (!node.is_group) return leaves.push_back(&node);
  for (const auto& child : node.children) append_leaves(*child, leaves);
}

std::vector<const ResultNode*> leaves_of(const ResultNode& node) {
  std::vector<const ResultNode*> leaves;
  append_leaves(node, leaves);
  return leaves;
}

// The state of each, in order.
std::vector<std::string> states_of(app::Core& core, const std::vector<const ResultNode*>& leaves) {
  if (!leaves.empty() && leaves.front()->stored) {  // eager mode
    std::vector<std::string> known;
    for (const auto* leaf : leaves) known.push_back(leaf->stored ? leaf->stored->state : std::string(states::pending));
    return known;
  }
  std::vector<std::string> found;
  found.reserve(leaves.size());
  while (found.size() < leaves.size()) {
    std::vector<std::string> ids;
    for (std::size_t i = found.size(); i < leaves.size() && ids.size() < kChunk; ++i) ids.push_back(leaves[i]->id);
    const auto metas = backend_of(core).get_many(ids, Deadline::after(kReadTimeout));
    if (!metas) raise(metas.error());
    for (const auto& meta : *metas) {
      const auto status = meta ? wire::peek_status(*meta) : std::nullopt;
      const auto decoded = meta && !status ? wire::decode_result_meta(*meta) : Result<wire::ResultMeta>();
      found.push_back(status ? *status : meta && decoded ? decoded->status : std::string(states::pending));
    }
  }
  return found;
}

Array join_node(const std::shared_ptr<app::Core>& core, const ResultNode& group, Deadline deadline, bool has_deadline,
                const GetOptions& options) {
  Array results;
  results.reserve(group.children.size());
  for (const auto& child : group.children) {
    if (child->is_group) {
      results.emplace_back(join_node(core, *child, deadline, has_deadline, options));
      continue;
    }
    std::optional<std::chrono::milliseconds> left;
    if (has_deadline) left = std::chrono::ceil<std::chrono::milliseconds>(deadline.remaining());
    results.push_back(ResultHandle(core, *child).get_value(left, options));
  }
  return results;
}

void append_dot(const ResultNode& node, app::Core& core, std::string& out, int& frames);

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// Any task of it: an arrow needs one.
const ResultNode* first_leaf(const ResultNode& node) {
  const auto leaves = leaves_of(node);
  return leaves.empty() ? nullptr : leaves.front();
}

void append_arrow(const ResultNode& from, const ResultNode& to, std::string& out) {
  const ResultNode* const tail = first_leaf(from);
  const ResultNode* const head = first_leaf(to);
  if (tail != nullptr && head != nullptr) out += "  " + quoted(tail->id) + " -> " + quoted(head->id) + "\n";
}

void append_dot(const ResultNode& node, app::Core& core, std::string& out, int& frames) {
  if (node.parent) {
    append_dot(*node.parent, core, out, frames);
    append_arrow(*node.parent, node, out);
  }
  if (node.is_group) {
    out += "  subgraph cluster_" + std::to_string(frames++) + " {\n";
    for (const auto& child : node.children) append_dot(*child, core, out, frames);
    out += "  }\n";
    return;
  }
  const auto state = states_of(core, {&node}).front();
  out += "  " + quoted(node.id) + " [shape=box, label=" + quoted(node.id + " " + state) + "]\n";
}

std::string dot_of(const ResultNode& node, app::Core& core) {
  std::string out = "digraph {\n";
  int frames = 0;
  append_dot(node, core, out, frames);
  return out + "}\n";
}

}  // namespace

GroupHandle::GroupHandle(std::shared_ptr<app::Core> core, std::shared_ptr<const ResultNode> node)
    : core_(std::move(core)), node_(std::move(node)) {}

const std::string& GroupHandle::id() const noexcept {
  return node_->id;
}

std::vector<ResultHandle> GroupHandle::results() const {
  std::vector<ResultHandle> results;
  for (const auto* leaf : leaves_of(*node_)) results.emplace_back(core_, *leaf);
  return results;
}

std::size_t GroupHandle::completed_count() const {
  const auto found = states_of(*core_, leaves_of(*node_));
  return static_cast<std::size_t>(std::ranges::count(found, states::success));
}

bool GroupHandle::ready() const {
  return std::ranges::all_of(states_of(*core_, leaves_of(*node_)), [](const auto& s) { return states::is_ready(s); });
}

bool GroupHandle::successful() const {
  return std::ranges::all_of(states_of(*core_, leaves_of(*node_)), [](const auto& s) { return s == states::success; });
}

bool GroupHandle::failed() const {
  return std::ranges::any_of(states_of(*core_, leaves_of(*node_)), [](const auto& s) { return s == states::failure; });
}

bool GroupHandle::waiting() const {
  return !ready();
}

Array GroupHandle::join(std::optional<std::chrono::milliseconds> timeout, const GetOptions& options) const {
  const auto deadline =
      timeout && *timeout < kLongestWait ? Deadline::after(std::max(*timeout, -kLongestWait)) : Deadline::never();
  return join_node(core_, *node_, deadline, timeout.has_value(), options);
}

std::optional<ResultHandle> GroupHandle::parent() const {
  if (!node_->parent || node_->parent->is_group) return std::nullopt;
  return ResultHandle(core_, *node_->parent);
}

Value GroupHandle::as_tuple() const {
  return app::to_tuple(*node_);
}

void GroupHandle::save() const {
  const std::string text = to_json(Value(Object{{"result", as_tuple()}}));
  if (auto saved = backend_of(*core_).save_group(id(), text, Deadline::after(kReadTimeout)); !saved)
    raise(saved.error());
}

void GroupHandle::forget() const {
  const auto deadline = Deadline::after(kReadTimeout);
  if (auto forgotten = backend_of(*core_).forget_group(id(), deadline); !forgotten) raise(forgotten.error());
  for (const auto* leaf : leaves_of(*node_)) {
    if (auto forgotten = backend_of(*core_).forget(leaf->id, deadline); !forgotten) raise(forgotten.error());
  }
}

void GroupHandle::revoke(bool terminate, std::string_view signal) const {
  for (const auto& result : results()) result.revoke(terminate, signal);
}

std::optional<GroupResult<>> parent_group(const ResultHandle& result) {
  const auto& parent = result.parent_node();
  if (!parent || !parent->is_group) return std::nullopt;
  return GroupResult<>(GroupHandle(result.core(), parent));
}

std::optional<GroupResult<>> parent_group(const GroupHandle& result) {
  const auto& parent = result.node()->parent;
  if (!parent || !parent->is_group) return std::nullopt;
  return GroupResult<>(GroupHandle(result.core(), parent));
}

std::string to_dot(const ResultHandle& result) {
  return dot_of({.id = result.id(), .is_group = false, .children = {}, .parent = result.parent_node(), .stored = {}},
                *result.core());
}

std::string to_dot(const GroupHandle& result) {
  return dot_of(*result.node(), *result.core());
}

}  // namespace lovage
