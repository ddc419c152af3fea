#include "worker/abandoned.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "app/hearers.hpp"
#include "wire/canvas.hpp"

namespace lovage::worker {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;
using wire::chord_body;
using wire::text_option;

constexpr int kDeepest = 50;

class Walk {
 public:
  explicit Walk(Abandoned& found) : found_(found) {}

  // `counts`: not for the header tasks of a chord that has never begun.
  void visit(const Value& signature, bool counts, int depth) {
    if (depth > kDeepest) return;
    switch (canvas_kind(signature)) {
      case CanvasKind::chain:
      case CanvasKind::group:
        visit_all(canvas_tasks(signature), counts, depth);
        break;
      case CanvasKind::chord:
        visit_all(canvas_tasks(signature), false, depth);
        if (const Value* const body = chord_body(signature)) visit(*body, counts, depth + 1);
        break;
      case CanvasKind::chunks:
      case CanvasKind::task:
        add(signature);
        break;
      case CanvasKind::reference:
        found_.references.push_back(signature);
        add(signature);
        break;
    }
    const Value* const following = canvas_options(signature).find("chain");
    visit_all(following != nullptr ? following->if_array() : nullptr, counts, depth);
    if (counts) count(signature);
  }

 private:
  void visit_all(const Array* signatures, bool counts, int depth) {
    if (signatures == nullptr) return;
    for (const auto& signature : *signatures) visit(signature, counts, depth + 1);
  }

  void add(const Value& signature) {
    const Object& options = canvas_options(signature);
    const auto id = text_option(options, "task_id");
    if (!id || !known_.insert(*id).second) return;
    const Value* const task = signature.find("task");
    found_.tasks.push_back({.id = *id,
                            .task = task != nullptr && task->if_string() != nullptr ? *task->if_string() : "",
                            .group_id = text_option(options, "group_id")});
  }

  void count(const Value& signature) {
    const Object& options = canvas_options(signature);
    const Value* const chord = options.find("chord");
    const auto group_id = text_option(options, "group_id");
    if (chord == nullptr || chord->if_object() == nullptr || !group_id) return;
    // A task counts by itself, whatever follows it.
    const bool is_task = canvas_kind(signature) == CanvasKind::task;
    const std::string id = is_task ? text_option(options, "task_id").value_or("") : app::hearers_of(signature).id;
    if (id.empty()) return;
    if (found_.parts.empty()) {
      found_.group_id = *group_id;
      found_.body = *chord;
    }
    const auto is_known = [&](const AbandonedPart& part) { return part.task_id == id; };
    if (*group_id != found_.group_id || std::ranges::any_of(found_.parts, is_known)) return;
    const Value* const index = options.find("group_index");
    const auto* const number = index != nullptr ? index->if_integer() : nullptr;
    found_.parts.push_back({id, number != nullptr ? std::optional(*number) : std::nullopt});
  }

  Abandoned& found_;
  std::unordered_set<std::string> known_;
};

}  // namespace

void abandon(const Value& signature, Abandoned& abandoned) {
  Walk(abandoned).visit(signature, true, 0);
}

}  // namespace lovage::worker
