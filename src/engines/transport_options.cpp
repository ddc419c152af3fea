#include "engines/transport_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include <lovage/error.hpp>

#include "base/suggest.hpp"

namespace lovage::engines {
namespace {

enum class Use {
  honoured,
  harmless,  // kombu's way of doing what Lovage does in its own; ignored
  refused,   // ignoring it would lose messages or send them elsewhere
};

struct Option {
  std::string_view name;
  Use use;
  // Refused ones: as JSON the value that says what Lovage does anyway, and why no other can be had.
  std::string_view accepted = {};
  std::string_view why = {};
};

constexpr std::array kOptions{
    Option{"global_keyprefix", Use::honoured},
    Option{"master_name", Use::honoured},
    // What is read from other queues or under other keys than its sender used is lost to its receiver.
    Option{"priority_steps", Use::refused, "[0, 3, 6, 9]", "priorities are served in kombu's default steps"},
    Option{"sep", Use::refused, R"("\u0006\u0016")", "lists of priorities are named with kombu's default separator"},
    Option{"unacked_key", Use::refused, R"("unacked")", "Python workers' unacknowledged messages are not looked after"},
    Option{"unacked_index_key", Use::refused, R"("unacked_index")",
           "Python workers' unacknowledged messages are not looked after"},
    Option{"unacked_mutex_key", Use::refused, R"("unacked_mutex")",
           "Python workers' unacknowledged messages are not looked after"},
    Option{"fanout_prefix", Use::refused, "true", "remote control goes to the channels /<db>.<exchange>"},
    Option{"fanout_patterns", Use::refused, "true", "remote control goes to channels that end in the routing key"},
    Option{"body_encoding", Use::refused, R"("base64")", "bodies are always written in base64"},
    Option{"deadletter_queue", Use::refused, "null",
           "a message that no queue takes is an error at its sender; bad ones are in 'lovage dlq list'"},
    Option{"sentinel_kwargs", Use::refused, "{}", "passwords of sentinels cannot be given yet"},
    Option{"min_other_sentinels", Use::refused, "0", "the first sentinel that knows the master is believed"},
    // A visibility timeout is for messages that Python workers hold; Lovage's workers have leases instead.
    Option{"visibility_timeout", Use::harmless},
    Option{"unacked_mutex_expire", Use::harmless},
    Option{"unacked_restore_limit", Use::harmless},
    Option{"ack_emulation", Use::harmless},
    Option{"queue_order_strategy", Use::harmless},
    Option{"polling_interval", Use::harmless},
    Option{"max_connections", Use::harmless},
    Option{"health_check_interval", Use::harmless},
    Option{"retry_on_timeout", Use::harmless},
    Option{"retry_policy", Use::harmless},
    Option{"socket_timeout", Use::harmless},
    Option{"socket_connect_timeout", Use::harmless},
    Option{"socket_keepalive", Use::harmless},
    Option{"socket_keepalive_options", Use::harmless},
    Option{"client_name", Use::harmless},
};

std::vector<std::string_view> known_names() {
  std::vector<std::string_view> names;
  for (const Option& option : kOptions) names.push_back(option.name);
  return names;
}

}  // namespace

void check_redis_options(const TransportOptions& options, std::string_view setting) {
  for (const auto& [name, value] : options) {
    const auto* const option =
        std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& each) { return each.name == name; });
    if (option == kOptions.end()) {
      throw ConfigError(fmt::format("{}: unknown option '{}'{}", setting, name, did_you_mean(name, known_names())));
    }
    if (option->use == Use::refused && value != from_json(option->accepted)) {
      throw ConfigError(
          fmt::format("{}: '{}' cannot be other than {}: {}", setting, name, option->accepted, option->why));
    }
  }
}

std::string text_option(const TransportOptions& options, std::string_view setting, const std::string& name) {
  const auto found = options.find(name);
  if (found == options.end()) return {};
  const std::string* const text = found->second.if_string();
  if (text == nullptr) throw ConfigError(fmt::format("{}: '{}' is a string", setting, name));
  return *text;
}

}  // namespace lovage::engines
