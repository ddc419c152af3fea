// What stands behind an App: its settings, its tasks and its connections.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <lovage/config.hpp>

#include "app/registry.hpp"
#include "backend/backend.hpp"
#include "broker/broker.hpp"
#include "wire/task_message.hpp"

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

  // Made on first use from the URLs in the settings. Throws ConfigError.
  broker::Broker& broker();
  // nullptr when results are disabled.
  backend::Backend* backend();
  // Puts engines in that were made elsewhere (tests share one in-memory store).
  void use(std::shared_ptr<broker::Broker> broker, std::shared_ptr<backend::Backend> backend);

 private:
  const std::string name_;
  Config config_;
  Registry registry_;
  std::mutex mutex_;
  std::shared_ptr<broker::Broker> broker_;     // guarded by mutex_
  std::shared_ptr<backend::Backend> backend_;  // guarded by mutex_
  bool backend_made_ = false;                  // guarded by mutex_
};

}  // namespace lovage::app
