// The workload "full": sends, latency, drain, memory, start-up, and the yardsticks beside them.
#pragma once

#include <lovage/value.hpp>

#include "options.hpp"

namespace lovage::bench {

lovage::Object full_workload(const Options& options);

}  // namespace lovage::bench
