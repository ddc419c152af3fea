// RedisBroker: stored graphs of workflows.
#include <fmt/format.h>

#include "broker/redis/redis_broker.hpp"
#include "broker/redis/script.hpp"

namespace lovage::broker::redis {
namespace {

constexpr std::size_t kBytesAtOnce = 1U << 20U;

}  // namespace

Result<void> RedisBroker::store_graph(const Graph& graph, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  for (std::size_t page = 0; page < graph.pages.size();) {
    ScriptCall call{&store_graph_script(), {keys_.graph(graph.id)}, {}};
    call.args.push_back(page == 0 ? std::to_string(graph.holders) : "");
    for (std::size_t bytes = 0; page < graph.pages.size() && bytes < kBytesAtOnce; ++page) {
      bytes += graph.pages[page].size();
      call.args.push_back(std::to_string(page));
      call.args.push_back(graph.pages[page]);
    }
    if (const auto reply = run(**connection, call, deadline); !reply) return tl::unexpected(reply.error());
  }
  return {};
}

Result<std::string> RedisBroker::graph_page(const std::string& graph_id, std::uint64_t page, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  auto reply = (*connection)->command({"HGET", keys_.graph(graph_id), std::to_string(page)}, deadline);
  if (!reply) return tl::unexpected(reply.error());
  if (reply->is_error()) return tl::unexpected(client::failure_of(*reply));
  if (reply->is_nil()) return fail(Errc::not_found, graph_gone(graph_id, page));
  return std::move(reply->text);
}

Result<void> RedisBroker::use_graph(const GraphUse& use, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const ScriptCall call{
      &use_graph_script(), {keys_.graph(use.graph_id)}, {std::to_string(use.added), std::to_string(use.ended)}};
  const auto reply = run(**connection, call, deadline);
  if (!reply) return tl::unexpected(reply.error());
  return {};
}

}  // namespace lovage::broker::redis
