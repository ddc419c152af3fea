// What the two programs share: the app and its task, as in a project of a user's own.
#pragma once

#include <lovage/lovage.hpp>

inline lovage::App app("packaged");
inline auto add = app.task(
    "tasks.add", [](int x, int y) { return x + y; }, lovage::params("x", "y"));
