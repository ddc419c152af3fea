// The app of the worker's component tests: the same in the test, in its worker and in its fork server.
#pragma once

#include <string>

#include "app/core.hpp"

namespace lovage::worker::testing {

// "add" x y; "fail"; "flaky" (fails by retry until the given try); "die" (kills its process); "progress";
// "block" (until a file exists); "note" appends its argument to a file.
void add_tasks(app::Core& core);

}  // namespace lovage::worker::testing
