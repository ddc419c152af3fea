// One settlement alone, where latency hangs on it: as the settle-one script takes it, in few words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/redis/keys.hpp"
#include "broker/redis/settle_item.hpp"

namespace lovage::broker::redis {

// Where a message waits that is not reserved yet: the key of the inbox, and the message as it is there.
struct InboxMessage {
  std::string_view inbox;
  std::string_view message;
};

// What a settlement is carried out with.
struct SettleScope {
  const Keys* keys = nullptr;
  IncarnationId incarnation;
  ResultStore results;
  int broker_db = 0;
};

// Whether the settle-one script can carry it out: an acknowledgement with one result, and with sends.
bool is_lone(const SettleItem& item);

// The call of that script. `answered`: batch numbers whose replies have arrived, parted by spaces. `place`: empty when
// the message is reserved.
std::string settle_one_command(const SettleItem& item, const SettleScope& scope, std::uint64_t batch,
                               std::string_view answered, const InboxMessage& place);

}  // namespace lovage::broker::redis
