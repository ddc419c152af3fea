#include <array>

#include "cli/command.hpp"

namespace lovage::cli {

std::span<const Command> commands() {
  static constexpr std::array<Command, 14> kCommands{{
      {"worker", "Run a worker: take tasks from the queues and run them", declare_worker},
      {"call", "Send a task by name and print its id", declare_call},
      {"result", "Print the result of a task, waiting for it", declare_result},
      {"purge", "Remove all waiting messages from queues", declare_purge},
      {"list", "List what the broker holds: queues", declare_list},
      {"status", "List the workers that are alive", declare_status},
      {"report", "Print versions and settings, for bug reports", declare_report},
      {"dlq", "Look at, retry or drop dead letters", declare_dlq},
      {"audit", "Account for every task: where each message is, and what is lost or doubled", declare_audit},
      {"explain", "Say where a task is and why it does not run", declare_explain},
      {"sweep", "Give back what dead workers held and move what is due, without a worker", declare_sweep},
      {"handback", "Return everything that Lovage itself keeps to the queues, for Python workers", declare_handback},
      {"completion", "Print a script that completes this command line: bash, zsh or fish", declare_completion, true},
      {"man", "Print the manual page", declare_man, true},
  }};
  return kCommands;
}

}  // namespace lovage::cli
