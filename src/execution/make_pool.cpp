#include "execution/make_pool.hpp"

#include <array>

#include <fmt/format.h>

#include <lovage/error.hpp>

#include "base/suggest.hpp"
#include "execution/prefork_pool.hpp"
#include "execution/solo_pool.hpp"
#include "execution/thread_pool.hpp"

namespace lovage::execution {
namespace {

constexpr std::array<std::string_view, 3> kNames{"prefork", "threads", "solo"};

}  // namespace

std::unique_ptr<Pool> make_pool(std::string_view name, const PoolOptions& options) {
  if (options.concurrency == 0) throw ConfigError("worker_concurrency: a pool needs at least one slot");
  if (name == "prefork") return std::make_unique<PreforkPool>(options);
  if (name == "threads") return std::make_unique<ThreadPool>(options);
  if (name == "solo") return std::make_unique<SoloPool>(options);
  throw ConfigError(fmt::format("unknown pool '{}'{}; there are prefork, threads and solo", name,
                                did_you_mean(name, std::span<const std::string_view>(kNames))));
}

bool runs_in_other_processes(std::string_view pool_name) noexcept {
  return pool_name == "prefork";
}

}  // namespace lovage::execution
