#include "wire/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <string>

namespace lovage::wire {
namespace {

constexpr std::uint32_t kOptions = PCRE2_ANCHORED | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
constexpr std::uint32_t kMostNested = 50;
constexpr std::uint32_t kMostSteps = 100'000;
constexpr std::uint32_t kMostKib = 1'000;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* held) const noexcept {
    Free(held);
  }
};
using CompileContext = std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;
using Code = std::unique_ptr<pcre2_code, Freed<pcre2_code_free>>;

PCRE2_SPTR units_of(std::string_view text) noexcept {
  return reinterpret_cast<PCRE2_SPTR>(text.data());  // NOLINT(*-reinterpret-cast): its characters are unsigned
}

std::string reason_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  const int size = pcre2_get_error_message(code, text.data(), text.size());
  return size > 0 ? std::string(text.begin(), text.begin() + size) : "error " + std::to_string(code);
}

}  // namespace

Result<bool> regex_match(std::string_view pattern, std::string_view text) {
  if (pattern.size() > kMaxRegexBytes) return fail(Errc::too_large, "a pattern of over 1000 bytes");
  const CompileContext how(pcre2_compile_context_create(nullptr));
  const MatchContext limits(pcre2_match_context_create(nullptr));
  if (!how || !limits) throw std::bad_alloc();
  pcre2_set_newline(how.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(how.get(), kMostNested);
  pcre2_set_match_limit(limits.get(), kMostSteps);
  pcre2_set_heap_limit(limits.get(), kMostKib);

  int problem = 0;
  PCRE2_SIZE at = 0;
  const Code code(pcre2_compile(units_of(pattern), pattern.size(), kOptions, &problem, &at, how.get()));
  if (!code) return fail(Errc::bad_data, "the pattern: " + reason_of(problem) + " (byte " + std::to_string(at) + ")");
  const MatchData data(pcre2_match_data_create_from_pattern(code.get(), nullptr));
  if (!data) throw std::bad_alloc();
  const int matched = pcre2_match(code.get(), units_of(text), text.size(), 0, 0, data.get(), limits.get());
  if (matched == PCRE2_ERROR_NOMATCH) return false;
  if (matched >= 0) return true;
  const bool is_limit =
      matched == PCRE2_ERROR_MATCHLIMIT || matched == PCRE2_ERROR_HEAPLIMIT || matched == PCRE2_ERROR_DEPTHLIMIT;
  return fail(is_limit ? Errc::too_large : Errc::bad_data, "the pattern: " + reason_of(matched));
}

}  // namespace lovage::wire
