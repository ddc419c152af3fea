// Scripts that teach a shell to complete the command line.
#pragma once

#include <string>
#include <string_view>

#include "cli/command_tree.hpp"

namespace lovage::cli {

// For "bash", "zsh" or "fish". All three do the same: find the command that the words so far name, skipping the values
// of options; then offer its commands and options, or what the value of the option before may be.
std::string completion(const CommandInfo& root, std::string_view shell);

}  // namespace lovage::cli
