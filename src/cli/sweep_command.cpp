// What a worker's sweeper does, without a worker and without an app: for stores that only Python workers serve, and for
// an operator who will not wait for the next worker.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <lovage/error.hpp>

#include "cli/command.hpp"
#include "cli/liveness.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"
#include "cli/sweeping.hpp"

namespace lovage::cli {
namespace {

struct Options {
  bool once = false;
  std::optional<double> every;
  bool json = false;
};

void say(const SweepCounts& counts, bool json) {
  if (json) {
    print_json(as_json(counts));
  } else {
    for (const auto& dead : counts.dead) {
      print(fmt::format("Gave {} of {} back, which is dead.", count_of(dead.messages, "message"), dead.node_name));
    }
    if (counts.released > 0)
      print(fmt::format("Moved {} that {} due.", count_of(counts.released, "message"),
                        counts.released == 1 ? "was" : "were"));
  }
  std::fflush(stdout);
}

// Until somebody ends the process: nothing is held that its end could lose.
[[noreturn]] void sweep_for_ever(Sweeping& sweeping, std::chrono::milliseconds every, bool json) {
  bool failing = false;
  for (;;) {
    SweepCounts counts;
    try {
      sweeping.look(counts);
      failing = false;
    } catch (const ConnectionError& error) {
      if (!std::exchange(failing, true)) print_error(fmt::format("{}; trying again", error.what()));
    }
    if (!counts.dead.empty() || counts.released > 0) say(counts, json);
    std::this_thread::sleep_for(every);
  }
}

int sweep(Session& session, const Options& options) {
  constexpr double kLongest = 1e6;
  const auto lease = session.core().config().worker_lease;
  std::chrono::milliseconds every = std::min<std::chrono::milliseconds>(lease / 3, std::chrono::seconds(1));
  if (options.every)
    every = std::chrono::milliseconds(static_cast<std::int64_t>(std::min(*options.every, kLongest) * 1000));
  Sweeping sweeping(session.broker(), lease);
  if (!options.once) sweep_for_ever(sweeping, every, options.json);
  SweepCounts counts;
  sweeping.until_the_dead_are_known(counts);
  say(counts, options.json);
  if (!options.json && counts.dead.empty() && counts.released == 0) print("Nothing to give back.");
  return kOk;
}

}  // namespace

Run declare_sweep(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  parser.add_flag("--once", options->once, "Look for as long as it takes to tell the dead from the living, then end");
  parser.add_option("--every", options->every, "Look so often; default: each second")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber);
  parser.add_flag("-j,--json", options->json, "Print JSON, a line for each look that moved something");
  return [options](Session& session) { return sweep(session, *options); };
}

}  // namespace lovage::cli
