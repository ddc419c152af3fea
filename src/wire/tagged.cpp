// kombu's tagged objects (kombu 5.3 and later): what {"__type__": ..., "__value__": ...} stands for.
#include <algorithm>
#include <cctype>

#include "wire/base64.hpp"
#include "wire/value_builder.hpp"

namespace lovage::wire {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "dddd-dd-dd" against the text: d is a digit, anything else itself.
bool has_shape(std::string_view text, std::string_view shape) {
  return text.size() == shape.size() && std::equal(text.begin(), text.end(), shape.begin(),
                                                   [](char c, char s) { return s == 'd' ? is_digit(c) : c == s; });
}

// HH:MM, HH:MM:SS or HH:MM:SS.ffffff, and an offset as Python's datetime.time writes it.
bool is_time(std::string_view text) {
  if (text.size() < 5) return false;
  return parse_wire_time("2000-01-01T" + std::string(text)).has_value();
}

bool is_date(std::string_view text) {
  return has_shape(text, "dddd-dd-dd") && parse_wire_time(std::string(text) + "T00:00:00").has_value();
}

// What decimal.Decimal reads: sign, digits with one point, exponent, or a special name.
bool is_decimal(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  for (std::string_view name : {"Infinity", "Inf"}) {
    if (text == name) return true;
  }
  if (text.starts_with("sNaN")) text.remove_prefix(1);
  if (text.starts_with("NaN")) return std::all_of(text.begin() + 3, text.end(), is_digit);
  std::size_t digits = 0;
  const auto take_digits = [&] {
    while (!text.empty() && is_digit(text[0])) text.remove_prefix(1), ++digits;
  };
  take_digits();
  if (text.starts_with('.')) text.remove_prefix(1);
  take_digits();
  if (digits == 0) return false;
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return !text.empty() && text.size() <= 18 && std::all_of(text.begin(), text.end(), is_digit);
}

// The member "hex": 32 hexadecimal digits, with dashes and capitals as uuid.UUID(hex=...) allows. Empty: it is not.
std::string uuid_hex(const Value& content) {
  const Value* member = content.find("hex");
  const std::string* text = member == nullptr ? nullptr : member->if_string();
  if (text == nullptr) return {};
  std::string hex;
  for (char c : *text) {
    if (c == '-') continue;
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return {};
    hex.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  }
  return hex.size() == 32 ? hex : std::string();
}

tl::unexpected<Failure> unreadable(const std::string& type) {
  return fail(Errc::bad_data, "unreadable __value__ of type '" + type + "'");
}

// The types whose values are texts.
Result<Value> value_from_text(const std::string& type, const std::string& text) {
  if (type == "bytes") return Value(Bytes{text});
  if (type == "base64") {
    auto bytes = decode_base64(text);
    return bytes ? Result<Value>(Bytes{std::move(*bytes)}) : unreadable(type);
  }
  if (type == "datetime") return parse_wire_time(text) ? Result<Value>(DateTime{text}) : unreadable(type);
  if (type == "date") return is_date(text) ? Result<Value>(Date{text}) : unreadable(type);
  if (type == "time") return is_time(text) ? Result<Value>(TimeOfDay{text}) : unreadable(type);
  if (type == "decimal") return is_decimal(text) ? Result<Value>(Decimal{text}) : unreadable(type);
  return fail(Errc::bad_data, "unknown __type__ '" + type + "'");
}

}  // namespace

Result<Value> value_from_tagged(const Value& type, const Value& content) {
  const std::string* name = type.if_string();
  if (name == nullptr) return fail(Errc::bad_data, "__type__ is not a string");
  if (*name == "uuid") {
    std::string hex = uuid_hex(content);
    return hex.empty() ? unreadable(*name) : Result<Value>(Uuid{std::move(hex)});
  }
  const std::string* text = content.if_string();
  return text == nullptr ? unreadable(*name) : value_from_text(*name, *text);
}

}  // namespace lovage::wire
