// A worker's side of a store in memory. Nothing there blocks, so all of it happens on the loop's thread: at the end
// of a turn, what the turn gathered is settled together, and what there is room for is reserved.
#pragma once

#include <memory>

#include "broker/broker.hpp"
#include "broker/memory/store.hpp"

namespace lovage::broker::memory {

// Makes the two halves of a fresh incarnation.
ConsumerPair make_memory_consumer(const std::shared_ptr<Store>& store, net::Loop& loop, ConsumerOptions options);

}  // namespace lovage::broker::memory
