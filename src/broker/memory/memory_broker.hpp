// The broker on a store in memory.
#pragma once

#include <memory>

#include "broker/broker.hpp"
#include "broker/memory/store.hpp"

namespace lovage::broker::memory {

std::shared_ptr<Broker> make_memory_broker(std::shared_ptr<Store> store);

}  // namespace lovage::broker::memory
