#include "app/core.hpp"

#include <system_error>
#include <utility>

#include <lovage/error.hpp>

#include "app/builtins.hpp"
#include "engines/engines.hpp"

namespace lovage::app {

Core::Core(std::string name, Config config) : name_(std::move(name)), config_(std::move(config)) {
  std::error_code unknown;  // the directory is gone: opening a file will say so
  folder_ = std::filesystem::current_path(unknown);
  add_builtins(registry_);
}

Core::~Core() = default;

void Core::check_config() const {
  if (!config_problem_.empty()) throw ConfigError(config_problem_);
}

broker::Broker& Core::broker() {
  if (auto* ready = ready_broker_.load(std::memory_order_acquire)) return *ready;
  check_config();
  const std::lock_guard lock(mutex_);
  if (broker_ == nullptr) broker_ = engines::make_broker(config_, folder_);
  ready_broker_.store(broker_.get(), std::memory_order_release);
  return *broker_;
}

backend::Backend* Core::backend() {
  if (backend_ready_.load(std::memory_order_acquire)) return ready_backend_.load(std::memory_order_relaxed);
  check_config();
  const std::lock_guard lock(mutex_);
  if (!backend_made_) backend_ = engines::make_backend(config_, folder_);
  backend_made_ = true;
  ready_backend_.store(backend_.get(), std::memory_order_relaxed);
  backend_ready_.store(true, std::memory_order_release);
  return backend_.get();
}

void Core::use(std::shared_ptr<broker::Broker> broker, std::shared_ptr<backend::Backend> backend,
               std::shared_ptr<const Clock> clock) {
  const std::lock_guard lock(mutex_);
  broker_ = std::move(broker);
  backend_ = std::move(backend);
  wall_clock_ = std::move(clock);
  declared_queues_.clear();
  backend_made_ = true;
  ready_broker_.store(broker_.get(), std::memory_order_release);
  ready_backend_.store(backend_.get(), std::memory_order_relaxed);
  backend_ready_.store(true, std::memory_order_release);
}

}  // namespace lovage::app
