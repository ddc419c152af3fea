#include "broker/memory/memory_lease.hpp"

#include <utility>

namespace lovage::broker::memory {
namespace {

constexpr std::size_t kExpireAtOnce = 256;  // between two of them the store is free

}  // namespace

MemoryLease::MemoryLease(std::shared_ptr<Store> store, IncarnationId incarnation, std::chrono::milliseconds lease,
                         std::shared_ptr<const std::atomic<bool>> registered)
    : store_(std::move(store)),
      incarnation_(std::move(incarnation)),
      lease_(lease),
      registered_(std::move(registered)),
      observer_(store_->clock(), lease) {}

Result<Lease::Renewal> MemoryLease::renew(Deadline) {
  return !registered_->load() || store_->renew(incarnation_) ? Renewal::renewed : Renewal::lost;
}

Result<std::vector<Lease::Swept>> MemoryLease::sweep(Deadline deadline) {
  std::vector<Swept> swept;
  const Monotonic asked = store_->clock().monotonic();
  const auto snapshot = store_->look_as_sweeper(incarnation_, lease_);
  if (!snapshot) {
    observer_.start_again();
    return swept;
  }
  for (const auto& dead : observer_.answered(asked, *snapshot)) {
    if (auto given_back = store_->sweep(dead)) swept.push_back(std::move(*given_back));
  }
  while (!deadline.passed() && store_->expire_results(kExpireAtOnce) == kExpireAtOnce) {
  }
  return swept;
}

}  // namespace lovage::broker::memory
