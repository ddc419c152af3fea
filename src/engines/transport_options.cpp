#include "engines/transport_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
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
    // Lovage's own: a worker starts on a server whose maxmemory-policy throws queues away.
    Option{"allow_eviction", Use::honoured},
    Option{"global_keyprefix", Use::honoured},
    Option{"master_name", Use::honoured},
    Option{"priority_steps", Use::honoured},
    Option{"result_chord_ordered", Use::honoured},
    Option{"sep", Use::honoured},
    // Given, Lovage's workers put back what dead Python workers held; their own messages have leases instead.
    Option{"visibility_timeout", Use::honoured},
    Option{"unacked_key", Use::honoured},
    Option{"unacked_index_key", Use::honoured},
    Option{"unacked_mutex_key", Use::honoured},
    Option{"unacked_mutex_expire", Use::honoured},
    // What is read from other queues or under other keys than its sender used is lost to its receiver.
    Option{"fanout_prefix", Use::refused, "true", "remote control goes to the channels /<db>.<exchange>"},
    Option{"fanout_patterns", Use::refused, "true", "remote control goes to channels that end in the routing key"},
    Option{"body_encoding", Use::refused, R"("base64")", "bodies are always written in base64"},
    Option{"deadletter_queue", Use::refused, "null",
           "a message that no queue takes is an error at its sender; bad ones are in 'lovage dlq list'"},
    Option{"sentinel_kwargs", Use::refused, "{}", "passwords of sentinels cannot be given yet"},
    Option{"min_other_sentinels", Use::refused, "0", "the first sentinel that knows the master is believed"},
    Option{"queue_order_strategy", Use::refused, R"("round_robin")",
           "within a priority the queues take turns, so that none waits for ever behind another"},
    Option{"unacked_restore_limit", Use::harmless},
    Option{"unacked_restore_interval", Use::harmless},
    Option{"unacked_restore_throttle", Use::harmless},
    Option{"ack_emulation", Use::harmless},
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
    // How kombu's connections try again; see task_publish_retry_policy and broker_connection_max_retries.
    Option{"max_retries", Use::harmless},
    Option{"interval_start", Use::harmless},
    Option{"interval_step", Use::harmless},
    Option{"interval_max", Use::harmless},
    Option{"connect_retries_timeout", Use::harmless},
};

// Of kombu's transports for RabbitMQ.
constexpr std::array<std::string_view, 9> kAmqpOptions{"channel_max",  "client_properties", "confirm_publish",
                                                       "frame_max",    "heartbeat",         "login_method",
                                                       "read_timeout", "socket_settings",   "write_timeout"};

constexpr std::size_t kMostSteps = 32;  // lists that one worker serves
constexpr int kLargestPriority = 255;

std::vector<std::string_view> known_names() {
  std::vector<std::string_view> names;
  names.reserve(kOptions.size());
  for (const Option& option : kOptions) names.push_back(option.name);
  return names;
}

const Option* find_option(std::string_view name) {
  const auto* const found =
      std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& each) { return each.name == name; });
  return found == kOptions.end() ? nullptr : found;
}

bool is_of_amqp(std::string_view name) {
  return std::find(kAmqpOptions.begin(), kAmqpOptions.end(), name) != kAmqpOptions.end();
}

}  // namespace

RedisTransport::RedisTransport(const TransportOptions& options, std::string_view setting)
    : options_(options), setting_(setting) {
  for (const auto& [name, value] : options) {
    const Option* const option = find_option(name);
    if (option == nullptr && is_of_amqp(name)) {
      throw ConfigError(fmt::format("{}: '{}' is an option of RabbitMQ, Redis has none of that name", setting, name));
    }
    if (option == nullptr) {
      throw ConfigError(fmt::format("{}: unknown option '{}'{}", setting, name, did_you_mean(name, known_names())));
    }
    if (option->use == Use::refused && value != from_json(option->accepted)) {
      throw ConfigError(
          fmt::format("{}: '{}' cannot be other than {}: {}", setting, name, option->accepted, option->why));
    }
  }
}

const Value* RedisTransport::find(std::string_view name) const {
  const auto found = options_.find(std::string(name));
  return found == options_.end() ? nullptr : &found->second;
}

std::string RedisTransport::text(std::string_view name) const {
  const Value* const value = find(name);
  if (value == nullptr) return {};
  const std::string* const text = value->if_string();
  if (text == nullptr) throw ConfigError(fmt::format("{}: '{}' is a string", setting_, name));
  return *text;
}

std::optional<std::chrono::milliseconds> RedisTransport::seconds(std::string_view name) const {
  const Value* const value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto* const whole = value->if_integer();
  const auto* const real = value->if_real();
  const double seconds = whole != nullptr ? static_cast<double>(*whole) : real != nullptr ? *real : 0;
  constexpr double kLongest = 3.2e9;  // a century
  if (!(seconds > 0 && seconds <= kLongest)) {
    throw ConfigError(fmt::format("{}: '{}' is a number of seconds above 0", setting_, name));
  }
  return std::chrono::milliseconds(std::llround(std::ceil(seconds * 1000)));
}

bool RedisTransport::flag(std::string_view name, bool otherwise) const {
  const Value* const value = find(name);
  if (value == nullptr) return otherwise;
  const bool* const flag = value->if_bool();
  if (flag == nullptr) throw ConfigError(fmt::format("{}: '{}' is true or false", setting_, name));
  return *flag;
}

wire::QueueLayout RedisTransport::layout() const {
  wire::QueueLayout layout;
  if (find("sep") != nullptr) layout.separator = text("sep");
  if (layout.separator.empty()) throw ConfigError(fmt::format("{}: 'sep' is not empty", setting_));
  const Value* const given = find("priority_steps");
  if (given == nullptr) return layout;
  const Array* const steps = given->if_array();
  layout.steps.clear();
  for (const auto& value : steps != nullptr ? *steps : Array{}) {
    const auto* const step = value.if_integer();
    const std::int64_t least = layout.steps.empty() ? 0 : layout.steps.back() + 1;
    if (step == nullptr || *step < least || *step > kLargestPriority) {
      layout.steps.clear();
      break;
    }
    layout.steps.push_back(static_cast<int>(*step));
  }
  if (layout.steps.empty() || layout.steps.size() > kMostSteps) {
    throw ConfigError(
        fmt::format("{}: 'priority_steps' is a list of 1 to {} ascending numbers from 0 to {}, like [0, 3, 6, 9]",
                    setting_, kMostSteps, kLargestPriority));
  }
  return layout;
}

void check_no_options(const TransportOptions& options, std::string_view setting, std::string_view scheme) {
  if (options.empty()) return;
  const std::string& name = options.begin()->first;
  const bool is_of_redis = find_option(name) != nullptr;
  if (is_of_redis || is_of_amqp(name)) {
    throw ConfigError(fmt::format("{}: '{}' is an option of {}, {}:// has none", setting, name,
                                  is_of_redis ? "Redis" : "RabbitMQ", scheme));
  }
  throw ConfigError(fmt::format("{}: unknown option '{}'{}: {}:// has none", setting, name,
                                did_you_mean(name, known_names()), scheme));
}

}  // namespace lovage::engines
