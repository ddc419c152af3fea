// The results of a group: Celery's GroupResult.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lovage/async_result.hpp>
#include <lovage/convert.hpp>
#include <lovage/value.hpp>

namespace lovage {

// What all GroupResults can do, whatever their results' types. Cheap to copy. All members may be called from any thread
// and throw what ResultHandle's throw.
class GroupHandle {
 public:
  [[nodiscard]] const std::string& id() const noexcept;

  // The members' results, in their order; those of a member that is a group itself (the end of a chain) stand where it
  // stands. Celery: results.
  [[nodiscard]] std::vector<ResultHandle> results() const;
  // How many members there are. Celery: len().
  [[nodiscard]] std::size_t size() const { return results().size(); }

  // One request to the backend each, however many there are.
  [[nodiscard]] std::size_t completed_count() const;  // SUCCESS
  [[nodiscard]] bool ready() const;                   // all of them
  [[nodiscard]] bool successful() const;              // all of them
  [[nodiscard]] bool failed() const;                  // any of them
  [[nodiscard]] bool waiting() const;                 // any of them is not ready

  // Waits for all of them and returns their results in their order, a list for a member that is a group. `timeout` is
  // for all together. Throws what ResultHandle::get_value throws, of the first in order that failed; with
  // `propagate = false` a failure's stored exception stands in its place. Celery: join, join_native.
  [[nodiscard]] Array join(std::optional<std::chrono::milliseconds> timeout = {}, const GetOptions& options = {}) const;

  [[nodiscard]] Array join_native(std::optional<std::chrono::milliseconds> timeout = {},
                                  const GetOptions& options = {}) const {
    return join(timeout, options);
  }
  // Calls `visit` with each member's result as soon as it is ready, in the order in which they become so (in the
  // members' order where several have since the last look). It looks every 20 ms to 1 s, the longer the less happens.
  // Throws Timeout when some are not ready in time, Error inside a task (see GetOptions), and what `visit` throws.
  // Celery: iterate, iter_native.
  void iterate(const std::function<void(const ResultHandle&)>& visit,
               std::optional<std::chrono::milliseconds> timeout = {}, const GetOptions& options = {}) const;

  // The result before the group, in a chain; parent_group() where that was a group, too.
  [[nodiscard]] std::optional<ResultHandle> parent() const;
  // [[id, parent], [member, ...]]. Celery: as_tuple.
  [[nodiscard]] Value as_tuple() const;

  // Makes it known by its id: app.group_result(id) finds it then, in any process, for result_expires. Celery: save.
  void save() const;
  // Forgets what save() has stored, and its members' results. Celery: delete, forget.
  void forget() const;
  // See ResultHandle::revoke.
  void revoke(bool terminate = false, std::string_view signal = "SIGTERM") const;

  // For the library.
  GroupHandle(std::shared_ptr<app::Core> core, std::shared_ptr<const detail::ResultNode> node);
  [[nodiscard]] const std::shared_ptr<const detail::ResultNode>& node() const noexcept { return node_; }
  [[nodiscard]] const std::shared_ptr<app::Core>& core() const noexcept { return core_; }

 private:
  std::shared_ptr<app::Core> core_;
  std::shared_ptr<const detail::ResultNode> node_;
};

// The results of a group as an R: a std::vector, or a std::tuple with a type for each member.
template <class R = Array>
class GroupResult : public GroupHandle {
 public:
  explicit GroupResult(GroupHandle handle) : GroupHandle(std::move(handle)) {}

  // Waits for all of them. Throws what join() throws, and TypeError when a result is not of its type.
  R get(std::chrono::milliseconds timeout, const GetOptions& options = {}) const {
    return from_value<R>(Value(join(timeout, options)));
  }
  // The same without a limit.
  R get(const GetOptions& options = {}) const { return from_value<R>(Value(join(std::nullopt, options))); }
};

// The group that came before a result: a chord's header before its body. Nothing where none was.
[[nodiscard]] std::optional<GroupResult<>> parent_group(const ResultHandle& result);
[[nodiscard]] std::optional<GroupResult<>> parent_group(const GroupHandle& result);

// What came before a result and how it hangs together, for people who would rather look: a graph in DOT's language,
// with a box for each task and a frame for each group. The states are those of now. Celery: AsyncResult.graph.
[[nodiscard]] std::string to_dot(const ResultHandle& result);
[[nodiscard]] std::string to_dot(const GroupHandle& result);
// The same as a value, for to_json(): {"nodes": [{"id", "state"}], "groups": [{"id", "members": [id, ...]}], "edges":
// [[before, after], ...]}, where edges join ids of tasks and of groups.
[[nodiscard]] Value to_graph(const ResultHandle& result);
[[nodiscard]] Value to_graph(const GroupHandle& result);

}  // namespace lovage
