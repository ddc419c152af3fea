#include "cli/successors.hpp"

#include <array>
#include <utility>

#include "cli/session.hpp"
#include "wire/body.hpp"
#include "wire/canvas.hpp"

namespace lovage::cli {
namespace {

constexpr int kDeepest = 200;

// The ids of all signatures in it.
void collect(const Value& value, bool joins, int depth, std::vector<Successor>& found) {
  if (depth > kDeepest) return;
  if (const Array* const list = value.if_array()) {
    for (const auto& one : *list) collect(one, joins, depth + 1, found);
  }
  const Object* const object = value.if_object();
  if (object == nullptr) return;
  const Value* const options = object->find("options");
  const Value* const id = options != nullptr && object->find("task") != nullptr ? options->find("task_id") : nullptr;
  const auto reference = wire::graph_reference(value);
  if (id != nullptr && id->if_string() != nullptr)
    found.push_back({*id->if_string(), joins, reference ? reference->graph_id : std::string()});
  for (const auto& [name, member] : *object) collect(member, joins, depth + 1, found);
}

}  // namespace

std::vector<Successor> successors_of(const wire::TaskMessage& message) {
  static const std::array<std::string, 2> kReadable{"application/json", "application/x-msgpack"};
  std::vector<Successor> found;
  if (wire::has_no_embed(message)) return found;
  const auto body = wire::decode_body(message, kReadable);
  if (!body) return found;
  for (const auto* const signatures : {&body->embed.callbacks, &body->embed.chain}) {
    if (!*signatures) continue;
    for (const auto& signature : **signatures) collect(signature, false, 0, found);
  }
  if (body->embed.chord) collect(*body->embed.chord, true, 0, found);
  return found;
}

std::vector<Successor> successors_of_continuation(std::string_view text) {
  std::vector<Successor> found;
  if (const auto value = wire::decode_value(text, wire::Serializer::json)) collect(*value, false, 0, found);
  return found;
}

void StoredGraphs::add_to(std::vector<Successor>& successors) {
  for (std::size_t i = 0; i < successors.size(); ++i) {
    const auto [graph_id, joins] = std::pair(successors[i].graph_id, successors[i].joins);
    if (graph_id.empty() || !read_.insert(graph_id).second) continue;
    for (std::uint64_t page = 0;; ++page) {
      auto text = broker_.graph_page(graph_id, page, management_deadline());
      if (!text && text.error().code == Errc::not_found) break;
      const auto nodes = wire::decode_value(take(std::move(text)), wire::Serializer::json);
      if (nodes) collect(*nodes, joins, 0, successors);
    }
  }
}

}  // namespace lovage::cli
