// What Celery's command line has and this version does not: refused with the reason, never accepted in silence.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lovage::cli {

struct NotYet {
  std::string_view names;  // "-E/--task-events/--events", or a command
  std::string_view why;    // "this version sends no events"
};

std::span<const NotYet> commands_not_yet();
std::span<const NotYet> worker_options_not_yet();

// "-E/--task-events/--events is not there yet: this version sends no events", when `word` is one of the names (an
// option may carry its value: "--autoscale=4,1", "-B").
std::optional<std::string> not_yet(std::string_view word, std::span<const NotYet> table);

}  // namespace lovage::cli
