// Workloads of several processes on one store, each against one promise that a lone worker does not show.
#pragma once

#include <lovage/value.hpp>

#include "options.hpp"

namespace lovage::bench {

// `producers` processes send `tasks` messages in bulk while `workers` worker processes drain them: what the workers
// get done while all of them run.
Object crowd_workload(const Options& options);

// A worker takes and settles `tasks` messages, each step a transaction of its own, beside a process that sends singly
// as fast as it can: how long such a turn takes, the wait for the other's included.
Object turn_workload(const Options& options);

}  // namespace lovage::bench
