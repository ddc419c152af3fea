// The workloads of workflows, on one worker that is idle before.
#pragma once

#include <lovage/value.hpp>

#include "options.hpp"

namespace lovage::bench {

// `tasks` no-op tasks as a plain group: built, sent and done.
lovage::Object group_workload(const Options& options);

// The same as the header of a chord, until the result of its body is here; in turn with the plain group, five times
// each.
lovage::Object chord_workload(const Options& options);

// A chain of `tasks` steps, stored once: what a step takes, in relays of bare.hpp where the store has them.
lovage::Object chain_workload(const Options& options);

}  // namespace lovage::bench
