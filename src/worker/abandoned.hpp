// What will never run because something before it has failed: who waits for it is told, and the chord that it is part
// of counts it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <lovage/value.hpp>

namespace lovage::worker {

struct AbandonedTask {
  std::string id;
  std::string task;
  std::optional<std::string> group_id;
};

struct AbandonedPart {
  std::string task_id;
  std::optional<std::int64_t> index;
};

struct Abandoned {
  std::vector<AbandonedTask> tasks;  // each once, those that have an id
  // The one chord around the signature, where it has one: its parts that now end without having run.
  std::string group_id;
  Value body;
  std::vector<AbandonedPart> parts;
};

// Adds what the signature leads to. It comes from the wire: nesting beyond 50 is left out.
void abandon(const Value& signature, Abandoned& abandoned);

}  // namespace lovage::worker
