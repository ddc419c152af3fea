// Stored graphs of workflows: their pages, and how many hold them.
#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {

Result<void> Store::store_graph(const Graph& graph) {
  auto done = db_->query("INSERT OR REPLACE INTO graphs(id, holders, expires) VALUES(?, ?, ?)")
                  .bind_text(1, graph.id)
                  .bind(2, static_cast<std::int64_t>(graph.holders))
                  .bind(3, (now() + kGraphLasts).time_since_epoch().count())
                  .run();
  for (std::size_t page = 0; done && page < graph.pages.size(); ++page) {
    done = db_->query("INSERT OR REPLACE INTO graph_pages(graph, page, text) VALUES(?, ?, ?)")
               .bind_text(1, graph.id)
               .bind(2, static_cast<std::int64_t>(page))
               .bind_blob(3, graph.pages[page])
               .run();
  }
  if (!done) return tl::unexpected(done.error());
  return {};
}

Result<std::string> Store::graph_page(const std::string& graph_id, std::uint64_t page) {
  auto row = db_->query("SELECT text FROM graph_pages WHERE graph = ? AND page = ?");
  auto found = row.bind_text(1, graph_id).bind(2, static_cast<std::int64_t>(page)).step();
  if (!found) return tl::unexpected(found.error());
  if (!*found) return fail(Errc::not_found, graph_gone(graph_id, page));
  return std::string(row.text(0));
}

Result<void> Store::use_graph(const GraphUse& use) {
  auto row = db_->query("UPDATE graphs SET holders = holders + ?2, expires = ?3 WHERE id = ?1 RETURNING holders");
  row.bind_text(1, use.graph_id);
  row.bind(2, static_cast<std::int64_t>(use.added) - static_cast<std::int64_t>(use.ended));
  row.bind(3, (now() + kGraphLasts).time_since_epoch().count());
  std::int64_t left = 1;
  for (;;) {
    auto more = row.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    left = row.integer(0);
  }
  return left > 0 ? Result<void>() : remove_graph(use.graph_id);
}

Result<void> Store::remove_graph(const std::string& graph_id) {
  auto removed = db_->query("DELETE FROM graph_pages WHERE graph = ?").bind_text(1, graph_id).run();
  if (removed) removed = db_->query("DELETE FROM graphs WHERE id = ?").bind_text(1, graph_id).run();
  if (!removed) return tl::unexpected(removed.error());
  return {};
}

Result<std::int64_t> Store::expire_graphs(std::int64_t limit) {
  std::vector<std::string> expired;
  {
    auto rows = db_->query("SELECT id FROM graphs WHERE expires <= ? ORDER BY expires LIMIT ?");
    rows.bind(1, now().time_since_epoch().count()).bind(2, limit);
    for (;;) {
      auto more = rows.step();
      if (!more) return tl::unexpected(more.error());
      if (!*more) break;
      expired.emplace_back(rows.text(0));
    }
  }
  for (const auto& id : expired) {
    if (auto removed = remove_graph(id); !removed) return tl::unexpected(removed.error());
  }
  return static_cast<std::int64_t>(expired.size());
}

}  // namespace lovage::broker::sqlite
