// Which process this is, without a system call each time: asked for with every message.
#pragma once

#include <sys/types.h>

namespace lovage {

// getpid(). Thread-safe; right in a child, too, whatever made it: fork(), _Fork() or clone().
pid_t process_id() noexcept;

}  // namespace lovage
