#include "worker/successors.hpp"

#include <iterator>
#include <limits>
#include <span>
#include <utility>

#include "wire/canvas.hpp"

namespace lovage::worker {
namespace {

// What they came in was bounded, and so is a message that is made of it.
constexpr app::LaunchLimits kAll{.messages = std::numeric_limits<std::size_t>::max()};

// Several of them are a group, beside the groups among them.
Result<void> add_callbacks(app::Launcher& launcher, const Array& callbacks, std::span<const Value> argument) {
  Array plain;
  for (const auto& callback : callbacks) {
    if (wire::canvas_kind(callback) != wire::CanvasKind::group && callbacks.size() > 1) {
      plain.push_back(callback);
    } else if (auto added = launcher.add(callback, argument); !added) {
      return added;
    }
  }
  return plain.empty() ? Result<void>() : launcher.add(wire::make_group(std::move(plain)), argument);
}

}  // namespace

Result<app::Launch> after_success(const Facts& facts, const app::Lineage& lineage, const wire::Embed& embed,
                                  const Value* result) {
  app::Launcher launcher(facts.core, lineage, kAll);
  const std::span<const Value> argument(result, result != nullptr ? 1 : 0);
  if (embed.callbacks) {
    if (auto added = add_callbacks(launcher, *embed.callbacks, argument); !added) return tl::unexpected(added.error());
  }
  if (embed.chain && !embed.chain->empty()) {
    Array rest(embed.chain->begin(), std::prev(embed.chain->end()));
    if (auto added = launcher.add(embed.chain->back(), argument, std::move(rest)); !added)
      return tl::unexpected(added.error());
  }
  return launcher.take();
}

Result<app::Launch> after_failure(const Facts& facts, const app::Lineage& lineage, const Array& errbacks,
                                  const std::string& failed_id) {
  app::Launcher launcher(facts.core, lineage);
  const Value argument(failed_id);
  if (auto added = launcher.add(wire::make_group(errbacks), std::span(&argument, 1)); !added)
    return tl::unexpected(added.error());
  return launcher.take();
}

}  // namespace lovage::worker
