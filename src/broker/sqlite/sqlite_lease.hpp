// The lease of one incarnation on a SQLite store.
#pragma once

#include <atomic>
#include <memory>

#include "broker/consumer.hpp"
#include "broker/lease_observer.hpp"
#include "broker/sqlite/access.hpp"

namespace lovage::broker::sqlite {

class SqliteLease final : public Lease {
 public:
  // `registered` turns true once the consumer has registered the incarnation: nothing to renew before.
  SqliteLease(std::shared_ptr<StoreAccess> access, IncarnationId incarnation, std::chrono::milliseconds lease,
              std::shared_ptr<const std::atomic<bool>> registered);

  Result<Renewal> renew(Deadline deadline) override;
  Result<std::vector<Swept>> sweep(Deadline deadline) override;

 private:
  Result<std::vector<Swept>> sweep_dead(Store& store, Deadline deadline);
  Result<void> clean(Store& store, Deadline deadline);

  const std::shared_ptr<StoreAccess> access_;
  const IncarnationId incarnation_;
  const std::chrono::milliseconds lease_;
  const std::shared_ptr<const std::atomic<bool>> registered_;
  LeaseObserver observer_;
};

}  // namespace lovage::broker::sqlite
