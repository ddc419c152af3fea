#include "base/process_id.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <new>

namespace lovage {
namespace {

// The kernel empties it in a child. nullptr: this kernel (before 4.14) does not.
std::atomic<pid_t>* memory_emptied_by_fork() noexcept {
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return nullptr;
  if (::madvise(page, size, MADV_WIPEONFORK) == 0) return new (page) std::atomic<pid_t>(0);
  ::munmap(page, size);
  return nullptr;
}

}  // namespace

pid_t process_id() noexcept {
  static std::atomic<pid_t>* const kKept = memory_emptied_by_fork();
  if (kKept == nullptr) return ::getpid();
  pid_t id = kKept->load(std::memory_order_relaxed);
  if (id == 0) {
    id = ::getpid();
    kKept->store(id, std::memory_order_relaxed);
  }
  return id;
}

}  // namespace lovage
