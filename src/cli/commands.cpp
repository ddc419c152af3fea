#include <array>

#include "cli/command.hpp"

namespace lovage::cli {

std::span<const Command> commands() {
  static constexpr std::array<Command, 10> kCommands{{
      {"worker", "Run a worker: take tasks from the queues and run them", declare_worker},
      {"call", "Send a task by name and print its id", declare_call},
      {"result", "Print the result of a task, waiting for it", declare_result},
      {"purge", "Remove all waiting messages from queues", declare_purge},
      {"list", "List what the broker holds: queues", declare_list},
      {"status", "List the workers that are alive", declare_status},
      {"report", "Print versions and settings, for bug reports", declare_report},
      {"dlq", "Look at, retry or drop dead letters", declare_dlq},
      {"completion", "Print a script that completes this command line: bash, zsh or fish", declare_completion, true},
      {"man", "Print the manual page", declare_man, true},
  }};
  return kCommands;
}

}  // namespace lovage::cli
