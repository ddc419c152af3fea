// The lease of one incarnation on a store in memory.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "broker/consumer.hpp"
#include "broker/lease_observer.hpp"
#include "broker/memory/store.hpp"

namespace lovage::broker::memory {

class MemoryLease final : public Lease {
 public:
  // `registered` turns true once the consumer has registered the incarnation: nothing to renew before.
  MemoryLease(std::shared_ptr<Store> store, IncarnationId incarnation, std::chrono::milliseconds lease,
              std::shared_ptr<const std::atomic<bool>> registered);

  Result<Renewal> renew(Deadline deadline) override;
  Result<std::vector<Swept>> sweep(Deadline deadline) override;

 private:
  const std::shared_ptr<Store> store_;
  const IncarnationId incarnation_;
  const std::chrono::milliseconds lease_;
  const std::shared_ptr<const std::atomic<bool>> registered_;
  LeaseObserver observer_;
};

}  // namespace lovage::broker::memory
