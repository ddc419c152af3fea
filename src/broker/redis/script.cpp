#include "broker/redis/script.hpp"

#include <openssl/evp.h>

#include <array>
#include <utility>

#include "broker/redis/scripts/chords.hpp"
#include "broker/redis/scripts/dead_letters.hpp"
#include "broker/redis/scripts/graphs.hpp"
#include "broker/redis/scripts/incarnation.hpp"
#include "broker/redis/scripts/reserve.hpp"
#include "broker/redis/scripts/settle.hpp"
#include "broker/redis/scripts/settle_one.hpp"
#include "broker/redis/scripts/settle_plain.hpp"
#include "broker/redis/scripts/shared.hpp"
#include "broker/redis/scripts/store_result.hpp"
#include "broker/redis/scripts/take.hpp"
#include "broker/redis/scripts/unacked.hpp"

namespace lovage::broker::redis {
std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

Script::Script(std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) text_ += part;
  sha_ = sha1_hex(text_);
}

std::vector<std::string_view> words_of(const ScriptCall& call, Send how, std::string& key_count) {
  key_count = std::to_string(call.keys.size());
  std::vector<std::string_view> words;
  words.reserve(3 + call.keys.size() + call.args.size());
  if (how == Send::by_sha) {
    words.insert(words.end(), {"EVALSHA", call.script->sha(), key_count});
  } else {
    words.insert(words.end(), {"EVAL", call.script->text(), key_count});
  }
  words.insert(words.end(), call.keys.begin(), call.keys.end());
  words.insert(words.end(), call.args.begin(), call.args.end());
  return words;
}

bool is_noscript(const client::RedisReply& reply) noexcept {
  return reply.is_error() && reply.text.starts_with("NOSCRIPT");
}

void run(client::RedisAsync& connection, std::shared_ptr<const ScriptCall> call,
         client::RedisAsync::ReplyHandler handler) {
  std::string key_count;
  const ScriptCall& asked = *call;
  connection.command(
      words_of(asked, Send::by_sha, key_count),
      [&connection, call = std::move(call), handler = std::move(handler)](Result<client::RedisReply> reply) mutable {
        if (!reply || !is_noscript(*reply)) return handler(std::move(reply));
        std::string count;
        connection.command(words_of(*call, Send::whole, count), std::move(handler));
      });
}

Result<client::RedisReply> run(client::RedisSync& connection, const ScriptCall& call, Deadline deadline) {
  std::string key_count;
  std::string bytes;
  client::append_command(bytes, words_of(call, Send::by_sha, key_count));
  auto replies = connection.pipeline(bytes, 1, deadline);
  if (!replies) return tl::unexpected(replies.error());
  client::RedisReply reply = std::move(replies->front());
  if (is_noscript(reply)) return connection.command(words_of(call, Send::whole, key_count), deadline);
  if (reply.is_error()) return tl::unexpected(failure_of(reply));
  return reply;
}

const Script& reserve_script() {
  static const Script kScript{lua::kMarks, lua::kNow, lua::kReserve};
  return kScript;
}
const Script& take_script() {
  static const Script kScript{lua::kTake};
  return kScript;
}
const Script& settle_script() {
  static const Script kScript{lua::kMarks,      lua::kNow,    lua::kStates, lua::kChords,
                              lua::kGraphLasts, lua::kGraphs, lua::kSettle, lua::kSettlePlain};
  return kScript;
}
const Script& settle_one_script() {
  static const Script kScript{lua::kGraphLasts, lua::kSettleOne};
  return kScript;
}
const Script& register_script() {
  static const Script kScript{lua::kRegister};
  return kScript;
}
const Script& renew_script() {
  static const Script kScript{lua::kRenew};
  return kScript;
}
const Script& sweeper_lock_script() {
  static const Script kScript{lua::kSweeperLock};
  return kScript;
}
const Script& give_back_script() {
  static const Script kScript{lua::kMarks, lua::kNow, lua::kGiveBack};
  return kScript;
}
const Script& adopt_script() {
  static const Script kScript{lua::kAdopt};
  return kScript;
}
const Script& empty_inboxes_script() {
  static const Script kScript{lua::kEmptyInboxes};
  return kScript;
}
const Script& prune_marks_script() {
  static const Script kScript{lua::kNow, lua::kPruneMarks};
  return kScript;
}
const Script& hand_back_script() {
  static const Script kScript{lua::kNow, lua::kHandBack};
  return kScript;
}
const Script& retry_dead_letter_script() {
  static const Script kScript{lua::kRetryDeadLetter};
  return kScript;
}
const Script& purge_dead_letters_script() {
  static const Script kScript{lua::kPurgeDeadLetters};
  return kScript;
}
const Script& store_result_script() {
  static const Script kScript{lua::kStates, lua::kStoreResult};
  return kScript;
}
const Script& probe_results_script() {
  static const Script kScript{lua::kChords, lua::kProbeResults};
  return kScript;
}
const Script& start_chord_script() {
  static const Script kScript{lua::kChords, lua::kStartChord};
  return kScript;
}
const Script& extend_chord_script() {
  static const Script kScript{lua::kChords, lua::kExtendChord};
  return kScript;
}
const Script& count_parts_script() {
  static const Script kScript{lua::kChords, lua::kCountParts};
  return kScript;
}
const Script& save_group_script() {
  static const Script kScript{lua::kChords, lua::kSaveGroup};
  return kScript;
}
const Script& store_graph_script() {
  static const Script kScript{lua::kGraphLasts, lua::kGraphs, lua::kStoreGraph};
  return kScript;
}
const Script& use_graph_script() {
  static const Script kScript{lua::kGraphLasts, lua::kGraphs, lua::kUseGraph};
  return kScript;
}
const Script& put_back_unacked_script() {
  static const Script kScript{lua::kPutBackUnacked};
  return kScript;
}
const Script& release_mutex_script() {
  static const Script kScript{lua::kReleaseMutex};
  return kScript;
}

}  // namespace lovage::broker::redis
