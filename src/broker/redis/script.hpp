// Lua scripts at the server: called by their SHA-1 (EVALSHA), sent whole when the server does not know them.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "client/redis_async.hpp"
#include "client/redis_reply.hpp"
#include "client/redis_sync.hpp"

namespace lovage::broker::redis {

// 40 hexadecimal digits; of a message, the name of its row in `marks`.
std::string sha1_hex(std::string_view text);

class Script {
 public:
  // The parts' text, one after the other.
  Script(std::initializer_list<std::string_view> parts);
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] const std::string& sha() const noexcept { return sha_; }

 private:
  std::string text_;
  std::string sha_;  // 40 hexadecimal digits
};

// One call: every key that the script touches is in `keys`.
struct ScriptCall {
  const Script* script = nullptr;
  std::vector<std::string> keys;
  std::vector<std::string> args;
};

enum class Send { by_sha, whole };
// The command's words; they point into the call and into `key_count`.
std::vector<std::string_view> words_of(const ScriptCall& call, Send how, std::string& key_count);

bool is_noscript(const client::RedisReply& reply) noexcept;

// On the loop: NOSCRIPT is answered by sending the script whole; everything else reaches the handler.
void run(client::RedisAsync& connection, std::shared_ptr<const ScriptCall> call,
         client::RedisAsync::ReplyHandler handler);

// Blocking: the same.
Result<client::RedisReply> run(client::RedisSync& connection, const ScriptCall& call, Deadline deadline);

// The scripts, named as in scripts/.
const Script& reserve_script();
const Script& take_script();
const Script& settle_script();
const Script& settle_one_script();
const Script& register_script();
const Script& renew_script();
const Script& sweeper_lock_script();
const Script& give_back_script();
const Script& adopt_script();
const Script& empty_inboxes_script();
const Script& prune_marks_script();
const Script& hand_back_script();
const Script& retry_dead_letter_script();
const Script& purge_dead_letters_script();
const Script& store_result_script();
const Script& probe_results_script();
const Script& start_chord_script();
const Script& extend_chord_script();
const Script& count_parts_script();
const Script& save_group_script();
const Script& store_graph_script();
const Script& use_graph_script();
const Script& put_back_unacked_script();
const Script& release_mutex_script();

}  // namespace lovage::broker::redis
