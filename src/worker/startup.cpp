#include "worker/startup.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/logging.hpp"

namespace lovage::worker {

Startup::Startup(Plan plan, Done done) : plan_(std::move(plan)), done_(std::move(done)), thread_([this] { run(); }) {}

Startup::~Startup() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Startup::run() {
  done_(reach_all());
}

Result<Startup::Ready> Startup::reach_all() {
  Ready ready;
  const std::string url = plan_.broker.display_url();
  auto reached = reach(url, [this] { return check_broker(); });
  if (reached) reached = reach(url, [this] { return prepare_queues(); });
  if (reached && plan_.backend != nullptr) {
    const std::string results = plan_.backend->display_url();
    reached = reach(results, [this] { return plan_.backend->check(Deadline::after(plan_.timeout)); });
    if (reached) {
      reached = reach(results, [&]() -> Result<void> {
        auto same = same_engine();
        if (!same) return tl::unexpected(same.error());
        ready.one_engine = *same;
        return {};
      });
    }
  }
  if (!reached) return tl::unexpected(reached.error());
  return ready;
}

Result<void> Startup::reach(const std::string& url, const std::function<Result<void>()>& attempt) {
  for (int tries = 1;; ++tries) {
    auto outcome = attempt();
    if (outcome) return outcome;
    const bool unusable = outcome.error().code == Errc::misconfigured;
    const std::string what =
        fmt::format("consumer: Cannot {} {}: {}.", unusable ? "work on" : "connect to", url, outcome.error().message);
    const bool last = plan_.max_retries > 0 && tries > plan_.max_retries;
    if (!plan_.retry || last || !is_retryable(outcome.error().code)) {
      log::critical(what);
      return outcome;
    }
    const std::chrono::seconds delay(std::min(2 * tries, 32));
    const std::string of = plan_.max_retries > 0 ? fmt::format("/{}", plan_.max_retries) : std::string();
    log::error(fmt::format("{} Trying again in {}.00 seconds... ({}{})", what, delay.count(), tries, of));
    if (!pause(delay)) return outcome;
  }
}

bool Startup::pause(std::chrono::seconds length) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, length, [this] { return stopping_; });
}

Result<void> Startup::check_broker() {
  const auto report = plan_.broker.check(Deadline::after(plan_.timeout));
  if (!report) return tl::unexpected(report.error());
  if (!report->refusal.empty()) return fail(Errc::misconfigured, report->refusal);
  if (plan_.say_warnings) {
    for (const auto& warning : report->warnings) log::warning(warning);
  }
  return {};
}

Result<void> Startup::prepare_queues() {
  if (auto declared = plan_.broker.declare(plan_.queues, Deadline::after(plan_.timeout)); !declared) return declared;
  if (!plan_.purge) return {};
  std::uint64_t erased = 0;
  for (const auto& queue : plan_.queues) {
    const auto purged = plan_.broker.purge(queue.name, Deadline::after(plan_.timeout));
    if (!purged) return tl::unexpected(purged.error());
    erased += *purged;
  }
  log::info(fmt::format("purge: Erased {} message{} from the queue{}.", erased, erased == 1 ? "" : "s",
                        plan_.queues.size() == 1 ? "" : "s"));
  return {};
}

Result<bool> Startup::same_engine() {
  const auto broker = plan_.broker.identity(Deadline::after(plan_.timeout));
  if (!broker) return tl::unexpected(broker.error());
  const auto backend = plan_.backend->identity(Deadline::after(plan_.timeout));
  if (!backend) return tl::unexpected(backend.error());
  std::string why = "are in two engines";
  if (*broker == *backend) {
    const auto probed = plan_.broker.probe_results(Deadline::after(plan_.timeout));
    if (probed) return true;
    if (probed.error().code != Errc::refused && probed.error().code != Errc::misconfigured) {
      return tl::unexpected(probed.error());
    }
    why = fmt::format("are on one server, but no script can reach both ({})", probed.error().message);
  }
  log::warning(fmt::format(
      "results ({}) and messages ({}) {}: a worker that dies between storing a result and acknowledging its message "
      "leaves a task that runs again, and whose callbacks are sent again",
      plan_.backend->display_url(), plan_.broker.display_url(), why));
  return false;
}

}  // namespace lovage::worker
