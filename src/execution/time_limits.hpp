// When running jobs pass their time limits: one timer for all of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/clock.hpp"
#include "base/unique_function.hpp"
#include "execution/request.hpp"
#include "net/loop.hpp"

namespace lovage::execution {

// Loop thread only.
class TimeLimits {
 public:
  TimeLimits(net::Loop& loop, UniqueFunction<void(JobId)> on_soft, UniqueFunction<void(JobId)> on_hard)
      : loop_(loop), on_soft_(std::move(on_soft)), on_hard_(std::move(on_hard)) {}

  // The job starts now. Costs nothing for a job without limits.
  void started(JobId job, std::optional<std::chrono::milliseconds> soft, std::optional<std::chrono::milliseconds> hard);
  void ended(JobId job);

 private:
  struct Limit {
    JobId job = 0;
    bool hard = false;
  };
  void arm();
  void fire();

  net::Loop& loop_;
  UniqueFunction<void(JobId)> on_soft_;
  UniqueFunction<void(JobId)> on_hard_;
  std::multimap<Monotonic, Limit> limits_;
  std::unordered_multimap<JobId, std::multimap<Monotonic, Limit>::iterator> by_job_;
  Monotonic armed_for_ = Monotonic::max();
  net::Registration timer_;
};

}  // namespace lovage::execution
