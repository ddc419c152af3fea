// A worker's side of a SQLite store. SQLite blocks, so all of it happens on a thread of its own, in
// transactions that each settle and reserve what there is to settle and to reserve.
#pragma once

#include <memory>

#include "broker/consumer.hpp"
#include "broker/sqlite/access.hpp"
#include "net/loop.hpp"

namespace lovage::broker::sqlite {

// Makes the two halves of a fresh incarnation.
struct SqliteConsumerParts {
  std::unique_ptr<Consumer> consumer;
  std::unique_ptr<Lease> lease;
};
SqliteConsumerParts make_sqlite_consumer(std::shared_ptr<StoreAccess> access, net::Loop& loop, ConsumerOptions options);

}  // namespace lovage::broker::sqlite
