#include "broker/redis/lone_settlement.hpp"

#include "broker/redis/script.hpp"

namespace lovage::broker::redis {
namespace {

constexpr std::size_t kMostSends = 16;  // the settle script costs little more then

bool is_simple(const SettleItem& item) {
  const Settlement& settlement = item.settlement;
  const auto& graph = settlement.graph;
  if (item.kind != SettleKind::settlement || settlement.disposal != Disposal::acknowledge) return false;
  if (settlement.results.size() != 1 || settlement.results.front().state.empty()) return false;
  if (!settlement.buried.empty() || !settlement.chords.empty() || settlement.counts || settlement.ended_chord)
    return false;
  return !graph || graph->added == graph->ended;
}

std::size_t pushes_of(const SettleItem& item) {
  std::size_t pushes = 0;
  for (const auto& send : item.sends) pushes += send.lists.size();
  return pushes;
}

}  // namespace

std::optional<LoneSettlement> LoneSettlement::of(const SettleItem& item, const Keys& keys,
                                                 const IncarnationId& incarnation, const ResultStore& results,
                                                 int broker_db) {
  if (!is_simple(item) || pushes_of(item) > kMostSends) return std::nullopt;
  const Settlement& settlement = item.settlement;
  const StoreResult& result = settlement.results.front();
  LoneSettlement lone;
  lone.token_ = settlement.token;
  lone.field_ = reservation_field(settlement.token, item.list_name);
  lone.meta_ = result.meta;
  lone.own_keys_.add(keys.reserved(incarnation));
  lone.own_keys_.add(keys.held_marks(incarnation));
  lone.own_keys_.add(keys.settled(incarnation));
  lone.own_keys_.add(result_key(results.prefix, result.task_id));
  for (const auto number : {std::int64_t{broker_db}, std::int64_t{results.db}, std::int64_t{results.expires.count()}})
    lone.databases_.add(std::to_string(number));
  for (const auto& send : item.sends) {
    for (const auto& list : send.lists) {
      lone.other_keys_.add(keys.list(list));
      lone.sends_.add(send.bytes);
    }
  }
  if (settlement.graph) lone.other_keys_.add(keys.graph(settlement.graph->graph_id));
  return lone;
}

std::string LoneSettlement::command(std::uint64_t batch, std::string_view answered,
                                    const std::optional<InboxMessage>& waits_in) const {
  const InboxMessage place = waits_in.value_or(InboxMessage{});
  Words words;
  words.bytes.reserve(own_keys_.bytes.size() + other_keys_.bytes.size() + meta_.size() + sends_.bytes.size() +
                      place.message.size() + 512);
  const std::size_t keys = own_keys_.count + 1 + other_keys_.count;
  client::append_command_head(words.bytes, 3 + keys + 2 + databases_.count + 3 + sends_.count);
  words.add("EVALSHA");
  words.add(settle_one_script().sha());
  words.add(std::uint64_t{keys});
  words.add(own_keys_);
  words.add(place.inbox);
  words.add(other_keys_);
  words.add(batch);
  words.add(answered);
  words.add(databases_);
  words.add(field_);
  words.add(place.message);
  words.add(meta_);
  words.add(sends_);
  return std::move(words.bytes);
}

}  // namespace lovage::broker::redis
