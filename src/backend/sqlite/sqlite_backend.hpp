// The result backend on a SQLite file.
#pragma once

#include <memory>

#include "backend/backend.hpp"
#include "broker/sqlite/access.hpp"

namespace lovage::backend::sqlite {

std::shared_ptr<Backend> make_sqlite_backend(std::shared_ptr<broker::sqlite::StoreAccess> access);

}  // namespace lovage::backend::sqlite
