#include "worker/worker_process.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>

#include "base/exit_code.hpp"
#include "base/logging.hpp"
#include "base/notify.hpp"
#include "execution/make_pool.hpp"
#include "worker/banner.hpp"
#include "worker/node_name.hpp"
#include "worker/queue_selection.hpp"

namespace lovage::worker {
namespace {

// How long a worker that ends waits for the broker: it may not answer, or have a long schedule to hand back.
constexpr std::chrono::seconds kPatience{10};
// How often messages go back whose settlement the broker refused.
constexpr std::chrono::seconds kReturnRefused{10};

std::size_t concurrency_of(const Config& config) {
  if (config.worker_pool == "solo") return 1;
  if (config.worker_concurrency > 0) return static_cast<std::size_t>(config.worker_concurrency);
  return std::max(1U, std::thread::hardware_concurrency());
}

CreditLimits credit_limits(const Config& config, bool fair) {
  return {.prefetch_multiplier = static_cast<std::size_t>(std::max(0, config.worker_prefetch_multiplier)),
          .prefetch_bytes = config.worker_prefetch_bytes,
          .fair = fair};
}

bool term_is_quit() {
  const char* const remap = std::getenv("REMAP_SIGTERM");  // before any thread that could change it
  return remap != nullptr && std::string_view(remap) == "SIGQUIT";
}

int exit_code_of(Errc code) {
  if (code == Errc::misconfigured) return kUsage;
  return is_retryable(code) ? kUnavailable : kFailure;
}

// Celery writes these to stderr, beside the log.
void say(const WorkerOptions& options, const std::string& text) {
  if (!options.embedded) std::fputs((text + "\n").c_str(), stderr);
}

std::unique_ptr<execution::Pool> pool_for(app::Core& app, net::Loop& loop, const Facts& facts, std::size_t concurrency,
                                          const WorkerOptions& options) {
  const Config& config = app.config();
  if (execution::runs_in_other_processes(config.worker_pool) && app.broker().display_url().starts_with("memory:"))
    throw ConfigError(
        fmt::format("the memory broker lives in one process: it cannot serve the pool '{}'; use threads or solo",
                    config.worker_pool));
  return execution::make_pool(config.worker_pool, {.registry = app.registry(),
                                                   .config = config,
                                                   .loop = loop,
                                                   .concurrency = concurrency,
                                                   .hostname = facts.node_name,
                                                   .fair = options.fair,
                                                   .fork_server_arguments = options.fork_server_arguments});
}

}  // namespace

WorkerProcess::WorkerProcess(app::Core& app, const WorkerOptions& options)
    : app_(app),
      options_(options),
      queues_(select_queues(app.config(), options.queues, options.exclude_queues)),
      facts_(make_facts(app, expand_node_name(options.hostname, host_name()), app.backend() != nullptr)),
      concurrency_(concurrency_of(app.config())),
      shutdown_({.soft_timeout = app.config().worker_soft_shutdown_timeout, .term_is_quit = term_is_quit()}),
      outbox_(app.broker(), app.backend(), [this](UniqueFunction<void()> work) { loop_.post(std::move(work)); }),
      pool_(pool_for(app, loop_, facts_, concurrency_, options)),
      dispatcher_({.facts = facts_,
                   .clock = app.wall_clock(),
                   .pool = *pool_,
                   .outbox = outbox_,
                   .limits = credit_limits(app.config(), options.fair),
                   .is_revoked = {}},
                  *this) {}

WorkerProcess::~WorkerProcess() = default;

// --- Start -------------------------------------------------------------------------------------------

int WorkerProcess::run() {
  if (!options_.quiet) print_banner();
  loop_.post([this] {
    if (!options_.embedded) watch_signals();
    refused_timer_ = loop_.every(kReturnRefused, [this] { dispatcher_.return_refused(); });
    const Config& config = app_.config();
    startup_ = std::make_unique<Startup>(
        Startup::Plan{.broker = app_.broker(),
                      .backend = app_.backend(),
                      .queues = queues_,
                      .purge = options_.purge,
                      .max_retries = config.broker_connection_max_retries,
                      .retry = config.broker_connection_retry_on_startup,
                      .timeout = config.broker_connection_timeout,
                      .say_warnings = !options_.embedded},
        [this](const Result<Startup::Ready>& ready) { loop_.post([this, ready] { on_started_up(ready); }); });
    pool_->start(dispatcher_, [this] {
      pool_ready_ = true;
      begin_if_ready();
    });
  });
  loop_.run();
  signals_.reset();
  refused_timer_.reset();
  startup_.reset();
  dispatcher_.detach();
  incarnation_.reset();
  return failed_start_.value_or(shutdown_.exit_code());
}

void WorkerProcess::print_banner() const {
  BannerFacts facts{.node_name = facts_.node_name,
                    .app = fmt::format("{}:{}", app_.name(), fmt::ptr(&app_)),
                    .transport = app_.broker().display_url(),
                    .results = app_.backend() != nullptr ? app_.backend()->display_url() : "disabled://",
                    .concurrency = concurrency_,
                    .pool = app_.config().worker_pool,
                    .queues = queues_,
                    .tasks = {}};
  if (options_.loglevel <= log::Level::info) facts.tasks = app_.registry().names();
  std::fputs(banner(facts).c_str(), stdout);
  std::fflush(stdout);
}

void WorkerProcess::watch_signals() {
  signals_ = loop_.on_signals({SIGTERM, SIGINT, SIGQUIT, SIGHUP}, [this](int number) {
    on_signal(number == SIGINT    ? Shutdown::Signal::interrupt
              : number == SIGQUIT ? Shutdown::Signal::quit
                                  : Shutdown::Signal::term);
  });
}

void WorkerProcess::on_started_up(const Result<Startup::Ready>& ready) {
  if (shutdown_.stopping()) return;
  if (!ready) {
    failed_start_ = exit_code_of(ready.error().code);
    shutdown_.on_broken();
    return drain();
  }
  one_engine_ = ready->one_engine;
  started_up_ = true;
  begin_if_ready();
}

void WorkerProcess::begin_if_ready() {
  if (started_up_ && pool_ready_ && !shutdown_.stopping()) start_incarnation();
}

void WorkerProcess::start_incarnation() {
  auto pair = app_.broker().make_consumer(loop_, {.queues = queues_,
                                                  .node_name = facts_.node_name,
                                                  .lease = app_.config().worker_lease,
                                                  .predecessor = std::exchange(lost_, {})});
  incarnation_ = std::make_unique<Incarnation>();
  incarnation_->number = ++incarnations_;
  incarnation_->consumer = std::move(pair.consumer);
  incarnation_->lease = std::move(pair.lease);
  broker::Consumer& consumer = *incarnation_->consumer;
  if (one_engine_) {
    incarnation_->settler = std::make_unique<AtomicSettler>(consumer);
  } else {
    incarnation_->settler = std::make_unique<OrderedSettler>(consumer, outbox_, dispatcher_);
  }
  dispatcher_.attach(consumer, *incarnation_->settler);
  consumer.start(dispatcher_);
  dispatcher_.begin();
}

// --- The connection ----------------------------------------------------------------------------------

void WorkerProcess::on_connected() {
  reconnects_ = 0;
  log::info(fmt::format("Connected to {}", app_.broker().display_url()));
  if (!incarnation_->lease_thread) {
    incarnation_->lease_thread = std::make_unique<LeaseThread>(
        std::move(incarnation_->lease), app_.config().worker_lease,
        LeaseThread::Events{.on_renewed = [this](Monotonic until) { pool_->allow_starts_until(until); },
                            .on_lost =
                                [this, number = incarnation_->number] {
                                  loop_.post([this, number] {
                                    if (incarnation_ && incarnation_->number == number && !closing_)
                                      dispatcher_.on_lost();
                                  });
                                }});
  }
  if (std::exchange(ready_said_, true)) return;
  log::info(fmt::format("{} ready.", facts_.node_name));
  if (!options_.embedded) notify_service_manager("READY=1");
  if (options_.on_ready) options_.on_ready();
}

void WorkerProcess::on_disconnected(const Failure& why, std::chrono::milliseconds retry_in) {
  if (reconnects_++ == 0) log::warning("consumer: Connection to broker lost. Trying to re-establish the connection...");
  log::error(fmt::format("consumer: Cannot connect to {}: {}. Trying again in {:.2f} seconds... ({})",
                         app_.broker().display_url(), why.message, static_cast<double>(retry_in.count()) / 1e3,
                         reconnects_));
}

void WorkerProcess::on_incarnation_lost() {
  // The incarnation is not registered any more; who removed it, a sweeper or the loss of all data, it cannot tell.
  log::warning(
      "consumer: this worker was declared lost: the broker does not know it any more. What it held is run by others, "
      "unless the broker came back without its data. Starting anew.");
  loop_.post([this, lost = incarnation_->number] { replace_incarnation(lost); });
}

void WorkerProcess::replace_incarnation(std::uint64_t lost) {
  if (!incarnation_ || incarnation_->number != lost) return;
  lost_ = incarnation_->consumer->incarnation();
  dispatcher_.detach();
  incarnation_.reset();
  if (!draining_) return start_incarnation();
  reserving_stopped_ = true;
  dispatcher_.drain();
}

// --- The end -----------------------------------------------------------------------------------------

void WorkerProcess::shut_down(Shutdown::Signal signal) {
  loop_.post([this, signal] { on_signal(signal); });
}

void WorkerProcess::on_signal(Shutdown::Signal signal) {
  if (signal == Shutdown::Signal::interrupt && !shutdown_.stopping())
    say(options_, "worker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!");
  take(shutdown_.on_signal(signal, dispatcher_.running() > 0));
}

void WorkerProcess::on_pool_broken(const Failure& why) {
  log::critical(fmt::format("pool: {}", why.message));
  failed_start_ = 1;
  take(shutdown_.on_broken());
}

void WorkerProcess::take(Shutdown::Step step) {
  switch (step) {
    case Shutdown::Step::none:
      return;
    case Shutdown::Step::warm:
      say(options_, "worker: Warm shutdown (MainProcess)");
      if (const auto timeout = app_.config().worker_warm_shutdown_timeout; timeout.count() > 0)
        warm_timer_ = loop_.after(timeout, [this] { on_warm_timeout(); });
      return drain();
    case Shutdown::Step::soft: {
      const auto timeout = app_.config().worker_soft_shutdown_timeout;
      log::warning(fmt::format("Initiating Soft Shutdown, terminating in {} seconds",
                               static_cast<double>(timeout.count()) / 1e3));
      soft_timer_ = loop_.after(timeout, [this] { take(shutdown_.on_soft_timeout()); });
      return drain();
    }
    case Shutdown::Step::cold:
      say(options_, "worker: Cold shutdown (MainProcess)");
      soft_timer_.reset();
      warm_timer_.reset();
      drain();
      return dispatcher_.kill();
    case Shutdown::Step::hard:
      log::critical("worker: Hard shutdown");
      std::_Exit(1);
  }
}

void WorkerProcess::on_warm_timeout() {
  const auto step = shutdown_.on_warm_timeout();
  if (step == Shutdown::Step::cold) {
    log::warning(
        fmt::format("{} running after worker_warm_shutdown_timeout: giving back what runs",
                    dispatcher_.running() == 1 ? "1 task is" : fmt::format("{} tasks are", dispatcher_.running())));
  }
  take(step);
}

void WorkerProcess::drain() {
  if (std::exchange(draining_, true)) return;
  if (incarnation_) {
    incarnation_->consumer->stop_reserving([this, number = incarnation_->number] {
      if (!incarnation_ || incarnation_->number != number) return;
      reserving_stopped_ = true;
      if (dispatcher_.idle()) finish();
    });
  }
  dispatcher_.drain();
}

void WorkerProcess::on_soft_idle() {
  soft_timer_.reset();
  warm_timer_.reset();
  if (give_up_timer_) return;
  give_up_timer_ = loop_.after(kPatience, [this] {
    log::warning(fmt::format(
        "the worker's end took more than {} s: what it could not settle comes back when its lease runs out; "
        "what is still scheduled is left to the next Lovage worker, or to lovage handback",
        kPatience.count()));
    stop_pool();
  });
}

void WorkerProcess::on_idle() {
  // Not from inside the handler that brought the last outcome.
  if (!incarnation_ || reserving_stopped_) loop_.post([this] { finish(); });
}

void WorkerProcess::finish() {
  if (!dispatcher_.idle() || std::exchange(closing_, true)) return;
  if (incarnation_) return close_consumer();
  stop_pool();
}

void WorkerProcess::close_consumer() {
  incarnation_->lease_thread.reset();  // it would take the unregistered incarnation for a lost one
  incarnation_->consumer->close([this] { stop_pool(); });
}

void WorkerProcess::stop_pool() {
  if (std::exchange(pool_stopping_, true)) return;
  pool_->stop([this] { loop_.stop(); });
}

}  // namespace lovage::worker
