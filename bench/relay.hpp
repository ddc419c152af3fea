// The yardstick of latencies on Redis: LPUSH -> another process in BRPOP -> PUBLISH -> here, no work.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "client/redis_sync.hpp"

namespace lovage::bench {

class Relay {
 public:
  // Forks the other process, which ends with this one.
  explicit Relay(const std::string& redis_url);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // One round trip, in milliseconds.
  double once();

 private:
  std::unique_ptr<client::RedisSync> sender_;
  std::unique_ptr<client::RedisSync> listener_;
  pid_t child_;
};

// Median of so many back to back.
double relay_p50_ms(const std::string& redis_url, int rounds);

}  // namespace lovage::bench
