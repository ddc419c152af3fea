#include "wire/control_message.hpp"

#include <algorithm>
#include <utility>

#include "base/printable.hpp"
#include "base/uuid.hpp"
#include "wire/base64.hpp"
#include "wire/body.hpp"
#include "wire/names.hpp"
#include "wire/queues.hpp"
#include "wire/regex.hpp"

namespace lovage::wire {
namespace {

constexpr std::size_t kMaxGlobBytes = 1000;

Value or_null(const std::optional<std::string>& text) {
  return text ? Value(*text) : Value();
}

Value names_of(const std::optional<std::vector<std::string>>& names) {
  if (!names) return {};
  return Array(names->begin(), names->end());
}

// Seconds since 1970 with a fraction, as Python's time.time(); 0 when nobody waits.
Value expiry(const std::optional<Timestamp>& expires) {
  if (!expires) return 0;
  return std::chrono::duration<double>(expires->time_since_epoch()).count();
}

}  // namespace

Result<std::string> encode_envelope(const BroadcastMessage& message) {
  std::string body;
  append_base64(body, message.body);
  const Object envelope{
      {"body", std::move(body)},
      {"content-encoding", message.content_encoding},
      {"content-type", message.content_type},
      {"headers", message.headers},
      {"properties",
       Object{{"delivery_mode", message.delivery_mode},
              {"delivery_info", Object{{"exchange", message.exchange}, {"routing_key", message.routing_key}}},
              {"priority", message.priority},
              {"body_encoding", "base64"},
              {"delivery_tag", message.delivery_tag}}},
  };
  return encode_value(Value(envelope), Serializer::json, JsonTypes::celery_5_6);
}

std::string fanout_channel(int database, const std::string& exchange, const std::string& routing_key) {
  std::string channel = "/" + std::to_string(database) + "." + exchange;
  if (!routing_key.empty()) channel += "/" + routing_key;
  return channel;
}

Result<BroadcastMessage> to_broadcast(const ControlCommand& command) {
  Object content{{"method", command.method},
                 {"arguments", command.arguments},
                 {"destination", names_of(command.destination)},
                 {"pattern", or_null(command.pattern)},
                 {"matcher", or_null(command.matcher)}};
  if (command.reply) {
    content.set("ticket", command.reply->ticket);
    content.set("reply_to", Object{{"exchange", command.reply->exchange}, {"routing_key", command.reply->routing_key}});
  }
  auto body = encode_value(Value(std::move(content)), Serializer::json, JsonTypes::celery_5_6);
  if (!body) return tl::unexpected(body.error());
  BroadcastMessage message;
  message.exchange = kControlExchange;
  message.headers = Object{{"clock", static_cast<std::int64_t>(command.clock)}, {"expires", expiry(command.expires)}};
  message.body = std::move(*body);
  message.delivery_tag = new_uuid();
  return message;
}

Result<bool> addresses(const ControlCommand& command, std::string_view node_name) {
  if (command.destination && !command.destination->empty()) {
    return std::find(command.destination->begin(), command.destination->end(), node_name) != command.destination->end();
  }
  const std::string pattern = command.pattern.value_or("");
  const std::string matcher = command.matcher.value_or("");
  if (pattern.empty() || matcher.empty()) return true;
  if (matcher == "pcre") return regex_match(pattern, node_name);
  if (matcher != "glob") {
    return fail(Errc::bad_data, "the matcher '" + printable(matcher.substr(0, 40)) + "' is neither glob nor pcre");
  }
  if (pattern.size() > kMaxGlobBytes) return fail(Errc::too_large, "a pattern of over 1000 bytes");
  return glob_match(pattern, node_name);
}

}  // namespace lovage::wire
