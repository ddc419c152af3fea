#include "execution/request.hpp"

#include <sys/wait.h>

#include <cstring>

#include <fmt/format.h>

namespace lovage::execution {

std::string ChildDeath::describe() const {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    const char* const name = ::sigabbrev_np(signal);
    return fmt::format("Worker exited prematurely: signal {} ({}{})", signal, name == nullptr ? "" : "SIG",
                       name == nullptr ? "unknown" : name);
  }
  return fmt::format("Worker exited prematurely: exitcode {}", WEXITSTATUS(wait_status));
}

}  // namespace lovage::execution
