// The life of one child of a prefork pool: takes requests from its socket, claims, runs, answers.
#pragma once

#include "app/registry.hpp"
#include "net/fd.hpp"

namespace lovage::execution {

// How a child leaves after its last task (max_tasks_per_child, max_memory_per_child). Celery's code.
inline constexpr int kRecycledExitCode = 0x9B;

// Returns the exit code: 0 when the worker has closed its end.
int run_child(net::Fd socket, net::Fd pages, const app::Registry& registry);

}  // namespace lovage::execution
