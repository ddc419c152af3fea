#include "broker/redis/transaction.hpp"

#include <utility>

namespace lovage::broker::redis {

using client::RedisReply;

Result<std::vector<RedisReply>> in_one_step(client::RedisSync& connection, const std::string& commands,
                                            std::size_t count, Deadline deadline) {
  std::string transaction;
  client::append_command(transaction, {"MULTI"});
  transaction += commands;
  client::append_command(transaction, {"EXEC"});
  auto replies = connection.pipeline(transaction, count + 2, deadline);
  if (!replies) return replies;
  RedisReply done = std::move(replies->back());
  if (done.is_error() && done.text.starts_with("EXECABORT")) {
    replies = connection.pipeline(commands, count, deadline);
    if (!replies) return replies;
    done.items = std::move(*replies);
  } else if (done.is_error()) {
    return tl::unexpected(client::failure_of(done));
  }
  if (done.items.size() != count) return fail(Errc::bad_data, "an EXEC reply of another shape");
  for (const auto& item : done.items) {
    if (item.is_error()) return tl::unexpected(client::failure_of(item));
  }
  return std::move(done.items);
}

}  // namespace lovage::broker::redis
