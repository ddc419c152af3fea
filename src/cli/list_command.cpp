#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/command.hpp"
#include "cli/print.hpp"
#include "cli/queue_choice.hpp"
#include "cli/session.hpp"

namespace lovage::cli {
namespace {

// What the store knows, and the configured queues that it has not seen yet.
std::vector<broker::QueueInfo> all_queues(Session& session) {
  auto& broker = session.broker();
  auto found = take(broker.queues({}, management_deadline()));
  for (const auto& name : configured_queues(session.core().config())) {
    const bool known = std::any_of(found.begin(), found.end(), [&](const auto& queue) { return queue.name == name; });
    if (!known) found.push_back({.name = name});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

int list_queues(Session& session, bool json) {
  const auto queues = all_queues(session);
  if (json) {
    Array out;
    for (const auto& queue : queues) {
      out.push_back(
          {{"name", queue.name}, {"ready", queue.ready}, {"scheduled", queue.scheduled}, {"reserved", queue.reserved}});
    }
    print_json(std::move(out));
    return kOk;
  }
  std::vector<std::vector<std::string>> rows{{"Queue", "Ready", "Scheduled", "Reserved"}};
  for (const auto& queue : queues) {
    rows.push_back(
        {queue.name, std::to_string(queue.ready), std::to_string(queue.scheduled), std::to_string(queue.reserved)});
  }
  std::fputs(format_table(rows).c_str(), stdout);
  return kOk;
}

}  // namespace

Run declare_list(CLI::App& parser) {
  auto json = std::make_shared<bool>(false);
  parser.require_subcommand(0, 1);
  CLI::App* const queues = parser.add_subcommand("queues", "Queues: ready to run, waiting for their time, reserved");
  queues->fallthrough();
  queues->add_flag("-j,--json", *json, "Print JSON");
  return [json](Session& session) { return list_queues(session, *json); };
}

}  // namespace lovage::cli
