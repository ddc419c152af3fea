#include <optional>

#include "wire/json.hpp"
#include "wire/json_reader.hpp"
#include "wire/plain_json.hpp"
#include "wire/utf8.hpp"
#include "wire/value_builder.hpp"

namespace lovage::wire {
namespace {

using lovage_rapidjson::SizeType;

class ValueHandler : public lovage_rapidjson::BaseReaderHandler<lovage_rapidjson::UTF8<>, ValueHandler> {
 public:
  explicit ValueHandler(ValueBuilder& builder) : builder_(builder) {}
  bool Null() { return scalar(nullptr); }
  bool Bool(bool value) { return scalar(value); }
  bool RawNumber(const char* text, SizeType length, bool) {
    auto number = number_from_text({text, length});
    return number && scalar(std::move(*number));
  }
  bool String(const char* text, SizeType length, bool) { return scalar(std::string(text, length)); }
  bool StartObject() { return builder_.open_object(); }
  bool Key(const char* text, SizeType length, bool) {
    builder_.key({text, length});
    return true;
  }
  bool EndObject(SizeType) { return closed(); }
  bool StartArray() { return builder_.open_array(); }
  bool EndArray(SizeType) { return closed(); }
  // For the reader of plain text: no name is more likely than others.
  static std::string_view expected_key() noexcept { return {}; }
  static void expected_key_came() noexcept {}

 private:
  bool scalar(Value value) {
    builder_.scalar(std::move(value));
    return true;
  }
  bool closed() {
    builder_.close();
    return builder_.error().empty();
  }
  ValueBuilder& builder_;
};

std::optional<unsigned> hex4(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  unsigned value = 0;
  for (char c : text.substr(0, 4)) {
    value <<= 4U;
    if (c >= '0' && c <= '9') {
      value |= static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value |= static_cast<unsigned>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      value |= static_cast<unsigned>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

bool is_high(std::optional<unsigned> unit) {
  return unit && *unit >= 0xd800 && *unit < 0xdc00;
}
bool is_low(std::optional<unsigned> unit) {
  return unit && *unit >= 0xdc00 && *unit < 0xe000;
}

}  // namespace

std::string unescape_lone_surrogates(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text[0] != '\\' || text.size() < 2) {
      out.push_back(text[0]);
      text.remove_prefix(1);
      continue;
    }
    const auto unit = text[1] == 'u' ? hex4(text.substr(2)) : std::nullopt;
    const bool pair = is_high(unit) && text.size() >= 12 && text.substr(6, 2) == "\\u" && is_low(hex4(text.substr(8)));
    if ((is_high(unit) || is_low(unit)) && !pair) {
      append_utf8(out, *unit);
      text.remove_prefix(6);
      continue;
    }
    const std::size_t length = pair ? 12 : 2;
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out;
}

Result<Value> parse_json(std::string_view text, const DecodeLimits& limits) {
  if (text.size() > limits.max_bytes) return fail(Errc::too_large, "JSON text over the size limit");
  std::optional<ValueBuilder> builder;
  builder.emplace(limits.max_depth);
  if (ValueHandler handler(*builder); read_plain_json(text, handler)) return builder->take();
  builder.reset();
  if (!is_utf8(text)) return fail(Errc::bad_data, "JSON text is not UTF-8");
  ScratchText scratch;
  const JsonStatus status = read_json(text, scratch, [&] { return ValueHandler(builder.emplace(limits.max_depth)); });
  if (builder && !builder->error().empty()) return fail(Errc::bad_data, builder->error());
  if (builder && builder->too_deep()) return fail(Errc::too_large, "JSON nested too deeply");
  if (!status.ok) {
    return fail(Errc::bad_data, std::string(status.what) + " (byte " + std::to_string(status.offset) + ")");
  }
  return builder->take();
}

}  // namespace lovage::wire
