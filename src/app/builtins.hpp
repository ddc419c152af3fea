// The tasks that every Celery worker knows, as far as workflows need them: celery.map, celery.starmap and
// celery.accumulate.
#pragma once

#include "app/registry.hpp"

namespace lovage::app {

// The registry outlives its tasks' runs.
void add_builtins(Registry& registry);

// "celery.map", ...
bool is_builtin(std::string_view task) noexcept;

}  // namespace lovage::app
