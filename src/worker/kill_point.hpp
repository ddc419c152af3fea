// Places where a fault test lets the process die: LOVAGE_KILL_POINT=<name>[:n] raises SIGKILL at the n-th
// passing of the place. Compiled in with the CMake option LOVAGE_KILL_POINTS; not armed, it costs a branch.
#pragma once

#include <string_view>

namespace lovage::worker {

enum class KillPoint {
  after_reserve,
  before_run,
  after_run,
  before_settle,
  after_settle,
  // Of workflows: around a settlement that may leave a continuation, as all do that count a part of a chord ...
  before_count,
  after_count,
  // ... and in a continuation: the parts have been read, its settlement is made, its settlement is answered.
  before_join,
  in_continuation,
  after_continuation,
};

std::string_view name_of(KillPoint point) noexcept;

#ifdef LOVAGE_KILL_POINTS
namespace detail {
extern const bool kKillPointArmed;
void pass_kill_point(KillPoint point) noexcept;
}  // namespace detail
inline void pass(KillPoint point) noexcept {
  if (detail::kKillPointArmed) [[unlikely]]
    detail::pass_kill_point(point);
}
#else
inline void pass(KillPoint /*point*/) noexcept {}
#endif

}  // namespace lovage::worker
