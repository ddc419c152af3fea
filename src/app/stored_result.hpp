// A result as read from the backend, or made in this process by eager mode.
#pragma once

#include <optional>
#include <string>

#include <lovage/value.hpp>

namespace lovage::detail {

struct StoredResult {
  std::string state;
  Value result;
  std::optional<std::string> traceback = {};
  Value children = {};  // an array of result tuples, or null
};

}  // namespace lovage::detail
