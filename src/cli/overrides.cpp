#include "cli/overrides.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <lovage/error.hpp>

#include "base/suggest.hpp"

namespace lovage::cli {
namespace {

constexpr std::array<std::string_view, 6> kCasts{"int", "float", "bool", "str", "list", "dict"};

template <class T>
T number(std::string_view text, std::string_view cast) {
  T value{};
  const auto* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || rest != end) {
    throw ConfigError("'" + std::string(text) + "' is no " + std::string(cast));
  }
  return value;
}

bool boolean(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const std::string_view yes : {"1", "true", "yes", "on"})
    if (text == yes) return true;
  for (const std::string_view no : {"0", "false", "no", "off"})
    if (text == no) return false;
  throw ConfigError("'" + text + "' is no bool (use true or false)");
}

Value json(std::string_view text, std::string_view cast, Value::Kind kind) {
  Value value = from_json(text);
  if (value.kind() != kind) throw ConfigError("'" + std::string(text) + "' is no JSON " + std::string(cast));
  return value;
}

Value cast_to(std::string_view cast, std::string_view text) {
  if (cast == "int") return number<std::int64_t>(text, cast);
  if (cast == "float") return number<double>(text, cast);
  if (cast == "bool") return boolean(std::string(text));
  if (cast == "str") return text;
  if (cast == "list") return json(text, cast, Value::Kind::array);
  if (cast == "dict") return json(text, cast, Value::Kind::object);
  throw ConfigError("unknown type '(" + std::string(cast) + ")'" + did_you_mean(cast, kCasts));
}

std::string setting_name(std::string_view key, std::string_view own_namespace) {
  if (key.starts_with('.') || key.starts_with('_')) {
    key.remove_prefix(1);
    return std::string(own_namespace) + '_' + std::string(key);
  }
  std::string name(key);
  if (const auto dot = name.find('.'); dot != std::string::npos) name[dot] = '_';
  return name;
}

}  // namespace

Override parse_override(std::string_view text, std::string_view own_namespace) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw ConfigError("'" + std::string(text) + "' is no setting: settings follow '--' as key=value");
  }
  Override out;
  out.setting = setting_name(text.substr(0, equals), own_namespace);
  const auto value = text.substr(equals + 1);
  const auto close = value.find(')');
  if (!value.starts_with('(') || close == std::string_view::npos) {
    out.value = value;
    return out;
  }
  out.typed = true;
  try {
    out.value = cast_to(value.substr(1, close - 1), value.substr(close + 1));
  } catch (const Error& error) {
    throw ConfigError(out.setting + ": " + error.what());
  }
  return out;
}

}  // namespace lovage::cli
