#include <lovage/group_result.hpp>

#include <algorithm>

#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "app/core.hpp"
#include "app/result_node.hpp"
#include "app/result_states.hpp"
#include "app/stored_result.hpp"

namespace lovage {
namespace {

using app::leaves_of;
using app::states_of;
using detail::ResultNode;

constexpr std::chrono::seconds kReadTimeout{5};
constexpr std::chrono::milliseconds kLongestWait = std::chrono::years(100);
// How often iterate() looks for more results: no engine waits for any of many.
constexpr std::chrono::milliseconds kFirstLook{20};
constexpr std::chrono::milliseconds kLongestLook{1'000};

backend::Backend& backend_of(app::Core& core) {
  if (auto* backend = core.backend()) return *backend;
  throw ConfigError("this app stores no results: result_backend is disabled");
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

Deadline deadline_after(std::optional<std::chrono::milliseconds> timeout) {
  if (!timeout || *timeout >= kLongestWait) return Deadline::never();
  return Deadline::after(std::max(*timeout, -kLongestWait));
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
  return join_node(core_, *node_, deadline_after(timeout), timeout.has_value(), options);
}

void GroupHandle::iterate(const std::function<void(const ResultHandle&)>& visit,
                          std::optional<std::chrono::milliseconds> timeout, const GetOptions& options) const {
  const auto deadline = deadline_after(timeout);
  auto left = leaves_of(*node_);
  auto pause = kFirstLook;
  while (!left.empty()) {
    const auto found = states_of(*core_, left);
    std::vector<const ResultNode*> unfinished;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (states::is_ready(found[i]))
        visit(ResultHandle(core_, *left[i]));
      else
        unfinished.push_back(left[i]);
    }
    pause = unfinished.size() < left.size() ? kFirstLook : std::min(pause * 2, kLongestLook);
    left = std::move(unfinished);
    if (left.empty()) return;
    const auto remaining = std::chrono::ceil<std::chrono::milliseconds>(deadline.remaining());
    try {
      ResultHandle(core_, *left.front()).wait(std::min(pause, remaining), options);
    } catch (const Timeout&) {
      if (remaining <= pause)
        throw Timeout(std::to_string(left.size()) + " results of the group " + id() + " are not ready");
    }
  }
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

}  // namespace lovage
