// Remote control: commands that every worker hears (kombu's pidbox), and the fanout messages that carry them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <lovage/value.hpp>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {

// A message to everybody who listens to a fanout exchange now; nobody keeps it.
struct BroadcastMessage {
  std::string exchange;
  std::string routing_key;
  Object headers;
  std::string content_type = "application/json";
  std::string content_encoding = "utf-8";
  std::string body;
  int delivery_mode = 2;
  int priority = 0;
  std::string delivery_tag;
};

// What the virtual transports publish. Errors: bad_data for headers that JSON cannot carry.
Result<std::string> encode_envelope(const BroadcastMessage& message);

// Redis: the pub/sub channel of a fanout exchange, without prefix; the database is part of it because channels know
// none.
std::string fanout_channel(int database, const std::string& exchange, const std::string& routing_key);

struct ControlCommand {
  std::string method;  // "revoke", "ping", ...
  Object arguments;
  std::optional<std::vector<std::string>> destination;  // node names; nothing, or none: all of them
  std::optional<std::string> pattern;                   // of node names, read as `matcher` says
  std::optional<std::string> matcher;                   // "glob" or "pcre"

  // Where answers go; nothing: nobody waits for one.
  struct Reply {
    std::string ticket;  // comes back in the answer's headers
    std::string exchange;
    std::string routing_key;
  };
  std::optional<Reply> reply;

  std::uint64_t clock = 0;           // the sender's Lamport clock
  std::optional<Timestamp> expires;  // when the sender stops waiting for answers
};

// The command as it is broadcast, under a fresh delivery tag. Errors: bad_data for arguments that JSON cannot carry.
Result<BroadcastMessage> to_broadcast(const ControlCommand& command);

// How large a command may be. Celery's largest are the greetings of workers, with up to 50,000 revoked ids.
struct ControlLimits {
  DecodeLimits content{.max_bytes = 16U << 20U};
  std::size_t max_destinations = 10'000;
};

// What the virtual transports deliver. `accept_content` holds MIME names. Errors, each naming the part that is wrong:
// bad_data, too_large.
Result<ControlCommand> decode_control(std::string_view envelope, std::span<const std::string> accept_content,
                                      const ControlLimits& limits = {});

// Whether the node is to carry the command out, by kombu's rules: where there are destinations, it is one of them;
// else, where there are pattern and matcher, its name matches; else everybody is. "glob" is matched with the whole name
// (queues.hpp), "pcre" with its beginning, as far as regex.hpp reads such patterns.
// Errors, of this command alone: bad_data for another matcher or an unreadable pattern, too_large.
Result<bool> addresses(const ControlCommand& command, std::string_view node_name);

}  // namespace lovage::wire
