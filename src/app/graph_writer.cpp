#include "app/graph_writer.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "app/call_options.hpp"
#include "app/canvas_lists.hpp"
#include "app/canvas_shape.hpp"
#include "app/hearers.hpp"
#include "app/producer.hpp"
#include "app/routing.hpp"
#include "wire/canvas.hpp"

namespace lovage::app {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;
using wire::chord_body;

constexpr int kDeepest = 50;
constexpr std::size_t kMostEmbedded = 1'024;    // bytes of what follows a task; a reference has about 250
constexpr std::size_t kPageBytes = 64U << 10U;  // so that a chain reads one page in a hundred steps or more

// Asks the same questions as launching: options of a group or chord are its tasks', those of a chain its first step's.
class OnlyLovage {
 public:
  explicit OnlyLovage(const Core& core) : core_(core) {}

  // Names the queue of each task on the way.
  bool holds(Value& signature, Object inherited, int depth = 0) const {
    if (depth > kDeepest || signature.if_object() == nullptr) return false;
    if (canvas_kind(signature) == CanvasKind::task) return holds_for_task(signature, inherited);
    for (const auto& [name, value] : canvas_options(std::as_const(signature))) {
      if (name == "queue" || name == "exchange" || name == "routing_key") inherited.set(name, value);
    }
    Array* const tasks = canvas_tasks(signature);
    if (tasks == nullptr) return false;
    const bool is_chain = canvas_kind(signature) == CanvasKind::chain;
    for (std::size_t i = 0; i < tasks->size(); ++i) {
      if (!holds((*tasks)[i], is_chain && i > 0 ? Object{} : inherited, depth + 1)) return false;
    }
    Value* const body = canvas_kind(signature) == CanvasKind::chord ? chord_body(signature) : nullptr;
    return body == nullptr || holds(*body, std::move(inherited), depth + 1);
  }

 private:
  [[nodiscard]] bool holds_for_task(Value& signature, const Object& inherited) const {
    const Value* const task = signature.find("task");
    if (task == nullptr || task->if_string() == nullptr) return false;
    Object options = canvas_options(std::as_const(signature));
    for (const auto& [name, value] : inherited) options.set(name, value);
    const auto queue = destination_of(core_, *task->if_string(), CallOptions(options)).queue;
    const auto& queues = core_.config().task_queues;
    const auto is_it = [&](const Queue& known) { return known.name == queue->name && known.lovage_only; };
    if (!queue || std::ranges::none_of(queues, is_it)) return false;
    canvas_options(signature)["queue"] = Value(queue->name);
    return true;
  }

  const Core& core_;
};

}  // namespace

bool keep_to_lovage(const Core& core, Value& frozen) {
  const auto& queues = core.config().task_queues;
  if (std::ranges::none_of(queues, [](const Queue& queue) { return queue.lovage_only; })) return false;
  Value named = frozen;
  if (!OnlyLovage(core).holds(named, {})) return false;
  frozen = std::move(named);
  return true;
}

Result<void> GraphWriter::share(Value& signature) {
  return share_at(signature, 0);
}

Result<void> GraphWriter::share_at(Value& signature, int depth) {
  if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  if (auto ok = check_object(signature); !ok) return ok;
  switch (canvas_kind(signature)) {
    case CanvasKind::chain:
      return share_chain(signature, depth);
    case CanvasKind::group:
      return share_all(canvas_tasks(signature), depth);
    case CanvasKind::chord: {
      Array* const header = canvas_tasks(signature);
      if (header == nullptr) return fail(Errc::bad_data, "a chord without a header");
      if (auto ok = share_header(*header, depth); !ok) return ok;
      Value* const body = chord_body(signature);
      if (body == nullptr) return fail(Errc::bad_data, "a chord without a body");
      if (auto ok = share_at(*body, depth + 1); !ok) return ok;
      if (to_json(*body).size() > kMostEmbedded) *body = put(*body);
      return {};
    }
    case CanvasKind::chunks:
    case CanvasKind::task:
    case CanvasKind::reference:
      break;
  }
  return {};
}

// As launching has it: what a part ends in has to be known before it is out of sight.
Result<void> GraphWriter::share_header(Array& header, int depth) {
  Array parts;
  if (auto ok = flatten(std::move(header), parts, depth); !ok) return ok;
  for (auto& part : parts) {
    if (auto ok = end_in_one_result(config_, part); !ok) return ok;
    if (auto ok = share_at(part, depth + 1); !ok) return ok;
  }
  header = std::move(parts);
  return {};
}

Result<void> GraphWriter::share_all(Array* signatures, int depth) {
  if (signatures == nullptr) return fail(Errc::bad_data, "a group without tasks");
  for (auto& signature : *signatures) {
    if (auto ok = share_at(signature, depth + 1); !ok) return ok;
  }
  return {};
}

// From its end: what follows a step is embedded in it up to the bound, and begins with a reference beyond that.
Result<void> GraphWriter::share_chain(Value& chain, int depth) {
  Array steps;
  if (auto ok = unroll(std::move(chain), steps, depth, config_.task_allow_error_cb_on_chord_header); !ok) return ok;
  steps = with_chords(std::move(steps));
  std::deque<Value> following;
  std::size_t bytes = 0;
  const auto put_following = [&] {
    Value rest =
        wire::make_chain(Array(std::make_move_iterator(following.begin()), std::make_move_iterator(following.end())));
    following.assign(1, put(rest));
    bytes = 0;
  };
  for (std::size_t i = steps.size() - 1; i > 0; --i) {
    if (auto ok = share_at(steps[i], depth + 1); !ok) return ok;
    const std::size_t size = to_json(steps[i]).size();
    if (bytes > 0 && bytes + size > kMostEmbedded) put_following();
    bytes += size;
    following.push_front(std::move(steps[i]));
  }
  if (bytes > kMostEmbedded) put_following();
  if (auto ok = share_at(steps.front(), depth + 1); !ok) return ok;
  Array shared;
  shared.push_back(std::move(steps.front()));
  std::move(following.begin(), following.end(), std::back_inserter(shared));
  chain = wire::make_chain(std::move(shared));
  return {};
}

Value GraphWriter::put(const Value& signature) {
  const std::string text = to_json(signature);
  if (on_page_ > 0 && page_.size() + text.size() > kPageBytes) end_page();
  page_ += on_page_ == 0 ? '[' : ',';
  page_ += text;
  Hearers hearers = hearers_of(signature);
  return wire::make_reference({graph_id_, pages_.size(), on_page_++}, std::move(hearers.id),
                              std::move(hearers.errbacks));
}

void GraphWriter::end_page() {
  if (on_page_ == 0) return;
  pages_.push_back(std::move(page_) + ']');
  page_.clear();
  on_page_ = 0;
}

broker::Graph GraphWriter::take() {
  end_page();
  return {.id = graph_id_, .pages = std::move(pages_), .holders = 0};
}

}  // namespace lovage::app
