#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <lovage/error.hpp>

#include "cli/command.hpp"
#include "cli/print.hpp"
#include "cli/queue_choice.hpp"
#include "cli/session.hpp"

namespace lovage::cli {
namespace {

struct Options {
  std::optional<double> timeout;
  std::string destination;
  bool json = false;
};

// Workers renew their lease every third of it: who is alive is seen to count within that time.
std::chrono::milliseconds default_timeout(const Config& config) {
  return config.worker_lease / 3 + std::chrono::seconds(1);
}

// Looks until every registered worker was seen to count, or the time is over. Returns the names of those that did.
std::set<std::string> live_workers(broker::Broker& broker, const std::vector<std::string>& wanted, Deadline deadline) {
  constexpr std::chrono::milliseconds kPause{100};
  std::map<std::string, std::uint64_t> first_seen;  // by incarnation
  std::set<std::string> alive;
  while (true) {
    bool all_counted = true;
    for (const auto& worker : take(broker.workers(management_deadline()))) {
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), worker.node_name) == wanted.end()) continue;
      const auto [seen, is_new] = first_seen.emplace(worker.incarnation.get(), worker.counter);
      if (!is_new && worker.counter > seen->second) {
        alive.insert(worker.node_name);
      } else if (!alive.contains(worker.node_name)) {
        all_counted = false;
      }
    }
    if (all_counted || deadline.passed()) return alive;
    std::this_thread::sleep_for(std::min<Duration>(kPause, deadline.remaining()));
  }
}

int status(Session& session, const Options& options) {
  auto& broker = session.broker();
  for (const auto& warning : session.warnings()) std::fputs(("Warning: " + warning + "\n").c_str(), stderr);
  constexpr double kLongest = 1e9;
  const auto timeout =
      options.timeout
          ? std::chrono::milliseconds(static_cast<std::int64_t>(std::fmin(*options.timeout, kLongest) * 1000))
          : default_timeout(session.core().config());
  const auto alive = live_workers(broker, split_names(options.destination), Deadline::after(timeout));
  if (alive.empty()) {
    print_error("No nodes replied within time constraint");
    return kUnavailable;
  }
  if (options.json) {
    Object nodes;
    for (const auto& name : alive) nodes.set(name, Value{{"ok", "pong"}});
    print_json(std::move(nodes));
    return kOk;
  }
  const bool color = !session.globals().no_color;
  for (const auto& name : alive) {
    print(fmt::format("->  {}: {}", paint(name, Colour::bold_cyan, color), paint("OK", Colour::bold_green, color)));
  }
  if (!session.globals().quiet) print(fmt::format("\n{} online.", count_of(alive.size(), "node")));
  return kOk;
}

}  // namespace

Run declare_status(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  parser
      .add_option("-t,--timeout", options->timeout, "How long to look for signs of life; default: until all gave one")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
  parser.add_option("-d,--destination", options->destination, "These workers alone, separated by commas")
      ->type_name("NAMES");
  parser.add_flag("-j,--json", options->json, "Print JSON");
  return [options](Session& session) { return status(session, *options); };
}

}  // namespace lovage::cli
