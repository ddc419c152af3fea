// The app of the pool tests: loaded by the test program and by its fork server alike.
#pragma once

#include "app/registry.hpp"

namespace lovage::execution {

void add_test_tasks(app::Registry& registry);

}  // namespace lovage::execution
