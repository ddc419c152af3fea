// Has a finding of the sanitizer that it is built with, in a child process, and takes no notice of it: what
// tests/support/sanitized.py must not miss.
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>

namespace {

[[maybe_unused]] void read_freed_memory() {
  auto owner = std::make_unique<volatile int>(1);
  const volatile int* const freed = owner.get();
  owner.reset();
  std::exit(*freed);
}

[[maybe_unused]] void overflow() {
  volatile int number = INT_MAX;
  number = number + 1;
}

[[maybe_unused]] void race() {
  int shared = 0;
  std::thread other([&] { ++shared; });
  ++shared;
  other.join();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 1 ? argv[1] : "";
  if (argc > 2) {
    if (kind == "address") read_freed_memory();
    if (kind == "undefined") overflow();
    if (kind == "thread") race();
    return EXIT_SUCCESS;
  }
  std::array<char*, 4> arguments{argv[0], argv[1], argv[0], nullptr};
  pid_t child = 0;
  if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) != 0) return EXIT_FAILURE;
  return ::waitpid(child, nullptr, 0) == child ? EXIT_SUCCESS : EXIT_FAILURE;
}
