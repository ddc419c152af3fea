#include <CLI/CLI.hpp>
#include <algorithm>

#include <fmt/format.h>
#include <lovage/error.hpp>

#include "cli/command.hpp"
#include "cli/print.hpp"
#include "cli/queue_choice.hpp"
#include "cli/session.hpp"

namespace lovage::cli {
namespace {

struct Options {
  bool force = false;
  std::string queues;
  std::string exclude;
  bool json = false;
};

bool confirmed(const std::vector<std::string>& queues) {
  return confirm(
      fmt::format("WARNING: This will remove all tasks from {}: {}.\n"
                  "         There is no undo for this operation!\n\n"
                  "(to skip this prompt use the -f option)\n"
                  "Are you sure you want to delete all tasks? [y/N]: ",
                  queues.size() == 1 ? "queue" : "queues", fmt::join(queues, ", ")));
}

int purge(Session& session, const Options& options) {
  auto& broker = session.broker();
  const auto queues =
      choose_queues(session.core().config(), broker, split_names(options.queues), split_names(options.exclude));
  if (!options.force && !confirmed(queues)) {
    std::fputs("Aborted!\n", stderr);
    return kFailure;
  }
  std::uint64_t total = 0;
  Object counts;
  for (const auto& queue : queues) {
    const auto count = take(broker.purge(queue, management_deadline()));
    total += count;
    counts.set(queue, count);
  }
  if (options.json) {
    print_json({{"purged", total}, {"queues", std::move(counts)}});
  } else if (total > 0) {
    print(fmt::format("Purged {} from {}.", count_of(total, "message"), count_of(queues.size(), "known task queue")));
  } else {
    print(fmt::format("No messages purged from {}", count_of(queues.size(), "queue")));
  }
  return kOk;
}

}  // namespace

Run declare_purge(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  parser.add_flag("-f,--force", options->force, "Do not ask");
  parser.add_option("-Q,--queues", options->queues, "These queues alone, separated by commas")->type_name("NAMES");
  parser.add_option("-X,--exclude-queues", options->exclude, "All configured queues but these")->type_name("NAMES");
  parser.add_flag("-j,--json", options->json, "Print JSON");
  return [options](Session& session) { return purge(session, *options); };
}

}  // namespace lovage::cli
