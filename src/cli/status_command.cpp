#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <lovage/error.hpp>

#include "cli/command.hpp"
#include "cli/liveness.hpp"
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

int status(Session& session, const Options& options) {
  auto& broker = session.broker();
  for (const auto& warning : session.warnings()) std::fputs(("Warning: " + warning + "\n").c_str(), stderr);
  constexpr double kLongest = 1e9;
  const auto timeout =
      options.timeout
          ? std::chrono::milliseconds(static_cast<std::int64_t>(std::fmin(*options.timeout, kLongest) * 1000))
          : lease_tick(session.core().config());
  WorkersSeen seen;
  watch_workers(broker, split_names(options.destination), seen, Deadline::after(timeout));
  std::set<std::string> alive;
  for (const auto& [incarnation, worker] : seen) {
    if (worker.alive) alive.insert(worker.node_name);
  }
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
