// The manual page, lovage(1).
#pragma once

#include <string>

#include "cli/command_tree.hpp"

namespace lovage::cli {

// In man(7)'s macros. Nothing in it depends on the day or the machine, so that builds can be repeated.
std::string man_page(const CommandInfo& root);

}  // namespace lovage::cli
