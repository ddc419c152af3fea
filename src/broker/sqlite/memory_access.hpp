// Stores in memory, for tests and memory:// URLs: the same SQL as the file engine's, on a database that
// lives as long as somebody in this process uses it.
#pragma once

#include <memory>
#include <string>

#include "broker/sqlite/access.hpp"

namespace lovage::broker::sqlite {

// The process's store of that name, made with `options` when there is none. Not for use after fork():
// a child would have a copy.
std::shared_ptr<StoreAccess> open_memory(const std::string& name, const StoreOptions& options);

}  // namespace lovage::broker::sqlite
