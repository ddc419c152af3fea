// What stands behind an App: its settings, its tasks and its connections.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <lovage/config.hpp>

#include "app/declared_queues.hpp"
#include "app/registry.hpp"
#include "backend/backend.hpp"
#include "base/clock.hpp"
#include "broker/broker.hpp"

namespace lovage::app {

// Settings are changed before the first send or worker start; everything else is thread-safe, and goes
// on working in a child after fork().
class Core {
 public:
  Core(std::string name, Config config);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] Config& config() noexcept { return config_; }
  [[nodiscard]] const Config& config() const noexcept { return config_; }
  [[nodiscard]] Registry& registry() noexcept { return registry_; }
  [[nodiscard]] const Registry& registry() const noexcept { return registry_; }
  // The Lamport clock of what this process broadcasts.
  [[nodiscard]] std::uint64_t next_clock() noexcept { return ++clock_; }
  [[nodiscard]] DeclaredQueues& declared_queues() noexcept { return declared_queues_; }

  // The settings could not be read when the App was made, often before main(): kept, and thrown by
  // check_config() (as ConfigError) where somebody can catch it.
  void set_config_problem(std::string problem) { config_problem_ = std::move(problem); }
  void check_config() const;

  // Relative paths in URLs start at the working directory of the moment when the App was made, or at this folder; set
  // before the first use.
  void set_folder(std::filesystem::path folder) { folder_ = std::move(folder); }
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

  // Made on first use from the URLs in the settings. Throws ConfigError.
  broker::Broker& broker();
  // nullptr when results are disabled.
  backend::Backend* backend();
  // Puts engines in that were made elsewhere (tests share one in-memory store), and the clock that they go by; nullptr:
  // the system's. Nobody else uses the app at that moment.
  void use(std::shared_ptr<broker::Broker> broker, std::shared_ptr<backend::Backend> backend,
           std::shared_ptr<const Clock> clock = nullptr);
  // What an eta, a countdown and `expires` are reckoned by.
  [[nodiscard]] const Clock& wall_clock() const noexcept { return wall_clock_ ? *wall_clock_ : Clock::system(); }

 private:
  const std::string name_;
  Config config_;
  Registry registry_;
  std::string config_problem_;
  std::filesystem::path folder_;
  DeclaredQueues declared_queues_;
  std::atomic<std::uint64_t> clock_{0};
  std::shared_ptr<const Clock> wall_clock_;  // outlives the engines
  std::mutex mutex_;
  std::shared_ptr<broker::Broker> broker_;     // guarded by mutex_
  std::shared_ptr<backend::Backend> backend_;  // guarded by mutex_
  bool backend_made_ = false;                  // guarded by mutex_
  // Read without the mutex, so that a fork() at any moment leaves a usable child. Set once.
  std::atomic<broker::Broker*> ready_broker_{nullptr};
  std::atomic<backend::Backend*> ready_backend_{nullptr};
  std::atomic<bool> backend_ready_{false};
};

}  // namespace lovage::app
