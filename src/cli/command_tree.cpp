#include "cli/command_tree.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>

#include "cli/globals.hpp"

namespace lovage::cli {
namespace {

OptionInfo describe(const CLI::Option& option) {
  OptionInfo out;
  for (const auto& name : option.get_snames()) out.names.push_back('-' + name);
  for (const auto& name : option.get_lnames()) out.names.push_back("--" + name);
  if (option.get_positional()) out.names = {option.get_name()};
  // The checks of a value are part of what CLI11 calls its type: "INT:POSITIVE".
  if (option.get_items_expected_max() != 0) {
    const std::string type = option.get_type_name();
    out.type = type.substr(0, type.find(':'));
  }
  out.initial = option.get_default_str();
  out.help = option.get_description();
  out.group = option.get_group();
  out.many = option.get_items_expected_max() > 1;
  return out;
}

CommandInfo describe(const CLI::App& app, const std::string& above) {
  CommandInfo out;
  out.name = app.get_name();
  out.path = above.empty() ? out.name : above + ' ' + out.name;
  out.help = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    (option->get_positional() ? out.arguments : out.options).push_back(describe(*option));
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); })) {
    out.commands.push_back(describe(*sub, out.path));
  }
  return out;
}

}  // namespace

CommandInfo command_tree(const CLI::App& root) {
  return describe(root, "");
}

std::vector<OptionInfo> global_options(const CommandInfo& root) {
  std::vector<OptionInfo> out;
  std::ranges::copy_if(root.options, std::back_inserter(out),
                       [](const OptionInfo& option) { return option.group == kGlobalOptions; });
  return out;
}

}  // namespace lovage::cli
