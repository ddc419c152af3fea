#include "engines/own_memory.hpp"

#include "backend/memory/memory_backend.hpp"
#include "broker/memory/memory_broker.hpp"
#include "broker/memory/store.hpp"

namespace lovage::engines {

OwnMemory::OwnMemory(const Clock& clock, std::chrono::seconds result_expires)
    : store_(std::make_shared<broker::memory::Store>(
          "testing", broker::memory::StoreOptions{.result_expires = result_expires, .clock = &clock})) {}

std::shared_ptr<broker::Broker> OwnMemory::broker() const {
  return broker::memory::make_memory_broker(store_);
}

std::shared_ptr<backend::Backend> OwnMemory::backend() const {
  return backend::memory::make_memory_backend(store_);
}

void OwnMemory::clock_moved() {
  store_->clock_moved();
}

bool OwnMemory::wait_until_idle(Deadline deadline) {
  return store_->wait_until_idle(deadline);
}

}  // namespace lovage::engines
