// The program's log: Celery's line format on stderr, or one JSON object a line.
//
//   [2026-11-22 12:07:33,007: INFO/MainProcess] Task tasks.add[cb4a...] received
//
// Thread-safe. Messages carry keyed fields for JSON readers; no secrets (URLs come redacted).
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lovage/value.hpp>

namespace lovage::log {

enum class Level { debug, info, warning, error, critical };
enum class Format { text, json };

// "INFO" etc. in any case; FATAL is CRITICAL. Empty when unknown.
std::optional<Level> level_from_name(std::string_view name);
std::string_view level_name(Level level) noexcept;

struct Options {
  Level level = Level::warning;
  Format format = Format::text;
  std::string file;  // empty: stderr
  bool color = false;
};

// Called once at start, before other threads. Not called: warnings and above go to stderr as text.
void configure(const Options& options);

// "MainProcess", "ForkPoolWorker-1": what a line names as its writer. Per thread, inherited from the
// process name when a thread has none.
void set_process_name(std::string name);
void set_thread_name(std::string name);

// Another thread's name for as long as this lives, on the thread that made it.
class ThreadName {
 public:
  explicit ThreadName(std::string name);
  ~ThreadName();
  ThreadName(const ThreadName&) = delete;
  ThreadName& operator=(const ThreadName&) = delete;

 private:
  std::string before_;
};

[[nodiscard]] bool enabled(Level level) noexcept;

// `fields` end up as members of the JSON line ("id", "name", "runtime", ...); text lines leave them out.
void write(Level level, std::string_view message, const Object& fields = {});

inline void debug(std::string_view message, const Object& fields = {}) {
  write(Level::debug, message, fields);
}
inline void info(std::string_view message, const Object& fields = {}) {
  write(Level::info, message, fields);
}
inline void warning(std::string_view message, const Object& fields = {}) {
  write(Level::warning, message, fields);
}
inline void error(std::string_view message, const Object& fields = {}) {
  write(Level::error, message, fields);
}
inline void critical(std::string_view message, const Object& fields = {}) {
  write(Level::critical, message, fields);
}

// The last lines this process wrote, oldest first: a dead letter's context. Bounded (50 lines).
std::vector<std::string> recent_lines();

}  // namespace lovage::log
