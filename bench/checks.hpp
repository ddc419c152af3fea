// The workloads that bench/checks runs, each against one promise.
#pragma once

#include <lovage/value.hpp>

#include "options.hpp"

namespace lovage::bench {

// `tasks` messages are drained while `depth` more stay waiting behind them: the cost of a task must not depend on
// depth.
lovage::Object flat_workload(const Options& options);

// `tasks` messages with an eta a day away, sent while the worker runs: they wait in the broker, not in its memory.
lovage::Object eta_workload(const Options& options);

// `tasks` tasks that sleep, on `workers` workers: the share of the slots' time that was spent in tasks.
lovage::Object sleep_workload(const Options& options);

}  // namespace lovage::bench
