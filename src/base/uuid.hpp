// Random identifiers. Thread-safe, and safe across fork(): a child never repeats its parent's.
#pragma once

#include <string>

namespace lovage {

// A random UUID, "4d1d0b3a-52e5-4473-a695-1112e8f54db2": task ids and delivery tags.
std::string new_uuid();

}  // namespace lovage
