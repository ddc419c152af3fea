// `lovage completion SHELL` and `lovage man`: hidden from the help text; packages run them to make their files.
#include <CLI/CLI.hpp>

#include <lovage/error.hpp>

#include "base/suggest.hpp"
#include "cli/choices.hpp"
#include "cli/command.hpp"
#include "cli/command_tree.hpp"
#include "cli/completion.hpp"
#include "cli/man_page.hpp"

namespace lovage::cli {
namespace {

int print_completion(const CLI::App& root, const std::string& shell) {
  const auto shells = choices_of("SHELL");
  if (shell.empty()) throw ConfigError("for which shell? bash, zsh or fish");
  if (std::ranges::find(shells, shell) == shells.end()) {
    throw ConfigError("no completion for '" + shell + "'" + did_you_mean(shell, shells) +
                      "; there are bash, zsh and fish");
  }
  std::fputs(completion(command_tree(root), shell).c_str(), stdout);
  return kOk;
}

}  // namespace

Run declare_completion(CLI::App& parser) {
  auto shell = std::make_shared<std::string>();
  parser.add_option("SHELL", *shell, "bash, zsh or fish")->type_name("SHELL");
  return [shell, &parser](Session&) { return print_completion(*parser.get_parent(), *shell); };
}

Run declare_man(CLI::App& parser) {
  return [&parser](Session&) {
    std::fputs(man_page(command_tree(*parser.get_parent())).c_str(), stdout);
    return kOk;
  };
}

}  // namespace lovage::cli
