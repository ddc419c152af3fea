// Times as Celery writes them, and every ISO 8601 form that its workers read.
#include <array>
#include <cstdint>
#include <optional>

#include "wire/json.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Reads the text from left to right; once something does not fit, it stays broken.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  int digits(std::size_t count) {
    int value = 0;
    if (rest_.size() < count) return broken();
    for (char c : rest_.substr(0, count)) {
      if (c < '0' || c > '9') return broken();
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }

  bool accept(char c) {
    if (!ok_ || !rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool next_is_digit() const { return ok_ && !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; }

  // Digits after a decimal point; beyond microseconds they are cut off.
  microseconds fraction() {
    if (!next_is_digit()) broken();
    int value = 0;
    int places = 0;
    while (next_is_digit()) {
      if (places < 6) {
        value = value * 10 + (rest_[0] - '0');
        ++places;
      }
      rest_.remove_prefix(1);
    }
    for (; places < 6; ++places) value *= 10;
    return microseconds(value);
  }

  int broken() {
    ok_ = false;
    return 0;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::chrono::year_month_day read_date(Cursor& at) {
  const int year = at.digits(4);
  const bool dashed = at.accept('-');
  const int month = at.digits(2);
  if (dashed && !at.accept('-')) at.broken();
  const int day = at.digits(2);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (year == 0 || !date.ok()) at.broken();
  return date;
}

microseconds read_time_of_day(Cursor& at) {
  const int hour = at.digits(2);
  int minute = 0;
  int second = 0;
  microseconds fraction{0};
  const bool colons = at.accept(':');
  if (colons || at.next_is_digit()) {
    minute = at.digits(2);
    if (colons ? at.accept(':') : at.next_is_digit()) {
      second = at.digits(2);
      if (at.accept('.') || at.accept(',')) fraction = at.fraction();
    }
  }
  // 24:00 is midnight at the day's end in ISO 8601. Leap seconds are refused, as Python does.
  const bool midnight = hour == 24 && minute == 0 && second == 0 && fraction == microseconds(0);
  if ((hour > 23 && !midnight) || minute > 59 || second > 59) at.broken();
  return hours(hour) + minutes(minute) + seconds(second) + fraction;
}

// What to subtract to come to UTC. No offset: UTC, as Celery's workers take it.
seconds read_offset(Cursor& at) {
  if (at.accept('Z') || at.accept('z')) return seconds(0);
  const bool east = at.accept('+');
  if (!east && !at.accept('-')) return seconds(0);
  const int hour = at.digits(2);
  const bool colon = at.accept(':');
  const int minute = colon || at.next_is_digit() ? at.digits(2) : 0;
  const int second = (colon && at.accept(':')) ? at.digits(2) : 0;
  if (hour > 23 || minute > 59 || second > 59) at.broken();
  const seconds offset = hours(hour) + minutes(minute) + seconds(second);
  return east ? offset : -offset;
}

std::optional<Timestamp> parse(std::string_view text) {
  Cursor at(text);
  const auto date = read_date(at);
  microseconds time{0};
  seconds offset{0};
  if (at.ok() && !at.at_end()) {
    if (!at.accept('T') && !at.accept(' ') && !at.accept('t')) return std::nullopt;
    time = read_time_of_day(at);
    offset = read_offset(at);
  }
  if (!at.ok() || !at.at_end()) return std::nullopt;
  return Timestamp(std::chrono::sys_days(date)) + time - offset;
}

template <std::size_t N>
void append_digits(std::string& text, std::uint64_t number) {
  std::array<char, N> digits{};
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, number /= 10) {
    *digit = static_cast<char>('0' + number % 10);
  }
  text.append(digits.data(), N);
}

}  // namespace

// By hand: each result carries one, and a formatting library takes longer over it than over the rest of the result.
WireTime to_wire_time(Timestamp at) {
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(at - day);
  std::string text;
  text.reserve(std::string_view("2026-01-01T00:00:00.000000+00:00").size());
  const int year = static_cast<int>(date.year());
  if (year >= 0 && year <= 9999) {
    append_digits<4>(text, static_cast<std::uint64_t>(year));
  } else {
    text += std::to_string(year);
  }
  const auto append = [&text](char separator, auto two_digits) {
    text += separator;
    append_digits<2>(text, static_cast<std::uint64_t>(two_digits));
  };
  append('-', static_cast<unsigned>(date.month()));
  append('-', static_cast<unsigned>(date.day()));
  append('T', time.hours().count());
  append(':', time.minutes().count());
  append(':', time.seconds().count());
  // Python leaves the fraction out when there is none.
  if (time.subseconds().count() != 0) {
    text += '.';
    append_digits<6>(text, static_cast<std::uint64_t>(time.subseconds().count()));
  }
  text += "+00:00";
  return {std::move(text), at};
}

Result<WireTime> parse_wire_time(std::string_view text) {
  const auto at = parse(text);
  if (!at) {
    std::string message = "not an ISO 8601 time: ";
    append_json_string(message, text.substr(0, 40));
    return fail(Errc::bad_data, std::move(message));
  }
  return WireTime{std::string(text), *at};
}

}  // namespace lovage::wire
