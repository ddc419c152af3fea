// RapidJSON, set up for hostile text of Python's dialect. For .cpp files of this layer only.
#pragma once

// A namespace of our own: a program may use RapidJSON with other settings.
#define RAPIDJSON_NAMESPACE lovage_rapidjson
#define RAPIDJSON_NAMESPACE_BEGIN namespace lovage_rapidjson {
#define RAPIDJSON_NAMESPACE_END }
#if defined(__SSE2__)
#define RAPIDJSON_SSE2
#elif defined(__ARM_NEON)
#define RAPIDJSON_NEON
#endif
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lovage::wire {

// Text that a parser may write on, with room behind it for reads of whole registers.
class ScratchText {
 public:
  char* assign(std::string_view text) {
    if (text_.size() < text.size() + kRoom) text_.resize(text.size() + kRoom);
    text.copy(text_.data(), text.size());
    text_[text.size()] = '\0';
    return text_.data();
  }
  // Keeps a rare large message from holding its memory for ever.
  void shrink() {
    if (text_.size() > kKept) std::vector<char>().swap(text_);
  }

 private:
  static constexpr std::size_t kRoom = 64;
  static constexpr std::size_t kKept = 1U << 20U;
  std::vector<char> text_;
};

// Lone surrogate escapes, which RapidJSON refuses, in their three-byte form.
std::string unescape_lone_surrogates(std::string_view text);

struct JsonStatus {
  bool ok = true;
  std::size_t offset = 0;
  const char* what = "";
};

// Feeds `make_handler()` with the text's events. Strings handed out point into `scratch` and live as long as
// it is not assigned again. UTF-8 is not checked here. Called again with a fresh handler when the text has
// lone surrogates.
template <class MakeHandler>
JsonStatus read_json(std::string_view text, ScratchText& scratch, MakeHandler make_handler) {
  using lovage_rapidjson::InsituStringStream;
  constexpr unsigned kFlags = lovage_rapidjson::kParseInsituFlag | lovage_rapidjson::kParseNanAndInfFlag |
                              lovage_rapidjson::kParseNumbersAsStringsFlag;
  const auto once = [&](std::string_view from) {
    InsituStringStream stream(scratch.assign(from));
    lovage_rapidjson::Reader reader;
    auto&& handler = make_handler();
    const auto result = reader.Parse<kFlags>(stream, handler);
    return result;
  };
  auto result = once(text);
  if (result.IsError() && result.Code() == lovage_rapidjson::kParseErrorStringUnicodeSurrogateInvalid) {
    result = once(unescape_lone_surrogates(text));
  }
  if (!result.IsError()) {
    // In-situ text ends at the first NUL: anything behind it was not looked at.
    if (text.find('\0') != std::string_view::npos) return {false, text.find('\0'), "a NUL byte in the text"};
    return {};
  }
  return {false, result.Offset(), lovage_rapidjson::GetParseError_En(result.Code())};
}

}  // namespace lovage::wire
