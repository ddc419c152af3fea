// The worker: reserves messages, runs them in a pool and settles them. One event loop, a lease thread
// and a pool.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/core.hpp"
#include "base/logging.hpp"

namespace lovage::worker {

// What the command line adds to the app's settings (pool, concurrency and the like are settings).
struct WorkerOptions {
  std::string hostname;             // -n, expanded: "celery@host"; empty: the default
  std::vector<std::string> queues;  // -Q; empty: task_queues, or the default queue
  std::vector<std::string> exclude_queues;
  bool fair = false;                    // -O fair: never more in a slot than what runs
  bool purge = false;                   // --purge: empties the queues first
  bool quiet = false;                   // -q: no banner
  bool embedded = false;                // in a program of its own: leaves its signals and stderr alone
  std::function<void()> on_ready = {};  // called once, on the worker's thread, when it takes messages
  log::Level loglevel = log::Level::warning;
  // The arguments that make this same program a fork server for this app ("-A ./libshop.so", ...);
  // the pool adds its internal flag.
  std::vector<std::string> fork_server_arguments;
};

// Runs until a signal (TERM: warm, INT: warm then cold, QUIT: cold) and returns the exit code.
// Throws ConfigError for options that cannot work.
int run(app::Core& app, const WorkerOptions& options);

// Celery's expansions of -n: a word without '@' is the host; %h host, %n name, %d domain, %i and %I.
std::string expand_node_name(std::string_view pattern, std::string_view host);

}  // namespace lovage::worker
