// Kombu's own unacknowledged messages: what Python workers hold. By kombu's rule those that were held for longer than
// the visibility timeout go back to their queues.
#pragma once

#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/redis/bindings.hpp"
#include "broker/redis/keys.hpp"
#include "client/redis_sync.hpp"

namespace lovage::broker::redis {

// Kombu's transport options of these names, key names without prefix. A Python task that runs for longer than the
// timeout runs twice: it has to be what the Python workers' setting says, and is never guessed.
struct UnackedOptions {
  std::chrono::milliseconds visibility_timeout{};
  std::string key = "unacked";
  std::string index_key = "unacked_index";
  std::string mutex_key = "unacked_mutex";
  std::chrono::milliseconds mutex_expire = std::chrono::minutes(5);
};

// One thread at a time.
class UnackedSweep {
 public:
  UnackedSweep(UnackedOptions options, Keys keys);

  // Puts back what is overdue by the server's clock, at most some hundreds of messages a call; how many they were.
  // Does nothing while somebody else, Python or C++, does the same. What cannot be read or leads to no queue is said in
  // the log, once, and stays where it is.
  Result<std::size_t> sweep(client::RedisSync& connection, Deadline deadline);

 private:
  enum class Outcome { put_back, gone, left };
  struct Entry {
    std::string tag;
    std::string score;  // when it was delivered, as the server writes it
  };

  Result<std::vector<Entry>> overdue(client::RedisSync& connection, Deadline deadline);
  Result<std::size_t> put_back_pages(client::RedisSync& connection, std::vector<Entry> page, Deadline deadline);
  // Adds to `count`. False: the time was up before its end.
  Result<bool> put_back_page(client::RedisSync& connection, const std::vector<Entry>& page, Deadline enough,
                             Deadline deadline, std::size_t& count);
  Result<Outcome> put_back(client::RedisSync& connection, const Entry& entry, Deadline deadline);
  Outcome leave(const Entry& entry, const std::string& why);

  const UnackedOptions options_;
  const Keys keys_;
  Bindings bindings_;
  std::size_t passed_over_ = 0;  // entries at the young end that were looked at and left
  std::set<std::string> said_;   // tags of entries that were left
};

// A record of the hash, taken apart and edited as kombu does when it restores a message.
struct Restored {
  std::string exchange;
  std::string routing_key;
  int priority = 0;
  std::string message;  // marked as redelivered
};
// bad_data: it is not [message, exchange, routing key].
Result<Restored> restore_record(std::string_view record);

}  // namespace lovage::broker::redis
