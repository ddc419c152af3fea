// What a server sends, in pieces of any size: the first byte says how large.
#include "client/redis_reply.hpp"
#include "fuzz/target.hpp"

using namespace lovage;

namespace {

constexpr std::size_t kMaxReply = 1U << 16U;

std::size_t count_of(const client::RedisReply& reply) {
  std::size_t count = 1;
  for (const auto& item : reply.items) count += count_of(item);
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  auto bytes = fuzz::text_of(data + 1, size - 1);
  const std::size_t piece = data[0] == 0 ? bytes.size() : data[0];
  client::RedisReader reader(kMaxReply);
  while (!bytes.empty()) {
    if (!reader.feed(bytes.substr(0, piece))) return 0;
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (true) {
      const auto reply = reader.next();
      if (!reply) return 0;
      if (!*reply) break;
      fuzz::promise(count_of(**reply) <= size, "no reply has more parts than bytes came");
      if ((*reply)->is_error()) (void)client::failure_of(**reply);
      (void)client::wants_another_server(**reply);
    }
  }
  return 0;
}
