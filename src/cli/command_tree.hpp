// The commands and options as plain values, read from the parser that --help prints: what the shell completions and the
// man page are made of.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lovage::cli {

struct OptionInfo {
  std::vector<std::string> names;  // "-P", "--pool"; of an argument "KEY"
  std::string type;                // "POOL"; empty for a flag
  std::string initial;             // the value where none is given; often empty
  std::string help;
  std::string group;  // the heading in the help text
  bool many = false;  // an argument that may be repeated
};

struct CommandInfo {
  std::string path;  // "lovage dlq show"
  std::string name;  // "show"
  std::string help;
  std::vector<OptionInfo> options;
  std::vector<OptionInfo> arguments;
  std::vector<CommandInfo> commands;  // without the hidden ones
};

CommandInfo command_tree(const CLI::App& root);

// What every command takes, of a whole program's tree: the options that are not the root's own.
std::vector<OptionInfo> global_options(const CommandInfo& root);

}  // namespace lovage::cli
