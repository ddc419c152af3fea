// The app that the web service sends through and the worker runs: `celery_app.py` of a Python project.
#pragma once

#include <lovage/app.hpp>

namespace shop {

// Made on first use, so that the order of static initialisation does not matter.
lovage::App& celery_app();

}  // namespace shop
