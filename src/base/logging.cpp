#include "base/logging.hpp"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <chrono>
#include <ctime>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/printable.hpp"

namespace lovage::log {
namespace {

constexpr std::size_t kRecentLines = 50;
constexpr std::array<std::string_view, 5> kNames{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};

class Log {
 public:
  void configure(const Options& options) {
    const std::lock_guard lock(mutex_);
    spdlog::sink_ptr sink;
    if (!options.file.empty()) {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(options.file);
    } else if (options.color) {
      sink = std::make_shared<spdlog::sinks::stderr_color_sink_st>();
    } else {
      sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
    }
    sink->set_pattern("%v");
    sink_ = std::move(sink);
    format_ = options.format;
    level_.store(options.level);
  }

  [[nodiscard]] bool enabled(Level level) const noexcept { return level >= level_.load(std::memory_order_relaxed); }

  void write(Level level, const std::string& process, std::string_view message, const Object& fields) {
    const auto now = std::chrono::system_clock::now();
    const std::lock_guard lock(mutex_);
    if (!sink_) {
      sink_ = std::make_shared<spdlog::sinks::stderr_sink_st>();
      sink_->set_pattern("%v");
    }
    const std::string line = format_ == Format::json ? json_line(now, level, process, message, fields)
                                                     : text_line(now, level, process, message);
    recent_.push_back(line);
    if (recent_.size() > kRecentLines) recent_.pop_front();
    sink_->log(spdlog::details::log_msg("", spdlog_level(level), line));
    sink_->flush();
  }

  std::vector<std::string> recent() {
    const std::lock_guard lock(mutex_);
    return {recent_.begin(), recent_.end()};
  }

 private:
  static spdlog::level::level_enum spdlog_level(Level level) noexcept {
    switch (level) {
      case Level::debug:
        return spdlog::level::debug;
      case Level::info:
        return spdlog::level::info;
      case Level::warning:
        return spdlog::level::warn;
      case Level::error:
        return spdlog::level::err;
      case Level::critical:
        return spdlog::level::critical;
    }
    return spdlog::level::info;
  }

  static std::string text_line(std::chrono::system_clock::time_point now, Level level, const std::string& process,
                               std::string_view message) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now - seconds).count();
    return fmt::format("[{:%Y-%m-%d %H:%M:%S},{:03}: {}/{}] {}",
                       fmt::localtime(std::chrono::system_clock::to_time_t(seconds)), millis, level_name(level),
                       process, printable(message, Lines::many));
  }

  static std::string json_line(std::chrono::system_clock::time_point now, Level level, const std::string& process,
                               std::string_view message, const Object& fields) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now - seconds).count();
    Object line;
    line.set("time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                                 fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), micros));
    line.set("level", level_name(level));
    line.set("process", process);
    // JSON cannot hold what is no UTF-8.
    line.set("message", printable(message, Lines::many));
    for (const auto& [key, value] : fields) {
      const std::string* const text = value.if_string();
      line.set(key, text != nullptr ? Value(printable(*text, Lines::many)) : value);
    }
    return to_json(Value(std::move(line)));
  }

  std::atomic<Level> level_{Level::warning};
  std::mutex mutex_;
  spdlog::sink_ptr sink_;           // guarded by mutex_
  Format format_ = Format::text;    // guarded by mutex_
  std::deque<std::string> recent_;  // guarded by mutex_
};

Log& instance() {
  static Log log;
  return log;
}

std::string& process_name() {
  static std::string name = "MainProcess";
  return name;
}

std::string& thread_name() {
  static thread_local std::string name;
  return name;
}

}  // namespace

std::optional<Level> level_from_name(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (upper == "FATAL") return Level::critical;
  const auto* const found = std::find(kNames.begin(), kNames.end(), upper);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Level>(found - kNames.begin());
}

std::string_view level_name(Level level) noexcept {
  return kNames[static_cast<std::size_t>(level)];
}

void configure(const Options& options) {
  instance().configure(options);
}

void set_process_name(std::string name) {
  process_name() = std::move(name);
}

void set_thread_name(std::string name) {
  thread_name() = std::move(name);
}

ThreadName::ThreadName(std::string name) : before_(std::exchange(thread_name(), std::move(name))) {}

ThreadName::~ThreadName() {
  thread_name() = std::move(before_);
}

bool enabled(Level level) noexcept {
  return instance().enabled(level);
}

void write(Level level, std::string_view message, const Object& fields) {
  if (!instance().enabled(level)) return;
  instance().write(level, thread_name().empty() ? process_name() : thread_name(), message, fields);
}

std::vector<std::string> recent_lines() {
  return instance().recent();
}

}  // namespace lovage::log
