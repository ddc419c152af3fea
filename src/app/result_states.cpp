#include "app/result_states.hpp"

#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "app/stored_result.hpp"
#include "wire/result_meta.hpp"

namespace lovage::app {
namespace {

using detail::ResultNode;

constexpr std::chrono::seconds kReadTimeout{5};
// Ids asked for at once.
constexpr std::size_t kChunk = 1'000;

backend::Backend& backend_of(Core& core) {
  if (auto* backend = core.backend()) return *backend;
  throw ConfigError("this app stores no results: result_backend is disabled");
}

void append_leaves(const ResultNode& node, std::vector<const ResultNode*>& leaves) {
  if (!node.is_group) return leaves.push_back(&node);
  for (const auto& child : node.children) append_leaves(*child, leaves);
}

std::string state_in(const std::optional<std::string>& meta) {
  if (!meta) return std::string(states::pending);
  if (auto status = wire::peek_status(*meta)) return std::move(*status);
  const auto decoded = wire::decode_result_meta(*meta);
  return decoded ? decoded->status : std::string(states::pending);
}

}  // namespace

std::vector<const ResultNode*> leaves_of(const ResultNode& node) {
  std::vector<const ResultNode*> leaves;
  append_leaves(node, leaves);
  return leaves;
}

std::vector<std::string> states_of(Core& core, const std::vector<const ResultNode*>& leaves) {
  if (!leaves.empty() && leaves.front()->stored) {  // eager mode
    std::vector<std::string> known;
    known.reserve(leaves.size());
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
    for (const auto& meta : *metas) found.push_back(state_in(meta));
  }
  return found;
}

}  // namespace lovage::app
