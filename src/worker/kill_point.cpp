#include "worker/kill_point.hpp"

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>

namespace lovage::worker {

std::string_view name_of(KillPoint point) noexcept {
  switch (point) {
    case KillPoint::after_reserve:
      return "after_reserve";
    case KillPoint::before_run:
      return "before_run";
    case KillPoint::after_run:
      return "after_run";
    case KillPoint::before_settle:
      return "before_settle";
    case KillPoint::after_settle:
      return "after_settle";
    case KillPoint::before_count:
      return "before_count";
    case KillPoint::after_count:
      return "after_count";
    case KillPoint::before_join:
      return "before_join";
    case KillPoint::in_continuation:
      return "in_continuation";
    case KillPoint::after_continuation:
      return "after_continuation";
  }
  return "";
}

#ifdef LOVAGE_KILL_POINTS
namespace {

struct Wish {
  std::string name;
  long passing = 1;
};

Wish wish_of_environment() {
  const char* const text = std::getenv("LOVAGE_KILL_POINT");  // read before main, by one thread
  if (text == nullptr) return {};
  const std::string_view all(text);
  const auto colon = all.find(':');
  Wish wish{.name = std::string(all.substr(0, colon))};
  if (colon != std::string_view::npos) std::from_chars(text + colon + 1, text + all.size(), wish.passing);
  return wish;
}

const Wish& wish() {
  static const Wish kWish = wish_of_environment();
  return kWish;
}

}  // namespace

namespace detail {

const bool kKillPointArmed = !wish().name.empty();

void pass_kill_point(KillPoint point) noexcept {
  static std::atomic<long> passed{0};
  if (wish().name != name_of(point)) return;
  if (++passed == wish().passing) std::raise(SIGKILL);
}

}  // namespace detail
#endif

}  // namespace lovage::worker
