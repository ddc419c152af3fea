#include "broker/redis/settle_batch.hpp"

#include <tuple>
#include <utility>

#include "client/redis_reply.hpp"

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
    case Disposal::carry_on:
      return "c";
  }
  return "a";
}

bool is_of_a_workflow(const Settlement& settlement) {
  return !settlement.chords.empty() || settlement.counts || settlement.ended_chord || settlement.graph;
}

// Acknowledged with nothing to send, and with one result at most.
bool leaves_quietly(const SettleItem& item) {
  const auto& results = item.settlement.results;
  return item.kind == SettleKind::settlement && item.settlement.disposal == Disposal::acknowledge &&
         item.sends.empty() && item.settlement.buried.empty() &&
         (results.empty() || (results.size() == 1 && !results.front().state.empty()));
}

bool is_plain(const SettleItem& item) {
  return leaves_quietly(item) && !is_of_a_workflow(item.settlement);
}

// Its task's part of a chord is all that makes it other than plain.
bool only_counts(const SettleItem& item) {
  const Settlement& settlement = item.settlement;
  const auto& counts = settlement.counts;
  if (!counts || counts->parts.size() != 1 || counts->added > 0 || !leaves_quietly(item)) return false;
  if (!settlement.chords.empty() || settlement.ended_chord || settlement.graph) return false;
  return settlement.results.empty() || settlement.results.front().task_id == counts->parts.front().task_id;
}

}  // namespace

std::size_t SettleItem::bytes() const {
  std::size_t sum = settlement.dead_letter.detail.size();
  if (settlement.replacement) sum += wire::envelope_size(settlement.replacement);
  for (const auto& result : settlement.results) sum += result.meta.size();
  for (const auto& send : sends) sum += send.bytes.size() * send.lists.size();
  for (const auto& buried : settlement.buried) sum += 2 * buried.message.body.size();
  sum += settlement.continuation.size();
  if (settlement.counts) {
    sum += settlement.counts->continuation.size();
    for (const auto& part : settlement.counts->parts) sum += 2 * part.task_id.size() + part.text.size();
  }
  return sum;
}

std::size_t SettleItem::values() const {
  std::size_t sum = 12 + 4 * settlement.results.size() + 7 * settlement.buried.size();
  for (const auto& send : sends) sum += 3 * send.lists.size();
  sum += 7 * settlement.chords.size();
  if (settlement.counts) sum += 8 + 5 * settlement.counts->parts.size();
  if (settlement.ended_chord) sum += 8;
  if (settlement.graph) sum += 4;
  return sum;
}

// A chord's continuation travels once.
std::size_t SettleBatch::bytes_of(const SettleItem& item) const {
  const std::size_t bytes = item.bytes();
  if (counting_.empty() || !only_counts(item)) return bytes;
  const bool is_told = counting_.contains(item.settlement.counts->group_id);
  return is_told ? bytes - item.settlement.counts->continuation.size() : bytes;
}

bool SettleBatch::has_room_for(const SettleItem& item) const {
  if (items_ == 0) return true;
  return items_ < kMaxItems && bytes_ + bytes_of(item) <= kMaxBytes && values_ + item.values() <= kMaxValues;
}

void SettleBatch::add(SettleItem&& item) {
  ++items_;
  bytes_ += bytes_of(item);
  values_ += item.values();
  if (items_ == 1 && is_lone(item)) {
    lone_ = std::move(item);
    return;
  }
  write_lone();
  write(std::move(item));
}

void SettleBatch::write_lone() {
  if (auto item = std::exchange(lone_, std::nullopt)) write(std::move(*item));
}

void SettleBatch::write(SettleItem&& item) {
  if (key_words_.count == 0) {
    const auto& [keys, id] = std::tie(*scope_.keys, scope_.incarnation);
    for (const auto& key : {keys.incarnations(), keys.reserved(id), keys.held_marks(id), keys.settled(id), keys.marks(),
                            keys.mark_ages(), keys.dead(), keys.alarms()}) {
      key_words_.add(key);
    }
  }
  if (is_plain(item)) return add_plain(item);
  if (only_counts(item)) return add_counting(std::move(item));
  const Settlement& settlement = item.settlement;
  entries_.push_back({settlement.token, item.kind});

  std::size_t sends = 0;
  for (const auto& send : item.sends) sends += send.lists.size();
  args_.add(reservation_field(settlement.token, item.list_name));
  args_.add(kind_letter(item.kind, settlement.disposal));
  args_.add(settlement.results.size());
  args_.add(sends);
  args_.add(settlement.buried.size());
  const Words workflow = workflow_words(settlement);
  args_.add(workflow.count);
  for (const auto& result : settlement.results) {
    key_words_.add(result_key(scope_.results.prefix, result.task_id));
    args_.add(key_words_.count);
    args_.add(result.state);
    args_.add(result.meta);
  }
  for (const auto& send : item.sends) {
    for (const auto& list : send.lists) {
      add_index_of(scope_.keys->list(list));
      args_.add(send.bytes);
    }
  }
  for (const auto& [message, letter] : settlement.buried) {
    add_letter(message.routing_key, 0, letter);
    args_.add(wire::encode_envelope(message));
  }
  if (item.kind == SettleKind::settlement) add_disposal(item);
  args_.add(workflow);
}

void SettleBatch::add_letter(std::string_view queue, int step, const DeadLetter& letter) {
  args_.add(queue);
  args_.add(std::to_string(step));
  for (const auto* text : {&letter.task_id, &letter.task, &letter.reason, &letter.detail}) args_.add(*text);
}

void SettleBatch::add_plain(const SettleItem& item) {
  plain_entries_.push_back({item.settlement.token, item.kind});
  plain_args_.add(reservation_field(item.settlement.token, item.list_name));
  if (item.settlement.results.empty()) {
    plain_args_.add("");
    plain_args_.add("");
    return;
  }
  const StoreResult& result = item.settlement.results.front();
  plain_keys_.add(result_key(scope_.results.prefix, result.task_id));
  plain_args_.add(result.state);
  plain_args_.add(result.meta);
}

void SettleBatch::add_counting(SettleItem&& item) {
  Settlement& settlement = item.settlement;
  Counting& counting = counting_[settlement.counts->group_id];
  if (counting.entries.empty())
    add_chord_keys(chord_keys(scope_.results.prefix, settlement.counts->group_id), counting.chord);
  counting.continuation = std::move(settlement.counts->continuation);
  counting.entries.push_back({settlement.token, item.kind});
  const ChordPart& part = settlement.counts->parts.front();
  Words& words = counting.items;
  words.add(reservation_field(settlement.token, item.list_name));
  words.add(settlement.results.empty() ? "" : settlement.results.front().state);
  words.add(settlement.results.empty() ? "" : settlement.results.front().meta);
  key_words_.add(result_key(scope_.results.prefix, part.task_id));
  words.add(key_words_.count);
  words.add(part_score(part, scope_.results.ordered_chords));
  words.add(part.task_id);
  words.add(part.text);
}

std::size_t SettleBatch::index_of(const std::string& key) {
  const auto [found, is_new] = indices_.try_emplace(key);
  if (is_new) {
    key_words_.add(key);
    found->second = key_words_.count;
  }
  return found->second;
}

void SettleBatch::add_chord_keys(const ChordKeys& keys, Words& words) {
  for (const auto* key : {&keys.parts, &keys.size, &keys.more}) words.add(index_of(*key));
}

Words SettleBatch::workflow_words(const Settlement& settlement) {
  Words words;
  if (!is_of_a_workflow(settlement)) return words;
  words.add(settlement.chords.size());
  for (const auto& start : settlement.chords) {
    add_chord_keys(chord_keys(scope_.results.prefix, start.group_id), words);
    words.add(start.size);
  }
  settlement.counts ? add_count(*settlement.counts, words) : words.add("");
  settlement.ended_chord ? add_end(*settlement.ended_chord, words) : words.add("");
  if (const auto& graph = settlement.graph) {
    words.add(index_of(scope_.keys->graph(graph->graph_id)));
    words.add(graph->added);
    words.add(graph->ended);
  }
  return words;
}

void SettleBatch::add_count(const ChordCount& count, Words& words) {
  add_chord_keys(chord_keys(scope_.results.prefix, count.group_id), words);
  words.add(count.continuation);
  words.add(count.added);
  words.add(count.parts.size());
  for (const auto& part : count.parts) {
    words.add(part_score(part, scope_.results.ordered_chords));
    words.add(part.task_id);
    words.add(part.text);
    words.add(index_of(result_key(scope_.results.prefix, part.task_id)));
  }
}

void SettleBatch::add_end(const ChordEnd& ended, Words& words) {
  const ChordKeys keys = chord_keys(scope_.results.prefix, ended.group_id);
  add_chord_keys(keys, words);
  words.add(index_of(keys.group));
  if (scope_.results.expires.count() == 0) return;
  for (const auto& id : ended.task_ids) entries_.back().ended.push_back(result_key(scope_.results.prefix, id));
}

void SettleBatch::add_replacement(const Settlement& settlement) {
  args_.add(settlement.replacement ? wire::encode_envelope(settlement.replacement) : "");
}

void SettleBatch::add_disposal(const SettleItem& item) {
  const Settlement& settlement = item.settlement;
  switch (settlement.disposal) {
    case Disposal::acknowledge:
      return;
    case Disposal::return_head:
    case Disposal::return_tail:
      add_index_of(scope_.keys->list(item.list_name));
      add_replacement(settlement);
      args_.add(marks_text(settlement.marks));
      return;
    case Disposal::schedule:
      add_index_of(scope_.keys->schedule(item.list_name));
      add_replacement(settlement);
      args_.add(marks_text(settlement.marks));
      args_.add(due_text(settlement.due));
      // The token makes two equal messages two members; an eta goes to the head when it is due, back-off to the tail.
      args_.add(schedule_side(settlement) + scope_.incarnation.get() + ":" + std::to_string(settlement.token.get()));
      return;
    case Disposal::carry_on:
      return args_.add(settlement.continuation);
    case Disposal::dead_letter: {
      const ListName list = parse_list_name(item.list_name, scope_.keys->layout());
      return add_letter(list.queue, list.step, settlement.dead_letter);
    }
  }
}

void SettleBatch::seal(const std::vector<std::uint64_t>& answered, const std::optional<InboxMessage>& waits_in) {
  for (const std::uint64_t number : answered) {
    if (!answered_.empty()) answered_ += ' ';
    answered_ += std::to_string(number);
  }
  if (!lone_) return write_all();
  command_of_one_ = settle_one_command(*lone_, scope_, number_, answered_, waits_in.value_or(InboxMessage{}));
  entries_.push_back({lone_->settlement.token, lone_->kind});
}

void SettleBatch::write_all() {
  const std::size_t first_plain_key = key_words_.count + 1;
  sealed_ = std::move(key_words_);
  sealed_.add(plain_keys_);
  key_count_ = sealed_.count;
  sealed_.add(scope_.incarnation.get());
  sealed_.add(number_);
  sealed_.add(answered_);
  for (const auto number :
       {std::int64_t{scope_.broker_db}, std::int64_t{scope_.results.db}, std::int64_t{scope_.results.expires.count()}})
    sealed_.add(std::to_string(number));
  sealed_.add(plain_entries_.size());
  sealed_.add(first_plain_key);
  sealed_.add(plain_args_);
  sealed_.add(counting_.size());
  for (const auto& [group, counting] : counting_) {
    sealed_.add(counting.chord);
    sealed_.add(counting.continuation);
    sealed_.add(counting.entries.size());
    sealed_.add(counting.items);
    entries_.insert(entries_.end(), counting.entries.begin(), counting.entries.end());
  }
  sealed_.add(args_);
  plain_keys_ = plain_args_ = args_ = {};
  counting_.clear();
  entries_.insert(entries_.end(), plain_entries_.begin(), plain_entries_.end());
  plain_entries_.clear();
}

std::string SettleBatch::command(Send how) {
  if (lone_) {
    entries_.clear();
    write_lone();
    write_all();
  }
  const Script& script = settle_script();
  std::string bytes;
  bytes.reserve(sealed_.bytes.size() + 128 + (how == Send::whole ? script.text().size() : 0));
  client::append_command_head(bytes, 3 + sealed_.count);
  client::append_word(bytes, how == Send::whole ? "EVAL" : "EVALSHA");
  client::append_word(bytes, how == Send::whole ? script.text() : script.sha());
  client::append_word(bytes, std::to_string(key_count_));
  bytes += sealed_.bytes;
  return bytes;
}

}  // namespace lovage::broker::redis
