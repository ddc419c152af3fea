#include "app/eager.hpp"

#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "app/call_options.hpp"
#include "app/invoke.hpp"
#include "app/producer.hpp"
#include "app/sender.hpp"
#include "app/stamping.hpp"
#include "app/stored_result.hpp"
#include "base/backoff.hpp"
#include "base/suggest.hpp"
#include "base/uuid.hpp"

namespace lovage::app {
namespace {

class EagerState final : public Context::State {
 public:
  void update_state(std::string_view, Value) override {}
};

const TaskDefinition& find_task(const Core& core, const std::string& name) {
  if (const auto* task = core.registry().find(name)) return *task;
  const auto names = core.registry().names();
  throw NotRegistered("the task '" + name + "' is not one of this app's" + did_you_mean(name, names));
}

RequestInfo make_request(const Signature& call) {
  const CallOptions options(call.options());
  const auto lineage = current_lineage();
  RequestInfo request;
  request.id = options.text_or_empty("task_id");
  if (request.id.empty()) request.id = new_task_id();
  request.task = call.task();
  request.args = call.args();
  request.kwargs = call.kwargs();
  request.root_id = lineage.root_id.empty() ? request.id : lineage.root_id;
  request.parent_id = lineage.parent_id;
  request.origin = sender().origin;
  request.hostname = request.origin;
  request.is_eager = true;
  if (const auto* headers = options.table("headers")) request.headers = *headers;
  request.stamps = stamps_of(call.options());
  return request;
}

// Runs until the task does not ask for another try.
Invocation run(const TaskDefinition& task, RequestInfo& request, std::vector<std::string>& children) {
  for (;;) {
    EagerState state;
    state.request = request;
    auto invocation = invoke(task, state, random_u64());
    children.insert(children.end(), state.children.begin(), state.children.end());
    auto* retry = std::get_if<RetryRaised>(&invocation);
    if (retry == nullptr) return invocation;
    ++request.retries;
    if (retry->options.args) request.args = std::move(*retry->options.args);
    if (retry->options.kwargs) request.kwargs = std::move(*retry->options.kwargs);
  }
}

detail::StoredResult to_stored(Invocation invocation) {
  if (auto* returned = std::get_if<Returned>(&invocation)) {
    return {std::string(states::success), std::move(returned->value)};
  }
  if (auto* raised = std::get_if<Raised>(&invocation)) {
    return {std::string(states::failure), wire::to_value(raised->exception), std::move(raised->traceback)};
  }
  return {std::holds_alternative<Reject>(invocation) ? std::string(states::rejected) : "IGNORED", {}};
}

void call_all(const std::shared_ptr<Core>& core, const Array& signatures, const Value& argument) {
  for (const auto& value : signatures) Signature::from_value(core, value).clone({argument}).delay();
}

void send_all(const std::shared_ptr<Core>& core, const Object& options, std::string_view name, const Value& argument) {
  if (const auto list = CallOptions(options).list(name)) call_all(core, *list, argument);
}

}  // namespace

void call_errbacks(const std::shared_ptr<Core>& core, const Array& errbacks, const std::string& failed_id) {
  call_all(core, errbacks, failed_id);
}

ResultHandle apply_eagerly(const std::shared_ptr<Core>& core, const Signature& call) {
  const auto& task = find_task(*core, call.task());
  auto request = make_request(call);
  std::vector<std::string> children;
  auto stored = to_stored(run(task, request, children));
  Array tuples;
  for (auto& child : children) tuples.push_back(Array{Array{std::move(child), nullptr}, nullptr});
  stored.children = std::move(tuples);
  if (stored.state == states::success) send_all(core, call.options(), "link", stored.result);
  if (stored.state == states::failure) send_all(core, call.options(), "link_error", request.id);
  ResultHandle handle(core, request.id, std::make_shared<const detail::StoredResult>(std::move(stored)));
  if (core->config().task_eager_propagates) handle.get_value(std::nullopt, {.allow_in_task = true});
  return handle;
}

}  // namespace lovage::app
