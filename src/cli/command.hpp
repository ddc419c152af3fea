// A command of the program: one entry of the table, one file each.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "base/exit_code.hpp"

namespace CLI {
class App;
}

namespace lovage::cli {

class Session;

// Carries the parsed command out and returns the exit code. Throws lovage::Error.
using Run = std::function<int(Session&)>;

struct Command {
  std::string_view name;
  std::string_view summary;
  // Adds the command's options and arguments to its parser, and returns what runs it afterwards.
  Run (*declare)(CLI::App& parser);
  bool hidden = false;  // not in the help text
};

// In the order of the help text.
std::span<const Command> commands();

Run declare_worker(CLI::App& parser);
Run declare_call(CLI::App& parser);
Run declare_result(CLI::App& parser);
Run declare_purge(CLI::App& parser);
Run declare_list(CLI::App& parser);
Run declare_status(CLI::App& parser);
Run declare_report(CLI::App& parser);
Run declare_dlq(CLI::App& parser);
Run declare_audit(CLI::App& parser);
Run declare_explain(CLI::App& parser);
Run declare_sweep(CLI::App& parser);
Run declare_handback(CLI::App& parser);
Run declare_completion(CLI::App& parser);
Run declare_man(CLI::App& parser);

}  // namespace lovage::cli
