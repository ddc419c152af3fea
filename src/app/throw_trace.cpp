#include "app/throw_trace.hpp"

#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <cstdlib>
#include <numeric>
#include <span>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "app/symbols.hpp"

namespace lovage::app {
namespace {

constexpr int kMaxFrames = 64;

struct Throw {
  const void* object = nullptr;
  int count = 0;
  std::array<void*, kMaxFrames> frames{};
};

// The last throws of this thread: a rethrown exception may be older than one that its handler caught.
struct Watch {
  int depth = 0;
  std::size_t next = 0;
  std::array<Throw, 8> throws{};
};

thread_local Watch current_watch;

void note_throw(const void* object) noexcept {
  Watch& watch = current_watch;
  if (watch.depth == 0) return;
  Throw& slot = watch.throws[watch.next];
  watch.next = (watch.next + 1) % watch.throws.size();
  slot.object = object;
  slot.count = ::backtrace(slot.frames.data(), kMaxFrames);
}

const Throw* find_throw(const void* object) noexcept {
  const Watch& watch = current_watch;
  for (std::size_t i = 0; i < watch.throws.size(); ++i) {
    // Newest first: an address is used again for a later exception.
    const Throw& noted = watch.throws[(watch.next + 2 * watch.throws.size() - 1 - i) % watch.throws.size()];
    if (noted.count > 0 && noted.object == object) return &noted;
  }
  return nullptr;
}

// The thrown object's address. libstdc++ and libc++ both keep exactly this pointer in an exception_ptr,
// and the ABI passes the same address to __cxa_throw.
const void* object_of(const std::exception_ptr& error) noexcept {
  static_assert(sizeof(std::exception_ptr) == sizeof(void*));
  return *reinterpret_cast<void* const*>(&error);
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Where the task's own frames end.
bool is_wall(const std::string& function) {
  return contains(function, "lovage::app::invoke(") || contains(function, "::run(lovage::app::TaskDefinition const&");
}

// A demangled function's own name with its scope: no return type in front, arguments may follow.
std::string_view qualified_name(std::string_view function) {
  std::size_t start = 0;
  int depth = 0;  // inside template arguments, parameters, lambdas
  for (std::size_t i = 0; i < function.size(); ++i) {
    if (depth == 0 && function.substr(i).starts_with("operator")) break;
    const char c = function[i];
    if (c == '<' || c == '(' || c == '{') ++depth;
    if (c == '>' || c == ')' || c == '}') --depth;
    // What follows the parameters is no name.
    if (depth == 0 && c == ' ' && !function.substr(i).starts_with(" const")) start = i + 1;
  }
  return function.substr(start);
}

// The library's own frames around the task's function, and a sanitizer's, say nothing to a reader.
bool is_plumbing(const std::string& function) {
  const std::string_view name = qualified_name(function);
  // Names that the demangler of g++ 12 does not know (of lambdas in templates) stay as they are.
  for (const std::string_view own : {"__cxa_", "__interceptor_", "std::", "lovage::app::", "lovage::detail::", "_ZSt",
                                     "_ZNSt", "_ZNKSt", "_ZN6lovage3app", "_ZN6lovage6detail"}) {
    if (name.starts_with(own)) return true;
  }
  return false;
}

}  // namespace

ThrowWatch::ThrowWatch() noexcept {
  // The first backtrace() of a process loads libgcc: not inside a throw.
  static const bool kWarm = [] {
    void* frame = nullptr;
    return ::backtrace(&frame, 1) >= 0;
  }();
  if (!kWarm) return;
  if (current_watch.depth++ == 0) current_watch.throws = {};
}

ThrowWatch::~ThrowWatch() {
  --current_watch.depth;
}

std::string throw_frames(const std::exception_ptr& error) {
  const Throw* noted = error ? find_throw(object_of(error)) : nullptr;
  if (noted == nullptr) return {};
  std::vector<std::string> lines;
  const std::span addresses(noted->frames.data(), static_cast<std::size_t>(noted->count));
  for (void* address : addresses) {
    const Symbol symbol = find_symbol(address);
    if (is_wall(symbol.function)) break;
    if (is_plumbing(symbol.function)) continue;
    lines.push_back("  File \"" + symbol.file + "\", in " + symbol.function + "\n");
  }
  return std::accumulate(lines.rbegin(), lines.rend(), std::string());
}

}  // namespace lovage::app

// Stands in front of the C++ run time's own: notes the throw and passes it on.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the run time's name
extern "C" [[noreturn]] __attribute__((visibility("default"))) void __cxa_throw(void* object, std::type_info* type,
                                                                                void (*destructor)(void*)) {
  using Throw = void (*)(void*, std::type_info*, void (*)(void*));
  static const auto kReal = reinterpret_cast<Throw>(::dlsym(RTLD_NEXT, "__cxa_throw"));
  lovage::app::note_throw(object);
  if (kReal == nullptr) std::abort();
  kReal(object, type, destructor);
  __builtin_unreachable();
}
