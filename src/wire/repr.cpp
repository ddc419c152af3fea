// Python-like text of values, bounded: for logs, events and the argsrepr headers.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "wire/body.hpp"
#include "wire/json.hpp"
#include "wire/python_repr.hpp"
#include "wire/utf8.hpp"

namespace lovage::wire {
namespace {

constexpr std::size_t kMaxLength = 1024;
constexpr int kMaxLevels = 3;

std::string hex_of(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kDigits[byte >> 4U]);
    out.push_back(kDigits[byte & 15U]);
  }
  return out;
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text;
  append_json_double(text, value);
  return text;
}

// Writes token by token until the budget is used up; what is open is then closed.
class Repr {
 public:
  void tuple(std::span<const Value> items) {
    if (!open('(')) return;
    list(items);
    if (items.size() == 1 && has_room()) out_ += ',';
    close(')');
  }

  void value(const Value& v) {
    switch (v.kind()) {
      case Value::Kind::string:
        return quoted("", *v.if_string());
      case Value::Kind::bytes: {
        const std::string& data = v.get_if<Bytes>()->data;
        return is_utf8(data) ? quoted("b", data) : quoted("b", hex_of(data));
      }
      case Value::Kind::array:
        if (level_ >= kMaxLevels) return token("[...]");
        if (!open('[')) return;
        list(*v.if_array());
        return close(']');
      case Value::Kind::object:
        return object(*v.if_object());
      default:
        return token(scalar_repr(v));
    }
  }

  void object(const Object& members) {
    if (level_ >= kMaxLevels) return token("{...}");
    if (!open('{')) return;
    bool first = true;
    for (const auto& [name, member] : members) {
      if (full_) break;
      if (!first) token(", ");
      first = false;
      quoted("", name);
      token(": ");
      value(member);
    }
    close('}');
  }

  std::string take() { return std::move(out_); }

 private:
  void list(std::span<const Value> items) {
    bool first = true;
    for (const Value& item : items) {
      if (full_) return;
      if (!first) token(", ");
      first = false;
      value(item);
    }
  }

  // False when nothing more fits: the container is left out.
  bool open(char bracket) {
    if (!has_room()) return false;
    out_ += bracket;
    --left_;
    ++level_;
    return true;
  }
  void close(char bracket) {
    --level_;
    has_room();  // the bracket itself is always written
    out_ += bracket;
    spend(1);
  }

  bool has_room() {
    if (full_) return false;
    if (left_ > 0) return true;
    full_ = true;
    out_ += ", ...";
    return false;
  }

  void spend(std::size_t characters) { left_ -= std::min(left_, characters); }

  // The text's beginning, as much as is left; counted in characters.
  std::string cut(std::string_view text, std::size_t& characters) const {
    std::size_t at = 0;
    characters = 0;
    while (at < text.size() && characters < left_) {
      at += std::max<std::size_t>(1, decode_utf8(text.substr(at)).length);
      ++characters;
    }
    std::string out(text.substr(0, at));
    if (at < text.size()) {
      out += "...";
      characters += 3;
    }
    return out;
  }

  void token(std::string_view text) {
    if (!has_room()) return;
    std::size_t characters = 0;
    out_ += cut(text, characters);
    spend(characters);
  }

  void quoted(std::string_view prefix, std::string_view text) {
    if (!has_room()) return;
    std::size_t characters = 0;
    const std::string kept = cut(text, characters);
    out_ += prefix;
    out_ += '\'';
    for (char c : kept) {
      if (c == '\'') out_ += '\\';
      out_ += c;
    }
    out_ += '\'';
    spend(characters + prefix.size() + 2);
  }

  std::string out_;
  std::size_t left_ = kMaxLength;
  int level_ = 0;
  bool full_ = false;
};

// The numbers of an ISO 8601 text as arguments: "2024, 1, 2, 3, 4, 5, 678900".
std::string numbers_of(std::string_view text, std::size_t seconds_place) {
  std::string out;
  std::size_t place = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("-T :.", at), text.size());
    std::string_view number = text.substr(at, end - at);
    while (number.size() > 1 && number[0] == '0') number.remove_prefix(1);
    // Python leaves seconds of 0 out when there are no microseconds.
    const bool left_out = place == seconds_place && number == "0" && end == text.size();
    if (!left_out) (out += place == 0 ? "" : ", ") += number;
    ++place;
    at = end + 1;
  }
  return out;
}

// "+05:30", "Z" and the like as Python's tzinfo argument; other texts as they are.
std::string zone_of(std::string_view offset) {
  if (offset == "Z" || offset == "+00:00") return ", tzinfo=datetime.timezone.utc";
  const auto time = parse_wire_time("2000-01-01T00:00:00" + std::string(offset));
  if (!time) return ", tzinfo=" + std::string(offset);
  const auto east = std::chrono::duration_cast<std::chrono::seconds>(
      Timestamp(std::chrono::sys_days(
          std::chrono::year_month_day(std::chrono::year(2000), std::chrono::month(1), std::chrono::day(1)))) -
      time->at);
  // A timedelta west of Greenwich is minus one day and the rest.
  const std::string days = east.count() < 0 ? "days=-1, " : "";
  const auto seconds = east.count() < 0 ? east.count() + 86'400 : east.count();
  return ", tzinfo=datetime.timezone(datetime.timedelta(" + days + "seconds=" + std::to_string(seconds) + "))";
}

// As Python shows a datetime or time of this text: "datetime.time(3, 4, 5, 6)".
std::string time_repr(std::string_view type, std::string_view iso, std::size_t date_length) {
  const std::size_t offset_at =
      std::min({iso.find_first_of("+Z", date_length), iso.find('-', date_length), iso.size()});
  std::string out = "datetime.";
  out.append(type).append("(").append(numbers_of(iso.substr(0, offset_at), date_length == 0 ? 2 : 5));
  if (offset_at < iso.size()) out += zone_of(iso.substr(offset_at));
  return out + ")";
}

}  // namespace

std::string scalar_repr(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::null:
      return "None";
    case Value::Kind::boolean:
      return *value.if_bool() ? "True" : "False";
    case Value::Kind::integer:
      return std::to_string(*value.if_integer());
    case Value::Kind::big_integer:
      return value.get_if<BigInt>()->digits;
    case Value::Kind::real:
      return float_text(*value.if_real());
    case Value::Kind::datetime:
      return time_repr("datetime", value.get_if<DateTime>()->iso, 10);
    case Value::Kind::date:
      return "datetime.date(" + numbers_of(value.get_if<Date>()->iso, 9) + ")";
    case Value::Kind::time:
      return time_repr("time", value.get_if<TimeOfDay>()->iso, 0);
    case Value::Kind::decimal:
      return "Decimal('" + value.get_if<Decimal>()->text + "')";
    case Value::Kind::uuid: {
      std::string dashed = value.get_if<Uuid>()->hex;
      if (dashed.size() == 32) {
        for (std::size_t at : {20U, 16U, 12U, 8U}) dashed.insert(at, "-");
      }
      return "UUID('" + dashed + "')";
    }
    default:
      return {};
  }
}

std::string python_string(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '\n':
        out += "\\n";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\t':
        out += "\\t";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      default:
        break;
    }
    if (c == quote) {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x" + hex_of(std::string_view(&c, 1));
    } else {
      out += c;
    }
  }
  return out + quote;
}

std::string args_repr(std::span<const Value> args) {
  Repr repr;
  repr.tuple(args);
  return repr.take();
}

std::string kwargs_repr(const Object& kwargs) {
  Repr repr;
  repr.object(kwargs);
  return repr.take();
}

std::string safe_repr(const Value& value) {
  Repr repr;
  repr.value(value);
  return repr.take();
}

}  // namespace lovage::wire
