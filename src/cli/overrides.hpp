// `lovage worker -- key=value ...`: settings given on the command line, as Celery writes them.
#pragma once

#include <string>
#include <string_view>

#include <lovage/value.hpp>

namespace lovage::cli {

struct Override {
  std::string setting;  // "worker_prefetch_multiplier"
  Value value;
  bool typed = false;  // written with a cast, "(int)4"; else the text, for the setting's own type
};

// "task_acks_late=1", "worker.concurrency=4" (ns.key), ".concurrency=4" (the command's own namespace),
// with casts "(int)4", "(float)1.5", "(bool)no", "(str)x", "(list)[1, 2]", "(dict){"a": 1}" before the value.
// Throws ConfigError.
Override parse_override(std::string_view text, std::string_view own_namespace);

}  // namespace lovage::cli
