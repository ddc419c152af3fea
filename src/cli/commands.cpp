#include <array>

#include "cli/command.hpp"

namespace lovage::cli {

std::span<const Command> commands() {
  static constexpr std::array<Command, 8> kCommands{{
      {"worker", "Run a worker: take tasks from the queues and run them", declare_worker, kFailure},
      {"call", "Send a task by name and print its id", declare_call, kFailure},
      {"result", "Print the result of a task, waiting for it", declare_result, kFailure},
      {"purge", "Remove all waiting messages from queues", declare_purge, kFailure},
      {"list", "List what the broker holds: queues", declare_list, kUnavailable},
      {"status", "List the workers that are alive", declare_status, kUnavailable},
      {"report", "Print versions and settings, for bug reports", declare_report, kUnavailable},
      {"dlq", "Look at, retry or drop dead letters", declare_dlq, kUnavailable},
  }};
  return kCommands;
}

}  // namespace lovage::cli
