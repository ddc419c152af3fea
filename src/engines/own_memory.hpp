// A store in memory that has no name, by a clock of its owner's: for lovage/testing.hpp.
#pragma once

#include <chrono>
#include <memory>

#include "backend/backend.hpp"
#include "base/clock.hpp"
#include "broker/broker.hpp"

namespace lovage::broker::memory {
class Store;
}

namespace lovage::engines {

// Thread-safe.
class OwnMemory {
 public:
  // The clock outlives the store, which lives as long as its broker and backend.
  OwnMemory(const Clock& clock, std::chrono::seconds result_expires);

  [[nodiscard]] std::shared_ptr<broker::Broker> broker() const;
  [[nodiscard]] std::shared_ptr<backend::Backend> backend() const;
  // The clock shows another time: workers look what is due.
  void clock_moved();
  // Until no queue that a worker serves holds a message that is due, and no worker one that is not settled; false: not
  // by the deadline.
  bool wait_until_idle(Deadline deadline);

 private:
  std::shared_ptr<broker::memory::Store> store_;
};

}  // namespace lovage::engines
