// Makes the pool that the settings name.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <lovage/config.hpp>

#include "app/registry.hpp"
#include "execution/pool.hpp"
#include "net/loop.hpp"

namespace lovage::execution {

struct PoolOptions {
  const app::Registry& registry;
  const Config& config;
  net::Loop& loop;
  std::size_t concurrency = 1;  // slots; at least 1
  std::string hostname = {};    // the worker's node name
  bool fair = false;            // -O fair: hold exactly as many requests as there are slots
  // prefork: the program that becomes the fork server, and the arguments (after the internal flag, see
  // fork_server.hpp) with which it loads the same app.
  std::string executable = "/proc/self/exe";
  std::vector<std::string> fork_server_arguments = {};
};

// `name` is "prefork", "threads" or "solo"; throws ConfigError for another one, naming the nearest, and
// for settings that tracing cannot work with. Registry, config and loop outlive the pool.
std::unique_ptr<Pool> make_pool(std::string_view name, const PoolOptions& options);

// Whether tasks run in processes of their own. Such a pool cannot serve the memory broker: what its tasks
// send would stay in the child.
bool runs_in_other_processes(std::string_view pool_name) noexcept;

}  // namespace lovage::execution
