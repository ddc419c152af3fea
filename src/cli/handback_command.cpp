// The way back to Python: what Lovage's own keys hold goes to the queues, where any Celery worker finds it.
#include <CLI/CLI.hpp>

#include <fmt/format.h>
#include <lovage/error.hpp>

#include "cli/command.hpp"
#include "cli/liveness.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"
#include "cli/sweeping.hpp"
#include "cli/whereabouts.hpp"

namespace lovage::cli {
namespace {

struct Options {
  bool force = false;
  bool json = false;
};

// Names those that are seen to live.
std::string live_workers(broker::Broker& broker, std::chrono::milliseconds tick) {
  WorkersSeen workers;
  watch_workers(broker, {}, workers, Deadline::after(tick));
  std::string names;
  for (const auto& [incarnation, worker] : workers) {
    if (worker.alive) names += (names.empty() ? "" : ", ") + worker.node_name;
  }
  return names;
}

// Work that settlements left to workers, in Lovage's own words.
std::uint64_t continuations_in(broker::Broker& broker) {
  std::uint64_t count = 0;
  take(broker.survey([&](const broker::Sighting& sighting) { count += sighting.is_continuation ? 1 : 0; },
                     kSurveyPatience));
  return count;
}

int handback(Session& session, const Options& options) {
  auto& broker = session.broker();
  const Config& config = session.core().config();
  const std::string live = live_workers(broker, lease_tick(config));
  if (!live.empty() && !options.force) {
    throw Error(
        fmt::format("live workers serve this store: {}. They would take what is handed back and schedule it "
                    "again: stop them first, or give --force",
                    live));
  }
  SweepCounts counts;
  Sweeping(broker, config.worker_lease).until_the_dead_are_known(counts);
  counts.released += take(broker.release(broker::Broker::Scheduled::all, management_deadline()));
  const std::uint64_t continuations = continuations_in(broker);
  if (options.json) {
    Object out = as_json(counts);
    out.set("continuations", continuations);
    print_json(std::move(out));
    return kOk;
  }
  std::uint64_t given_back = 0;
  for (const auto& dead : counts.dead) {
    given_back += dead.messages;
    print(fmt::format("Gave {} of {} back, which is dead.", count_of(dead.messages, "message"), dead.node_name));
  }
  print(fmt::format("Handed {} back to the queues: {} from dead workers, {} from schedules.",
                    count_of(given_back + counts.released, "message"), given_back, counts.released));
  if (!live.empty()) print("What " + live + " holds stays there.");
  if (continuations > 0) {
    print(
        fmt::format("{} of workflows stay{}: no Python worker can carry them out. A Lovage worker that serves their "
                    "queues does; lovage audit lists them.",
                    count_of(continuations, "continuation"), continuations == 1 ? "s" : ""));
  }
  return kOk;
}

}  // namespace

Run declare_handback(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  parser.add_flag("-f,--force", options->force, "Although workers are alive");
  parser.add_flag("-j,--json", options->json, "Print JSON");
  return [options](Session& session) { return handback(session, *options); };
}

}  // namespace lovage::cli
