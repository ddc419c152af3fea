#include "broker/redis/lone_settlement.hpp"

#include "broker/redis/script.hpp"
#include "broker/redis/words.hpp"

namespace lovage::broker::redis {
namespace {

constexpr std::size_t kMostSends = 16;  // the settle script costs little more then

std::size_t pushes_of(const SettleItem& item) {
  std::size_t pushes = 0;
  for (const auto& send : item.sends) pushes += send.lists.size();
  return pushes;
}

}  // namespace

bool is_lone(const SettleItem& item) {
  const Settlement& settlement = item.settlement;
  const auto& graph = settlement.graph;
  if (item.kind != SettleKind::settlement || settlement.disposal != Disposal::acknowledge) return false;
  if (settlement.results.size() != 1 || settlement.results.front().state.empty()) return false;
  if (!settlement.buried.empty() || !settlement.chords.empty() || settlement.counts || settlement.ended_chord)
    return false;
  return (!graph || graph->added == graph->ended) && pushes_of(item) <= kMostSends;
}

std::string settle_one_command(const SettleItem& item, const SettleScope& scope, std::uint64_t batch,
                               std::string_view answered, const InboxMessage& place) {
  constexpr std::size_t kRoom = 768;  // for all that is not counted
  const Settlement& settlement = item.settlement;
  const StoreResult& result = settlement.results.front();
  const std::size_t sends = pushes_of(item);
  const std::size_t keys = 5 + sends + (settlement.graph ? 1 : 0);
  Words words;
  words.bytes.reserve(item.bytes() + place.message.size() + kRoom);
  client::append_command_head(words.bytes, 3 + keys + 8 + sends);
  words.add("EVALSHA");
  words.add(settle_one_script().sha());
  words.add(std::uint64_t{keys});
  words.add(scope.keys->reserved(scope.incarnation));
  words.add(scope.keys->held_marks(scope.incarnation));
  words.add(scope.keys->settled(scope.incarnation));
  words.add(result_key(scope.results.prefix, result.task_id));
  words.add(place.inbox);
  for (const auto& send : item.sends) {
    for (const auto& list : send.lists) words.add(scope.keys->list(list));
  }
  if (settlement.graph) words.add(scope.keys->graph(settlement.graph->graph_id));
  words.add(batch);
  words.add(answered);
  words.add(std::to_string(scope.broker_db));
  words.add(std::to_string(scope.results.db));
  words.add(std::to_string(scope.results.expires.count()));
  words.add(reservation_field(settlement.token, item.list_name));
  words.add(place.message);
  words.add(result.meta);
  for (const auto& send : item.sends) {
    for (std::size_t n = 0; n < send.lists.size(); ++n) words.add(send.bytes);
  }
  return std::move(words.bytes);
}

}  // namespace lovage::broker::redis
