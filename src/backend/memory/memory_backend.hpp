// The result backend on a store in memory.
#pragma once

#include <memory>

#include "backend/backend.hpp"
#include "broker/memory/store.hpp"

namespace lovage::backend::memory {

std::shared_ptr<Backend> make_memory_backend(std::shared_ptr<broker::memory::Store> store);

}  // namespace lovage::backend::memory
