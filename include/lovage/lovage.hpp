// Everything that an application needs.
#pragma once

#include <lovage/app.hpp>
#include <lovage/async_result.hpp>
#include <lovage/canvas.hpp>
#include <lovage/config.hpp>
#include <lovage/context.hpp>
#include <lovage/convert.hpp>
#include <lovage/error.hpp>
#include <lovage/group_result.hpp>
#include <lovage/main.hpp>
#include <lovage/params.hpp>
#include <lovage/signature.hpp>
#include <lovage/stamping.hpp>
#include <lovage/states.hpp>
#include <lovage/task.hpp>
#include <lovage/task_options.hpp>
#include <lovage/value.hpp>
