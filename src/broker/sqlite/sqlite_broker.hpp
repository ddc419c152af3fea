// The broker on a SQLite file.
#pragma once

#include <memory>

#include "broker/broker.hpp"
#include "broker/sqlite/access.hpp"

namespace lovage::broker::sqlite {

std::shared_ptr<Broker> make_sqlite_broker(std::shared_ptr<StoreAccess> access);

}  // namespace lovage::broker::sqlite
