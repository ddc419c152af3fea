// How many more messages a worker asks its broker for. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lovage::worker {

// What the worker holds at this moment.
struct Load {
  std::size_t slots = 0;          // of the pool
  std::size_t appetite = 0;       // what the pool would like to hold, running ones included
  std::size_t in_pool = 0;        // handed to the pool, without an outcome yet
  std::size_t not_started = 0;    // of these, what no slot has taken yet; and suspects that wait for their record
  std::size_t bytes_waiting = 0;  // of the envelopes of what has not started
  std::size_t unsettled = 0;      // finished, but the broker has not confirmed it yet
};

struct CreditLimits {
  std::size_t prefetch_multiplier = 1;  // worker_prefetch_multiplier; 0: as much as kMostHeld
  std::uint64_t prefetch_bytes = 16u << 20;
  bool fair = false;  // -O fair: never more than the slots
};

struct Credit {
  std::size_t messages = 0;
  std::size_t bytes = 0;
  friend bool operator==(const Credit&, const Credit&) = default;
};

// No worker holds more messages than this, whatever the settings say.
inline constexpr std::size_t kMostHeld = 4'096;

Credit credit_for(const Load& load, const CreditLimits& limits) noexcept;

}  // namespace lovage::worker
