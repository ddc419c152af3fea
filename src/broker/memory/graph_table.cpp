#include "broker/memory/graph_table.hpp"

namespace lovage::broker::memory {

void GraphTable::store(const Graph& graph, Timestamp now) {
  graphs_.insert_or_assign(graph.id, Stored{graph.pages, graph.holders, now + kGraphLasts});
}

Result<std::string> GraphTable::page(const std::string& graph_id, std::uint64_t page) const {
  const auto found = graphs_.find(graph_id);
  if (found == graphs_.end() || page >= found->second.pages.size())
    return fail(Errc::not_found, graph_gone(graph_id, page));
  return found->second.pages[page];
}

void GraphTable::use(const GraphUse& use, Timestamp now) {
  const auto found = graphs_.find(use.graph_id);
  if (found == graphs_.end()) return;
  Stored& graph = found->second;
  graph.expires = now + kGraphLasts;
  graph.holders += use.added;
  if (graph.holders <= use.ended) {
    graphs_.erase(found);
  } else {
    graph.holders -= use.ended;
  }
}

void GraphTable::expire(Timestamp now) {
  std::erase_if(graphs_, [&](const auto& entry) { return entry.second.expires <= now; });
}

}  // namespace lovage::broker::memory
