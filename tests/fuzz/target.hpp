// What each fuzz target defines, by libFuzzer's name. It aborts when a promise is broken; the sanitizers see the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace lovage::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};  // NOLINT(cppcoreguidelines-pro-type-reinterpret-cast)
}

inline void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "fuzz: a promise is broken: %s\n", what);
  std::abort();
}

}  // namespace lovage::fuzz
