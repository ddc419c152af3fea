// Task states, with Celery's names (celery.states). Custom states are plain strings.
#pragma once

#include <string_view>

namespace lovage::states {

// NOLINTBEGIN(readability-identifier-naming): words of the field, read as states::success
inline constexpr std::string_view pending = "PENDING";    // unknown id, or waiting: never stored
inline constexpr std::string_view received = "RECEIVED";  // in events only
inline constexpr std::string_view started = "STARTED";    // stored with task_track_started
inline constexpr std::string_view success = "SUCCESS";
inline constexpr std::string_view failure = "FAILURE";
inline constexpr std::string_view retry = "RETRY";
inline constexpr std::string_view revoked = "REVOKED";
inline constexpr std::string_view rejected = "REJECTED";  // in events only
// NOLINTEND(readability-identifier-naming)

// Final: the result will not change any more. Celery: READY_STATES.
constexpr bool is_ready(std::string_view state) noexcept {
  return state == success || state == failure || state == revoked;
}

// The stored result describes an exception. Celery: EXCEPTION_STATES.
constexpr bool is_exception(std::string_view state) noexcept {
  return state == failure || state == revoked || state == retry;
}

// get() throws for these. Celery: PROPAGATE_STATES.
constexpr bool is_propagated(std::string_view state) noexcept {
  return state == failure || state == revoked;
}

// Whether a stored state may be replaced by a new one: a ready state is final for STARTED, RETRY
// and custom states, and a SUCCESS for everything.
constexpr bool may_replace(std::string_view stored, std::string_view next) noexcept {
  if (stored == success) return false;
  return !is_ready(stored) || is_ready(next);
}

}  // namespace lovage::states
