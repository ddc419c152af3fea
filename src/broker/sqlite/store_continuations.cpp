// Continuations whose workers have gone: they wait in a place of their own until a worker of their queue adopts them.
#include <utility>

#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {
namespace {

constexpr std::size_t kBytesAtOnce = 1u << 20;

}  // namespace

Result<bool> Store::has_continuations(std::span<const std::string> queues) {
  for (const auto& queue : queues) {
    auto row = db_->query("SELECT 1 FROM messages WHERE place = 3 AND queue = ? LIMIT 1");
    auto found = row.bind_text(1, queue).step();
    if (!found || *found) return found;
  }
  return false;
}

Result<std::vector<Delivery>> Store::adopt(OwnerId owner, std::span<const std::string> queues, std::size_t most,
                                           std::uint64_t& next_token) {
  std::vector<std::int64_t> positions;
  std::vector<Delivery> adopted;
  std::size_t bytes = 0;
  for (const auto& queue : queues) {
    auto rows = db_->query(
        "SELECT position, step, bytes FROM messages WHERE place = 3 AND queue = ? ORDER BY position LIMIT ?");
    rows.bind_text(1, queue).bind(2, static_cast<std::int64_t>(most - adopted.size()));
    while (bytes < kBytesAtOnce) {
      auto more = rows.step();
      if (!more) return tl::unexpected(more.error());
      if (!*more) break;
      positions.push_back(rows.integer(0));
      adopted.push_back({.token = Token(next_token++),
                         .queue = queue,
                         .step = static_cast<int>(rows.integer(1)),
                         .bytes = std::string(rows.text(2)),
                         .is_continuation = true});
      bytes += adopted.back().bytes.size();
    }
  }
  for (std::size_t i = 0; i < adopted.size(); ++i) {
    auto claimed = db_->query("UPDATE messages SET place = 1, owner = ?, token = ? WHERE position = ?")
                       .bind(1, owner.get())
                       .bind(2, static_cast<std::int64_t>(adopted[i].token.get()))
                       .bind(3, positions[i])
                       .run();
    if (!claimed) return tl::unexpected(claimed.error());
  }
  return adopted;
}

}  // namespace lovage::broker::sqlite
