// Settlements on their way into one call of the settle script.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/redis/keys.hpp"
#include "broker/redis/lone_settlement.hpp"
#include "broker/redis/script.hpp"
#include "broker/redis/settle_item.hpp"
#include "broker/redis/words.hpp"

namespace lovage::broker::redis {

// One call of the settle script, written in the form in which it travels as its items come. A first item that the
// settle-one script can carry out is written when a second one comes, or when that script has refused it.
class SettleBatch {
 public:
  static constexpr std::size_t kMaxItems = 256;
  static constexpr std::size_t kMaxBytes = 1u << 20;
  static constexpr std::size_t kMaxValues = 7'000;

  struct Entry {
    Token token{};
    SettleKind kind = SettleKind::settlement;
    std::vector<std::string> ended = {};  // keys of results that begin to expire, now that their chord has ended
  };

  SettleBatch(SettleScope scope, std::uint64_t number) : scope_(std::move(scope)), number_(number) {}

  // A batch takes at least one item, whatever its size.
  [[nodiscard]] bool has_room_for(const SettleItem& item) const;
  // The script settles the plain items (acknowledge, nothing to send, at most one result) behind all others, and before
  // these those that also count their task's part of a chord, chord by chord.
  void add(SettleItem&& item);
  // The token of the only item, where the settle-one script can carry it out; else 0.
  [[nodiscard]] Token lone_token() const noexcept { return lone_ ? lone_->settlement.token : Token{}; }
  // Once, when the batch is full: `answered` are batches whose replies have arrived, `waits_in` is where the lone
  // item's message waits that is not reserved yet.
  void seal(const std::vector<std::uint64_t>& answered, const std::optional<InboxMessage>& waits_in = {});

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  // Once sealed: in the order of the answer's codes, ...
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  // ... and the command.
  [[nodiscard]] std::string command(Send how);
  // The call of the settle-one script, where that can carry out all of the batch; else empty.
  [[nodiscard]] const std::string& command_of_one() const noexcept { return command_of_one_; }

 private:
  // What counts parts of one chord and does nothing else of note.
  struct Counting {
    Words chord;               // its keys
    std::string continuation;  // of the item that came last
    Words items;
    std::vector<Entry> entries;
  };

  [[nodiscard]] std::size_t bytes_of(const SettleItem& item) const;
  void write(SettleItem&& item);
  void write_lone();
  void write_all();
  void add_plain(const SettleItem& item);
  void add_counting(SettleItem&& item);
  std::size_t index_of(const std::string& key);
  void add_index_of(const std::string& key) { args_.add(index_of(key)); }
  void add_chord_keys(const ChordKeys& keys, Words& words);
  void add_letter(std::string_view queue, int step, const DeadLetter& letter);
  void add_replacement(const Settlement& settlement);
  void add_disposal(const SettleItem& item);
  // On chords and graphs: empty when the settlement has nothing to do with any.
  Words workflow_words(const Settlement& settlement);
  void add_count(const ChordCount& count, Words& words);
  void add_end(const ChordEnd& ended, Words& words);

  SettleScope scope_;
  std::uint64_t number_;
  std::size_t bytes_ = 0;
  std::size_t values_ = 0;
  std::map<std::string, std::size_t> indices_;  // of lists, schedules, chords and graphs among the keys
  Words key_words_;
  Words plain_keys_;
  Words plain_args_;
  Words args_;
  std::map<std::string, Counting> counting_;  // by the chord's group
  std::vector<Entry> entries_;
  std::vector<Entry> plain_entries_;
  std::size_t items_ = 0;
  std::optional<SettleItem> lone_;  // the only item, not written yet
  std::string answered_;            // once sealed: the batches whose replies have arrived
  std::string command_of_one_;
  std::size_t key_count_ = 0;  // once all is written
  Words sealed_;               // keys and arguments
};

}  // namespace lovage::broker::redis
