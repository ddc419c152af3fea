// The result backend on a SQLite store, in a file or in memory.
#pragma once

#include <memory>

#include "backend/backend.hpp"
#include "broker/sqlite/access.hpp"

namespace lovage::backend::sqlite {

std::shared_ptr<Backend> make_sqlite_backend(std::shared_ptr<broker::sqlite::StoreAccess> access);

}  // namespace lovage::backend::sqlite
