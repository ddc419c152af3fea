// Who hears of it when a part of a workflow can never run.
#pragma once

#include <string>

#include <lovage/value.hpp>

namespace lovage::app {

// The errbacks that hear of it when a signature cannot run: those that would have been called had its first task failed
// (of a chord, its body), the nearest first. They are told `id`, that of the task whose result is the whole's.
struct Hearers {
  Array errbacks;
  std::string id;
};
Hearers hearers_of(const Value& signature);

}  // namespace lovage::app
