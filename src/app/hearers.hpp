// Who hears of it when a part of a workflow can never run.
#pragma once

#include <string>

#include <lovage/value.hpp>

namespace lovage::app {

// The errbacks that hear of it when a signature cannot run: its own or, where it is a workflow that has none, those of
// the task whose result is the workflow's (of a group, the first). `id`, that task's, is what they are told.
struct Hearers {
  Array errbacks;
  std::string id;
};
Hearers hearers_of(const Value& signature);

}  // namespace lovage::app
