// broker_transport_options and result_backend_transport_options: which are known at which engine, which are honoured,
// and what they mean.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "wire/queues.hpp"

namespace lovage::engines {

using TransportOptions = std::map<std::string, Value>;

// The options as they stand under one setting. Every question throws ConfigError for a value of another type.
class RedisTransport {
 public:
  // Throws ConfigError for an option that nobody knows (naming the nearest) or that belongs to another engine, and for
  // one of kombu's that Lovage does not honour although ignoring it would lose messages or send them elsewhere.
  RedisTransport(const TransportOptions& options, std::string_view setting);

  // Empty or nothing: not given.
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name, bool otherwise) const;
  [[nodiscard]] std::optional<std::chrono::milliseconds> seconds(std::string_view name) const;
  // priority_steps and sep, or kombu's defaults.
  [[nodiscard]] wire::QueueLayout layout() const;

 private:
  [[nodiscard]] const Value* find(std::string_view name) const;

  const TransportOptions& options_;
  const std::string_view setting_;
};

// For engines that have no options: throws ConfigError for any.
void check_no_options(const TransportOptions& options, std::string_view setting, std::string_view scheme);

}  // namespace lovage::engines
