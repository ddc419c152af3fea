// One settlement alone, where latency hangs on it: as the settle-one script takes it, in few words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/redis/keys.hpp"
#include "broker/redis/settle_item.hpp"
#include "broker/redis/words.hpp"

namespace lovage::broker::redis {

// Where a message waits that is not reserved yet: the key of the inbox, and the message as it is there.
struct InboxMessage {
  std::string_view inbox;
  std::string_view message;
};

class LoneSettlement {
 public:
  // Nothing for what only the settle script can carry out: all but an acknowledgement with one result, and with sends.
  static std::optional<LoneSettlement> of(const SettleItem& item, const Keys& keys, const IncarnationId& incarnation,
                                          const ResultStore& results, int broker_db);

  [[nodiscard]] Token token() const noexcept { return token_; }
  // `answered`: batch numbers whose replies have arrived, parted by spaces. `waits_in`: none when it is reserved.
  [[nodiscard]] std::string command(std::uint64_t batch, std::string_view answered,
                                    const std::optional<InboxMessage>& waits_in) const;

 private:
  LoneSettlement() = default;

  Token token_{};
  Words own_keys_;    // of the incarnation and the result
  Words other_keys_;  // lists, and a graph
  Words databases_;   // and the lifetime
  std::string field_;
  std::string meta_;
  Words sends_;
};

}  // namespace lovage::broker::redis
