#include "broker/redis/settle_batch.hpp"

#include <utility>

namespace lovage::broker::redis {
namespace {

std::string marks_text(const std::optional<Marks>& marks) {
  if (!marks) return {};
  return std::to_string(marks->suspect ? 1 : 0) + ":" + std::to_string(marks->strikes) + ":" +
         std::to_string(marks->waited_unknown.count());
}

// "@" and milliseconds of wall-clock time, or "+" and a delay by the server's clock.
std::string due_text(const Due& due) {
  if (!due.at) return "+" + std::to_string(due.delay.count());
  const auto since = std::chrono::ceil<std::chrono::milliseconds>(due.at->time_since_epoch());
  return "@" + std::to_string(since.count());
}

// Where in its list a scheduled message goes when it is due, and the task that waits for a worker which knows it.
std::string schedule_side(const Settlement& settlement) {
  const std::string& task = settlement.unknown_task;
  if (!task.empty() && task.find_first_of("\t\n") == std::string::npos) return "u" + task + "\t";
  return settlement.due.at ? "h" : "t";
}

std::string_view kind_letter(SettleKind kind, Disposal disposal) {
  if (kind == SettleKind::state) return "k";
  if (kind == SettleKind::start) return "s";
  switch (disposal) {
    case Disposal::acknowledge:
      return "a";
    case Disposal::return_head:
      return "h";
    case Disposal::return_tail:
      return "t";
    case Disposal::schedule:
      return "d";
    case Disposal::dead_letter:
      return "x";
  }
  return "a";
}

}  // namespace

std::size_t SettleItem::bytes() const {
  std::size_t sum = settlement.replacement.size() + settlement.dead_letter.detail.size();
  for (const auto& result : settlement.results) sum += result.meta.size();
  for (const auto& send : sends) sum += send.bytes.size() * send.lists.size();
  return sum;
}

std::size_t SettleItem::values() const {
  std::size_t sum = 12 + 4 * settlement.results.size();
  for (const auto& send : sends) sum += 3 * send.lists.size();
  return sum;
}

SettleBatch::SettleBatch(const Keys& keys, const IncarnationId& incarnation, const ResultStore& results, int broker_db,
                         std::uint64_t number)
    : keys_(keys),
      incarnation_(incarnation),
      results_(results),
      number_(number),
      open_(std::make_shared<ScriptCall>()) {
  open_->script = &settle_script();
  open_->keys = {keys.incarnations(),
                 keys.reserved(incarnation),
                 keys.held_marks(incarnation),
                 keys.settled(incarnation),
                 keys.marks(),
                 keys.mark_ages(),
                 keys.dead(),
                 keys.alarms()};
  open_->args = {incarnation.get(),         std::to_string(number),     "",
                 std::to_string(broker_db), std::to_string(results.db), std::to_string(results.expires.count())};
}

bool SettleBatch::has_room_for(const SettleItem& item) const {
  if (entries_.empty()) return true;
  return entries_.size() < kMaxItems && bytes_ + item.bytes() <= kMaxBytes && values_ + item.values() <= kMaxValues;
}

std::string SettleBatch::key_index(const std::string& key) {
  const auto [found, is_new] = indices_.try_emplace(key);
  if (is_new) {
    open_->keys.push_back(key);
    found->second = std::to_string(open_->keys.size());
  }
  return found->second;
}

void SettleBatch::add(SettleItem item) {
  bytes_ += item.bytes();
  values_ += item.values();
  Settlement& settlement = item.settlement;
  entries_.push_back({settlement.token, item.kind});

  std::size_t sends = 0;
  for (const auto& send : item.sends) sends += send.lists.size();
  auto& args = open_->args;
  args.push_back(reservation_field(settlement.token, item.list_name));
  args.emplace_back(kind_letter(item.kind, settlement.disposal));
  args.push_back(std::to_string(settlement.results.size()));
  args.push_back(std::to_string(sends));
  for (auto& result : settlement.results) {
    open_->keys.push_back(result_key(results_.prefix, result.task_id));
    args.push_back(std::to_string(open_->keys.size()));
    args.push_back(std::move(result.state));
    args.push_back(std::move(result.meta));
  }
  for (const auto& send : item.sends) {
    for (const auto& list : send.lists) {
      args.push_back(key_index(keys_.list(list)));
      args.push_back(send.bytes);
    }
  }
  if (item.kind == SettleKind::settlement) add_disposal(settlement, item.list_name);
}

void SettleBatch::add_disposal(Settlement& settlement, const std::string& list_name) {
  auto& args = open_->args;
  switch (settlement.disposal) {
    case Disposal::acknowledge:
      return;
    case Disposal::return_head:
    case Disposal::return_tail:
      args.push_back(key_index(keys_.list(list_name)));
      args.push_back(std::move(settlement.replacement));
      args.push_back(marks_text(settlement.marks));
      return;
    case Disposal::schedule:
      args.push_back(key_index(keys_.schedule(list_name)));
      args.push_back(std::move(settlement.replacement));
      args.push_back(marks_text(settlement.marks));
      args.push_back(due_text(settlement.due));
      // The token makes two equal messages two members; an eta goes to the head when it is due, back-off to the tail.
      args.push_back(schedule_side(settlement) + incarnation_.get() + ":" + std::to_string(settlement.token.get()));
      return;
    case Disposal::dead_letter: {
      const ListName list = parse_list_name(list_name, keys_.layout());
      DeadLetter& letter = settlement.dead_letter;
      for (std::string* text : {&letter.task_id, &letter.task, &letter.reason, &letter.detail}) {
        if (text == &letter.task_id) args.insert(args.end(), {list.queue, std::to_string(list.step)});
        args.push_back(std::move(*text));
      }
      return;
    }
  }
}

std::shared_ptr<const ScriptCall> SettleBatch::seal(const std::vector<std::uint64_t>& answered) {
  std::string& text = open_->args[2];
  for (const std::uint64_t number : answered) text.append(text.empty() ? "" : " ").append(std::to_string(number));
  sealed_ = std::exchange(open_, nullptr);
  return sealed_;
}

}  // namespace lovage::broker::redis
