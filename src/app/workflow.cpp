#include "app/workflow.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include <lovage/canvas.hpp>
#include <lovage/context.hpp>
#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "app/callbacks.hpp"
#include "app/canvas_shape.hpp"
#include "app/eager.hpp"
#include "app/graph_writer.hpp"
#include "app/hearers.hpp"
#include "app/invoke.hpp"
#include "app/launcher.hpp"
#include "app/producer.hpp"
#include "app/stored_result.hpp"
#include "base/uuid.hpp"
#include "wire/canvas.hpp"
#include "wire/result_meta.hpp"

namespace lovage {
namespace {

using app::Core;
using detail::ResultNode;
using Node = std::shared_ptr<const ResultNode>;
using wire::CanvasKind;

constexpr app::LaunchLimits kWhole{.messages = std::numeric_limits<std::size_t>::max(),
                                   .bytes = std::numeric_limits<std::size_t>::max()};

template <class T>
T must(Result<T> result) {
  if (!result) raise(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::shared_ptr<Core> core_of(const Signature& signature) {
  if (signature.core() != nullptr) return signature.core();
  throw Error("this signature of " + signature.task() + " belongs to no app: it cannot be sent");
}

// One without members belongs to no app and needs none: nothing is sent, and nothing is waited for.
std::shared_ptr<Core> core_of_group(const Signature& group) {
  if (group.core() != nullptr) return group.core();
  const Value value = group.to_value();
  const Array* const members = wire::canvas_kind(value) == CanvasKind::group ? wire::canvas_tasks(value) : nullptr;
  if (members != nullptr && members->empty()) return std::make_shared<Core>("", Config{});
  return core_of(group);
}

void check_sizes(const Core& core, const std::vector<wire::TaskMessage>& messages) {
  const std::uint64_t allowed = core.config().workflow_max_bytes;
  for (const auto& message : messages) {
    if (message.body.size() <= allowed) continue;
    throw MessageTooLarge(fmt::format(
        "the workflow's message for task {}, with all that follows it, has {} bytes: more than workflow_max_bytes, {}",
        message.task, message.body.size(), allowed));
  }
}

void start_chords(Core& core, const std::vector<broker::ChordStart>& chords, Deadline deadline) {
  if (chords.empty()) return;
  backend::Backend* const backend = core.backend();
  if (backend == nullptr)
    throw ConfigError("a chord needs a result backend, which counts its header's tasks: set result_backend");
  for (const auto& chord : chords) must(backend->start_chord(chord, deadline));
}

// The graph of what is better stored once; without pages where everything is embedded. It is an id of its own: a task
// may send several workflows under its root.
broker::Graph share(const Core& core, Value& frozen) {
  if (!app::keep_to_lovage(core, frozen)) return {};
  app::GraphWriter writer(core.config(), new_uuid());
  must(writer.share(frozen));
  return writer.take();
}

void store_graph(Core& core, broker::Graph graph, const app::Launch& launch, Deadline deadline) {
  graph.holders = app::graph_holders(launch.messages) + launch.chords_by_reference;
  must(core.broker().store_graph(graph, deadline));
}

// --- Eager mode ------------------------------------------------------------------------------------------

Node known(std::string id, Value result, std::string state, Node parent, std::optional<std::string> traceback = {}) {
  auto stored = std::make_shared<const detail::StoredResult>(
      detail::StoredResult{.state = std::move(state), .result = std::move(result), .traceback = std::move(traceback)});
  return std::make_shared<const ResultNode>(ResultNode{.id = std::move(id),
                                                       .is_group = false,
                                                       .children = {},
                                                       .parent = std::move(parent),
                                                       .stored = std::move(stored)});
}

bool has_failed(const ResultNode& node) {
  if (!node.is_group) return node.stored->state != states::success;
  return std::ranges::any_of(node.children, [](const Node& child) { return has_failed(*child); });
}

Value value_of(const ResultNode& node) {
  if (!node.is_group) return node.stored->result;
  Array list;
  for (const auto& child : node.children) list.push_back(value_of(*child));
  return list;
}

class EagerRun {
 public:
  explicit EagerRun(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  Node run(const Value& signature, const Array& arguments, Node parent) {
    switch (wire::canvas_kind(signature)) {
      case CanvasKind::chain: {
        Array steps;
        must(app::unroll(signature, steps, 0, core_->config().task_allow_error_cb_on_chord_header));
        Array given = arguments;
        for (const auto& step : app::with_chords(std::move(steps))) {
          parent = run(step, given, std::move(parent));
          if (has_failed(*parent)) return parent;
          given = Array{value_of(*parent)};
        }
        return parent;
      }
      case CanvasKind::group:
        return run_all(signature, wire::text_option(wire::canvas_options(signature), "task_id").value_or(""),
                       wire::canvas_options(signature).find("link_error"), arguments, std::move(parent));
      case CanvasKind::chord: {
        Node header = run_all(signature, app::header_id(signature).value_or(""), nullptr, arguments, std::move(parent));
        if (has_failed(*header)) return chord_error(signature, std::move(header));
        Node body = run(body_of(signature), Array{value_of(*header)}, header);
        return app::stands_for_group(signature) ? header : body;
      }
      case CanvasKind::chunks:
      case CanvasKind::task:
      case CanvasKind::reference:
        break;
    }
    const Signature call = Signature::from_value(core_, signature).clone(arguments);
    const ResultHandle result = app::apply_eagerly(core_, call);
    return known(result.id(), result.result(), result.state(), std::move(parent), result.traceback());
  }

 private:
  // All members of a group, or of a chord's header.
  Node run_all(const Value& whole, std::string id, const Value* errbacks, const Array& arguments, Node parent) {
    Array flat;
    must(app::flatten(*wire::canvas_tasks(whole), flat, 0));
    for (auto& member : flat) {
      app::append_links(wire::canvas_options(member), "link_error", errbacks);
      app::hand_down(whole, member);
    }
    ResultNode group{.id = std::move(id), .is_group = true, .children = {}, .parent = std::move(parent), .stored = {}};
    for (const auto& member : flat) group.children.push_back(run(member, arguments, nullptr));
    return std::make_shared<const ResultNode>(std::move(group));
  }

  // With what hangs at the chord.
  static Value body_of(const Value& chord) {
    Value body = *wire::chord_body(chord);
    for (const std::string_view links : {"link", "link_error"})
      app::append_links(wire::canvas_options(body), links, wire::canvas_options(chord).find(links));
    return body;
  }

  // Its body never runs: those who would have heard of its failure hear of this one.
  Node chord_error(const Value& chord, Node header) const {
    const auto failed = std::ranges::find_if(header->children, [](const Node& child) { return has_failed(*child); });
    const auto exception = wire::exception_from_value(value_of(**failed));
    const wire::ExceptionInfo error{
        .type = "ChordError",
        .module = "celery.exceptions",
        .arguments = {Value(fmt::format("Dependency {} raised {}", (*failed)->id, exception.repr()))}};
    const auto body = app::results_of(*wire::chord_body(chord));
    std::string id = body && *body ? (*body)->id : "";
    const app::Hearers hearers = app::hearers_of(body_of(chord));
    app::call_errbacks(core_, hearers.errbacks, hearers.id);
    if (app::stands_for_group(chord)) return header;
    return known(std::move(id), wire::to_value(error), std::string(states::failure), std::move(header));
  }

  const std::shared_ptr<Core> core_;
};

Value frozen_value(const Core& core, const Signature& signature) {
  Value value = signature.to_value();
  must(app::freeze(value));
  must(app::attach_callbacks(core, value));
  return value;
}

GroupHandle group_handle(const std::shared_ptr<Core>& core, Node node) {
  if (!node || !node->is_group) throw Error("this workflow has one result, not a group's");
  return {core, std::move(node)};
}

Signature rebuild(const std::shared_ptr<Core>& core, Value value) {
  return Signature::from_value(core, std::move(value));
}

Array values_of(const std::vector<Signature>& signatures) {
  Array values;
  values.reserve(signatures.size());
  for (const auto& signature : signatures) values.push_back(signature.to_value());
  return values;
}

std::shared_ptr<Core> core_of(const std::vector<Signature>& signatures) {
  for (const auto& signature : signatures)
    if (signature.core() != nullptr) return signature.core();
  return nullptr;
}

}  // namespace

namespace app {

bool is_workflow(const Signature& signature) noexcept {
  const Object& options = signature.options();
  return signature.subtask_type().has_value() || signature.task() == "celery.chunks" ||
         options.find(kOnSuccess) != nullptr || options.find(kOnFailure) != nullptr ||
         options.find(kOnComplete) != nullptr;
}

Signature with_options(const Signature& signature, const ApplyOptions& options) {
  if (options.task_id.empty() || !is_workflow(signature)) return Signature(signature).set(options);
  const detail::SendOptions& send = signature.send_options();
  ApplyOptions all = options;
  all.task_id.clear();
  if (!all.retry) all.retry = send.retry;
  if (!all.retry_policy) all.retry_policy = send.retry_policy;
  if (!all.timeout) all.timeout = send.timeout;
  Value value = signature.to_value();
  name_result(value, options.task_id);
  return rebuild(signature.core(), std::move(value)).set(all);
}

Node send_workflow(const std::shared_ptr<Core>& core, const Signature& signature) {
  core->check_config();
  if (core->config().task_always_eager) return run_workflow(core, signature);
  Value frozen = frozen_value(*core, signature);
  Node node = must(results_of(frozen));
  Lineage lineage = current_lineage();
  broker::Graph graph = share(*core, frozen);
  if (!graph.pages.empty()) lineage.graph_id = graph.id;
  Launcher launcher(*core, std::move(lineage), kWhole);
  must(launcher.add(std::move(frozen), {}));
  Launch launch = launcher.take();
  if (launch.messages.empty()) return node;  // a group without members
  check_sizes(*core, launch.messages);
  const auto& options = signature.send_options();
  const Deadline deadline = Deadline::after(options.timeout.value_or(core->config().task_publish_timeout));
  start_chords(*core, launch.chords, deadline);
  if (!graph.pages.empty()) store_graph(*core, std::move(graph), launch, deadline);
  const Outgoing outgoing{std::move(launch.messages), std::move(launch.queues)};
  const auto outcomes = publish(*core, outgoing, options);
  std::optional<std::size_t> failed;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const bool sent = outcomes[i] || outcomes[i].error().code == Errc::uncertain;
    if (auto* context = Context::current(); context != nullptr && sent)
      context->state().children.push_back(outgoing.messages[i].id);
    if (!outcomes[i] && !failed) failed = i;
  }
  if (failed) raise(outcomes[*failed].error(), outgoing.messages[*failed].id);
  return node;
}

Node run_workflow(const std::shared_ptr<Core>& core, const Signature& signature) {
  Node node = EagerRun(core).run(frozen_value(*core, signature), {}, nullptr);
  if (core->config().task_eager_propagates && has_failed(*node) && !node->is_group)
    ResultHandle(core, *node).get_value(std::nullopt, {.allow_in_task = true});
  return node;
}

}  // namespace app

GroupResult<> GroupSignature::delay() const {
  const auto core = core_of_group(*this);
  return GroupResult<>(group_handle(core, app::send_workflow(core, *this)));
}

GroupResult<> GroupSignature::apply_async(const ApplyOptions& options) const {
  return GroupSignature(app::with_options(*this, options)).delay();
}

GroupResult<> GroupSignature::apply() const {
  const auto core = core_of_group(*this);
  return GroupResult<>(group_handle(core, app::run_workflow(core, *this)));
}

namespace detail {

Signature make_chain(const std::vector<Signature>& steps) {
  if (steps.empty()) throw Error("a chain needs a step");
  return rebuild(core_of(steps), wire::make_chain(values_of(steps)));
}

Signature make_group(const std::vector<Signature>& members) {
  return rebuild(core_of(members), wire::make_group(values_of(members)));
}

Signature make_chord(const Signature& header, const Signature& body) {
  Value group = header.to_value();
  Array* const tasks = wire::canvas_kind(group) == CanvasKind::group ? wire::canvas_tasks(group) : nullptr;
  if (tasks == nullptr) throw Error("the header of a chord is a group");
  Value chord = wire::make_chord(std::exchange(*tasks, {}), body.to_value());
  Object& options = wire::canvas_options(chord);
  app::pass_on(wire::canvas_options(group), chord);
  app::hand_down(group, chord);
  app::set_default(options, "task_id", wire::canvas_options(group).find("task_id"));
  return rebuild(header.core() != nullptr ? header.core() : body.core(), std::move(chord));
}

Signature make_map(const Signature& task, Array items, bool spread) {
  Signature map(task.core(), spread ? "celery.starmap" : "celery.map", {},
                {{"task", task.to_value()}, {"it", Value(std::move(items))}});
  return map.set_immutable(true);
}

Signature make_chunks(const Signature& task, Array items, std::size_t size) {
  if (size == 0) throw Error("chunks need a size of at least 1");
  Signature chunks(
      task.core(), "celery.chunks", {},
      {{"task", task.to_value()}, {"it", Value(std::move(items))}, {"n", Value(static_cast<std::int64_t>(size))}});
  return chunks.set_immutable(true);
}

}  // namespace detail
}  // namespace lovage
