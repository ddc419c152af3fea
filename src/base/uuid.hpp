// Random identifiers. Thread-safe, and safe across fork(): a child never repeats its parent's.
#pragma once

#include <string>

namespace lovage {

// A random UUID, "4d1d0b3a-52e5-4473-a695-1112e8f54db2": delivery tags, incarnations.
std::string new_uuid();

// A UUID of version 7: the time in milliseconds, then 74 random bits. Task ids: those of one moment stand side by side
// in an ordered index, where random ones would each change a page of their own.
std::string new_task_id();

}  // namespace lovage
