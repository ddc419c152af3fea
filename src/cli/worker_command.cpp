#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <lovage/error.hpp>

#include "app/settings.hpp"
#include "base/logging.hpp"
#include "base/suggest.hpp"
#include "cli/choices.hpp"
#include "cli/command.hpp"
#include "cli/pid_file.hpp"
#include "cli/print.hpp"
#include "cli/queue_choice.hpp"
#include "cli/session.hpp"
#include "execution/fork_server.hpp"
#include "worker/worker.hpp"

namespace lovage::cli {
namespace {

struct Options {
  std::string hostname;
  std::string queues;
  std::string exclude;
  std::string loglevel = "WARNING";
  std::string logfile;
  std::string logformat = "text";
  std::string optimization = "default";
  std::string pidfile;
  bool purge = false;
  // Settings by another name: the text goes through the settings' own checks.
  std::optional<std::string> concurrency;
  std::optional<std::string> pool;
  std::optional<std::string> prefetch_multiplier;
  std::optional<std::string> max_tasks_per_child;
  std::optional<std::string> max_memory_per_child;
  std::optional<std::string> time_limit;
  std::optional<std::string> soft_time_limit;
  std::vector<std::string> overrides;
};

void set(Config& config, std::string_view option, std::string_view setting, const std::optional<std::string>& text) {
  if (!text) return;
  try {
    app::apply_setting_text(config, setting, *text);
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("{}: {}", option, error.what()));
  }
}

// Celery's names of pools, in Lovage's words.
std::optional<std::string> pool_name(const std::optional<std::string>& name) {
  if (!name || *name == "processes") return name ? std::optional<std::string>("prefork") : std::nullopt;
  for (const std::string_view green : {"eventlet", "gevent"}) {
    if (*name == green)
      throw ConfigError("-P/--pool: there is no '" + *name + "' pool; 'threads' is for tasks that wait");
  }
  const auto pools = choices_of("POOL");
  if (std::ranges::find(pools, *name) == pools.end()) {
    throw ConfigError("-P/--pool: unknown pool '" + *name + "'" + did_you_mean(*name, pools) +
                      "; there are prefork, threads and solo");
  }
  return name;
}

void check_choice(std::string_view option, const std::string& word, std::string_view type) {
  const auto known = choices_of(type);
  if (std::ranges::find(known, word) != known.end()) return;
  throw ConfigError(fmt::format("{}: unknown value '{}'{}; it is one of {}", option, word, did_you_mean(word, known),
                                fmt::join(known, ", ")));
}

log::Level loglevel(const std::string& name) {
  const auto levels = choices_of("LEVEL");
  if (const auto level = log::level_from_name(name)) return *level;
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  throw ConfigError(fmt::format("-l/--loglevel: unknown level '{}'{}; it is one of {}", name,
                                did_you_mean(upper, levels), fmt::join(levels, ", ")));
}

void apply_options(Session& session, const Options& options) {
  Config& config = session.core().config();
  set(config, "-c/--concurrency", "worker_concurrency", options.concurrency);
  set(config, "-P/--pool", "worker_pool", pool_name(options.pool));
  set(config, "--prefetch-multiplier", "worker_prefetch_multiplier", options.prefetch_multiplier);
  set(config, "--max-tasks-per-child", "worker_max_tasks_per_child", options.max_tasks_per_child);
  set(config, "--max-memory-per-child", "worker_max_memory_per_child", options.max_memory_per_child);
  set(config, "--time-limit", "task_time_limit", options.time_limit);
  set(config, "--soft-time-limit", "task_soft_time_limit", options.soft_time_limit);
  for (const auto& text : options.overrides) session.apply(parse_override(text, "worker"));
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

// In the names of files, Celery's: %n the node's name, %h its host, %p both, %d the host's domain, %% a percent sign.
std::string expand_file_name(std::string_view pattern, const std::string& node) {
  const auto at = node.find('@');
  const std::string name = node.substr(0, at);
  const std::string host = at == std::string::npos ? "" : node.substr(at + 1);
  const auto dot = host.find('.');
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 == pattern.size()) {
      out += pattern[i];
      continue;
    }
    switch (pattern[++i]) {
      case 'n':
        out += name;
        break;
      case 'h':
        out += host;
        break;
      case 'p':
        out += node;
        break;
      case 'd':
        out += dot == std::string::npos ? "" : host.substr(dot + 1);
        break;
      case 'i':
      case 'I':
        break;  // one file for the worker and its children: only the worker writes it
      case '%':
        out += '%';
        break;
      default:
        out += '%', out += pattern[i];
    }
  }
  return out;
}

int run_worker(Session& session, const Options& options) {
  const auto level = loglevel(options.loglevel);
  check_choice("-O/--optimization", options.optimization, "PROFILE");
  check_choice("--logformat", options.logformat, "FORMAT");
  apply_options(session, options);
  if (session.globals().fork_server) return execution::run_fork_server(session.core().registry());

  worker::WorkerOptions worker;
  worker.hostname = worker::expand_node_name(options.hostname.empty() ? "celery@%h" : options.hostname, host_name());
  worker.queues = split_names(options.queues);
  worker.exclude_queues = split_names(options.exclude);
  worker.fair = options.optimization == "fair";
  worker.purge = options.purge;
  worker.quiet = session.globals().quiet;
  worker.loglevel = level;
  worker.fork_server_arguments = session.globals().arguments;

  const PidFile pid_file(expand_file_name(options.pidfile, worker.hostname));
  const bool color = !session.globals().no_color && options.logfile.empty() && ::isatty(STDERR_FILENO) != 0;
  log::configure({.level = level,
                  .format = options.logformat == "json" ? log::Format::json : log::Format::text,
                  .file = expand_file_name(options.logfile, worker.hostname),
                  .color = color});
  return worker::run(session.core(), worker);
}

void declare_pool_options(CLI::App& parser, Options& options) {
  const auto add = [&](const char* names, auto& target, const char* help, const char* type) {
    parser.add_option(names, target, help)->group("Pool")->type_name(type);
  };
  add("-c,--concurrency", options.concurrency, "How many tasks run at once; default: the number of processors", "N");
  add("-P,--pool", options.pool, "prefork (default), threads or solo", "POOL");
  add("-O,--optimization", options.optimization, "default, or fair: never more reserved than runs", "PROFILE");
  add("--prefetch-multiplier", options.prefetch_multiplier, "Messages reserved for each task that runs; default: 1",
      "N");
  add("--max-tasks-per-child", options.max_tasks_per_child, "Replace a child after so many tasks (prefork)", "N");
  add("--max-memory-per-child", options.max_memory_per_child, "Replace a child that holds more (prefork)", "KIB");
  add("--time-limit", options.time_limit, "Kill a task that runs longer (prefork)", "SECONDS");
  add("--soft-time-limit", options.soft_time_limit, "Tell a task that runs longer to end", "SECONDS");
}

}  // namespace

Run declare_worker(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  parser.add_option("-n,--hostname", options->hostname, "Node name: %h host, %n name, %d domain; default: celery@%h")
      ->type_name("NAME");
  parser.add_option("-Q,--queues", options->queues, "Take from these queues, separated by commas")->type_name("NAMES");
  parser.add_option("-X,--exclude-queues", options->exclude, "Take from all configured queues but these")
      ->type_name("NAMES");
  parser.add_flag("--purge,--discard", options->purge, "Empty the queues first, without asking");
  parser.add_option("-l,--loglevel", options->loglevel, "DEBUG, INFO, WARNING, ERROR, CRITICAL or FATAL")
      ->type_name("LEVEL")
      ->capture_default_str();
  parser.add_option("-f,--logfile", options->logfile, "Log to this file; default: stderr")->type_name("FILE");
  parser.add_option("--logformat,--log-format", options->logformat, "text (Celery's lines) or json")
      ->type_name("FORMAT")
      ->capture_default_str();
  parser.add_option("--pidfile", options->pidfile, "Write the process id here; refuse to start if another lives")
      ->type_name("FILE");
  declare_pool_options(parser, *options);
  parser.add_option("SETTING", options->overrides, "After '--': settings as key=value, worker.key=value or .key=value")
      ->type_name("KEY=VALUE");
  return [options](Session& session) { return run_worker(session, *options); };
}

}  // namespace lovage::cli
