// What a command works with: the app with this command line's settings in force, and the way to its engines.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/core.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "cli/globals.hpp"
#include "cli/overrides.hpp"

namespace lovage {
class App;
}

namespace lovage::cli {

class Session {
 public:
  // `own`: see cli/cli.hpp. `command` is for messages.
  Session(Globals globals, App* own, std::string command);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const Globals& globals() const noexcept { return globals_; }

  // Loaded on first use, so that what needs no app (--help) never opens one. Throws ConfigError.
  App& app();
  app::Core& core();
  // Puts a setting of `-- key=value` in force. Throws ConfigError.
  void apply(const Override& setting);

  // Reached, so that a wrong URL is said in one clear line. Throw ConnectionError, ConfigError. Commands that look at a
  // store or change what it holds do not make a SQLite file where there is none.
  enum class Database { must_exist, may_be_made };
  broker::Broker& broker();
  backend::Backend& backend(Database database = Database::must_exist);
  // What reaching the broker has shown.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

 private:
  void load();

  const Globals globals_;
  const std::string command_;
  App* app_;
  std::unique_ptr<App> made_;  // without -A: an app that has settings and no tasks
  bool loaded_ = false;
  std::vector<std::string> warnings_;
};

// How long one management call may take, once the server has answered.
Deadline management_deadline();

template <class T>
T take(Result<T>&& result) {
  if (!result) raise(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace lovage::cli
