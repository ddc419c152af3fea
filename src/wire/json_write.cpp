#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "wire/appender.hpp"
#include "wire/base64.hpp"
#include "wire/json.hpp"
#include "wire/utf8.hpp"

namespace lovage::wire {
namespace {

constexpr bool is_plain(char c) noexcept {
  return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

constexpr std::uint64_t kOnes = 0x0101010101010101U;
constexpr std::uint64_t kHighs = 0x8080808080808080U;
constexpr std::size_t kWord = sizeof kOnes;

// Whether eight bytes need no escape: what does need one sets the high bit of its byte in one of the five. What is
// borrowed or carried from a byte to the next comes from one that needs an escape itself.
bool is_plain_word(const char* text) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, text, sizeof word);
  const std::uint64_t special = word | (word - kOnes * 0x20U) | (word + kOnes) | ((word ^ (kOnes * '"')) - kOnes) |
                                ((word ^ (kOnes * '\\')) - kOnes);
  return (special & kHighs) == 0;
}

// How many leading bytes need no escape.
std::size_t plain_prefix(std::string_view text) noexcept {
  const char* const bytes = text.data();
  std::size_t at = 0;
  while (at + kWord <= text.size() && is_plain_word(bytes + at)) at += kWord;
  // What is left is shorter than a word: it is looked at together with what comes before it.
  if (at + kWord > text.size() && at != 0 && is_plain_word(bytes + text.size() - kWord)) return text.size();
  while (at < text.size() && is_plain(bytes[at])) ++at;
  return at;
}

void append_unit(std::string& out, std::uint32_t unit) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\u";
  for (unsigned shift : {12U, 8U, 4U, 0U}) out.push_back(kDigits[(unit >> shift) & 15U]);
}

void append_escaped(std::string& out, char32_t c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    default:
      break;
  }
  if (c < 0x10000) {
    append_unit(out, c);
  } else {
    append_unit(out, 0xd800U + ((c - 0x10000U) >> 10U));
    append_unit(out, 0xdc00U + ((c - 0x10000U) & 0x3ffU));
  }
}

// Writes one Value; the first error ends it.
class Writer {
 public:
  Writer(std::string& out, JsonTypes types) : out_(out), types_(types) {}

  Result<void> write(const Value& value) {
    switch (value.kind()) {
      case Value::Kind::null:
        out_ += "null";
        return {};
      case Value::Kind::boolean:
        out_ += *value.if_bool() ? "true" : "false";
        return {};
      case Value::Kind::integer:
        append_integer(*value.if_integer());
        return {};
      case Value::Kind::big_integer:
        out_ += value.get_if<BigInt>()->digits;
        return {};
      case Value::Kind::real:
        append_json_double(out_, *value.if_real());
        return {};
      case Value::Kind::string:
        return string(*value.if_string());
      case Value::Kind::array:
        return array(*value.if_array());
      case Value::Kind::object:
        return object(*value.if_object());
      default:
        return types_ == JsonTypes::celery_5_6 ? tagged(value) : plain(value);
    }
  }

 private:
  void append_integer(std::int64_t number) {
    std::array<char, 24> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    out_.append(text.data(), end);
  }

  Result<void> string(std::string_view text) {
    if (!append_json_string(out_, text)) return fail(Errc::bad_data, "a string is not UTF-8");
    return {};
  }

  Result<void> enter() {
    if (++depth_ > DecodeLimits{}.max_depth) return fail(Errc::too_large, "nested too deeply for JSON");
    return {};
  }

  Result<void> array(const Array& items) {
    if (auto ok = enter(); !ok) return ok;
    out_.push_back('[');
    bool first = true;
    for (const Value& item : items) {
      if (!first) out_ += ", ";
      first = false;
      if (auto ok = write(item); !ok) return ok;
    }
    out_.push_back(']');
    --depth_;
    return {};
  }

  Result<void> object(const Object& members) {
    if (auto ok = enter(); !ok) return ok;
    out_.push_back('{');
    bool first = true;
    for (const auto& [name, member] : members) {
      if (!first) out_ += ", ";
      first = false;
      if (auto ok = string(name); !ok) return ok;
      out_ += ": ";
      if (auto ok = write(member); !ok) return ok;
    }
    out_.push_back('}');
    --depth_;
    return {};
  }

  Result<void> tag(std::string_view type, std::string_view text) {
    out_ += R"({"__type__": ")";
    out_ += type;
    out_ += R"(", "__value__": )";
    if (auto ok = string(text); !ok) return ok;
    out_.push_back('}');
    return {};
  }

  // kombu 5.3 and later.
  Result<void> tagged(const Value& value) {
    if (const auto* v = value.get_if<DateTime>()) return tag("datetime", v->iso);
    if (const auto* v = value.get_if<Date>()) return tag("date", v->iso);
    if (const auto* v = value.get_if<TimeOfDay>()) return tag("time", v->iso);
    if (const auto* v = value.get_if<Decimal>()) return tag("decimal", v->text);
    if (const auto* v = value.get_if<Uuid>()) {
      out_ += R"({"__type__": "uuid", "__value__": {"hex": )";
      if (auto ok = string(v->hex); !ok) return ok;
      out_ += "}}";
      return {};
    }
    const std::string& data = value.get_if<Bytes>()->data;
    if (is_utf8(data)) return tag("bytes", data);
    std::string text;
    append_base64(text, data);
    return tag("base64", text);
  }

  // kombu 5.2: text without a type.
  Result<void> plain(const Value& value) {
    if (const auto* v = value.get_if<DateTime>()) {
      std::string iso = v->iso;
      if (iso.ends_with("+00:00")) iso.replace(iso.size() - 6, 6, "Z");
      return string(iso);
    }
    if (const auto* v = value.get_if<Date>()) return string(v->iso + "T00:00:00");
    if (const auto* v = value.get_if<TimeOfDay>()) return string(v->iso);
    if (const auto* v = value.get_if<Decimal>()) return string(v->text);
    if (const auto* v = value.get_if<Uuid>()) {
      std::string dashed = v->hex;
      if (dashed.size() == 32) {
        for (std::size_t at : {20U, 16U, 12U, 8U}) dashed.insert(at, "-");
      }
      return string(dashed);
    }
    return fail(Errc::bad_data, "Object of type bytes is not JSON serializable (json_types = 5.2)");
  }

  std::string& out_;
  JsonTypes types_;
  int depth_ = 0;
};

}  // namespace

bool append_json_string(std::string& out, std::string_view text) {
  bool valid = true;
  out.push_back('"');
  for (;;) {
    const std::size_t plain = plain_prefix(text);
    out.append(text.data(), plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const CodePoint next = decode_utf8(text);
    append_escaped(out, next.value);
    valid = valid && next.length != 0;
    text.remove_prefix(next.length == 0 ? 1 : next.length);
  }
  out.push_back('"');
  return valid;
}

void append_json_string(Appender& out, std::string_view text) {
  if (plain_prefix(text) == text.size()) {
    out.add("\"");
    out.add(text);
    out.add("\"");
  } else {
    out.by([text](std::string& string) { append_json_string(string, text); });
  }
}

void append_json_double(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::signbit(value)) out.push_back('-');
  if (std::isinf(value)) {
    out += "Infinity";
    return;
  }
  // d[.ddd]e±XX, taken apart and laid out as Python does: plain notation for 1e-4 <= |value| < 1e16.
  std::array<char, 40> text;
  const char* const end =
      std::to_chars(text.data(), text.data() + text.size(), std::fabs(value), std::chars_format::scientific).ptr;
  const std::string_view all(text.data(), static_cast<std::size_t>(end - text.data()));
  const std::size_t e = all.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (all[e + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent < -4 || exponent >= 16) {
    out += all;
    return;
  }
  std::string digits(all.substr(0, 1));
  if (e > 2) digits += all.substr(2, e - 2);
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out += digits;
    return;
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() < whole + 1) digits.append(whole + 1 - digits.size(), '0');
  out.append(digits, 0, whole);
  out.push_back('.');
  out.append(digits, whole);
}

Result<void> append_json(std::string& out, const Value& value, JsonTypes types) {
  return Writer(out, types).write(value);
}

}  // namespace lovage::wire
