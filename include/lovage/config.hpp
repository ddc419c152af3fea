// Settings, under Celery's names. A reader of Celery's documentation is at home.
//
// They come from four places, later ones winning: a TOML file, the environment, code, and the command
// line. An unknown setting, or a value of the wrong type, is a ConfigError that names the nearest known
// setting.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lovage/value.hpp>

namespace lovage {

// Where a task's messages go. Celery: an entry of task_routes.
struct Route {
  std::string queue = {};  // empty: as if there were no route
  std::string exchange = {};
  std::string routing_key = {};
  std::optional<int> priority = {};
};

// A queue that is declared by name. Celery: kombu.Queue.
struct Queue {
  std::string name;
  std::string exchange = {};             // empty: the queue's name
  std::string exchange_type = "direct";  // direct, topic or fanout
  std::string routing_key = {};          // empty: the queue's name
  // Lovage's workers alone take from it. Workflows whose tasks all go to such queues are stored once, and their
  // messages refer to them (docs/canvas.md): small, however large the workflow is.
  bool lovage_only = false;
};

// How often a send is tried again while the broker cannot be reached. Celery: task_publish_retry_policy.
struct RetryPolicy {
  int max_retries = 3;  // negative: until the deadline
  std::chrono::milliseconds interval_start{0};
  std::chrono::milliseconds interval_step{200};
  std::chrono::milliseconds interval_max{1'000};
};

struct Config {
  // --- Where -------------------------------------------------------------------------------------
  std::string broker_url;                                         // empty: sqlite:///lovage.db in the working directory
  std::string result_backend;                                     // empty: where the broker is
  std::map<std::string, Value> broker_transport_options;          // global_keyprefix, visibility_timeout, ...
  std::map<std::string, Value> result_backend_transport_options;  // global_keyprefix, ...
  std::string sqlite_durability = "full";  // full: survives power loss; normal: survives process death

  // --- Sending -----------------------------------------------------------------------------------
  std::string task_default_queue = "celery";
  std::vector<Queue> task_queues;
  bool task_create_missing_queues = true;
  std::vector<std::pair<std::string, Route>> task_routes;                  // glob pattern -> route, first match wins
  std::function<std::optional<Route>(std::string_view task)> task_router;  // asked before task_routes
  int task_default_priority = 0;                                           // 0 is served first
  std::string task_serializer = "json";                                    // json or msgpack
  std::string task_compression;                                            // empty, zlib, bzip2 or zstd
  std::uint64_t task_compression_threshold = 64u << 10;                    // 0: never; see docs/settings.md
  std::string json_types = "5.6";  // 5.6 or 5.2: how bytes, datetime, Decimal and UUID are written
  bool task_publish_retry = true;
  RetryPolicy task_publish_retry_policy;
  std::chrono::milliseconds task_publish_timeout{5'000};  // a send never takes longer
  std::vector<std::string> accept_content{"json", "msgpack"};
  bool task_always_eager = false;
  bool task_eager_propagates = false;

  // --- Results -----------------------------------------------------------------------------------
  std::chrono::seconds result_expires{86'400};  // 0: never
  std::string result_serializer = "json";
  bool result_extended = false;
  bool task_ignore_result = false;
  bool task_store_errors_even_if_ignored = false;
  bool task_track_started = false;
  bool task_allow_error_cb_on_chord_header = false;

  // --- Running -----------------------------------------------------------------------------------
  bool task_acks_late = true;
  bool task_acks_on_failure_or_timeout = true;
  bool task_reject_on_worker_lost = true;
  std::optional<std::chrono::milliseconds> task_time_limit;
  std::optional<std::chrono::milliseconds> task_soft_time_limit;
  int task_max_strikes = 3;                       // a message that killed its process so often is dead
  std::chrono::seconds unknown_task_ttl{86'400};  // how long a message waits for a worker that knows it
  std::string worker_pool = "prefork";            // prefork, threads or solo
  int worker_concurrency = 0;                     // 0: the number of processors
  int worker_prefetch_multiplier = 1;
  std::uint64_t worker_prefetch_bytes = 16u << 20;
  int worker_max_tasks_per_child = 0;                         // 0: no limit
  std::uint64_t worker_max_memory_per_child = 0;              // KiB; 0: no limit
  std::chrono::milliseconds worker_warm_shutdown_timeout{0};  // 0: as long as running tasks take
  std::chrono::milliseconds worker_soft_shutdown_timeout{0};
  std::chrono::milliseconds worker_lease{15'000};  // a dead worker's messages are back after about four
                                                   // thirds of it; renewed every third
  int broker_connection_max_retries = 100;         // at start; 0: for ever
  bool broker_connection_retry_on_startup = true;
  std::chrono::milliseconds broker_connection_timeout{4'000};

  // --- The rest ----------------------------------------------------------------------------------
  std::string timezone = "UTC";
  std::uint64_t task_message_max_bytes = 64u << 20;  // larger messages and results are refused, both ways
  std::uint64_t workflow_max_bytes = 1u << 20;       // of one message of a workflow, with all that follows it
};

}  // namespace lovage
