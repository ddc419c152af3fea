// How the inner layers report failure: a value, with a code that carries the policy. The public
// surface throws (see lovage/error.hpp); raise() is the one place where the first becomes the second.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace lovage {

enum class Errc {
  unavailable,  // no connection, or it broke before anything was sent: safe to try again
  uncertain,    // it broke after the request was written: it may have been carried out
  timed_out,    // the deadline passed before anything was sent
  server_busy,  // LOADING, READONLY, MASTERDOWN, ...: resolve again and retry
  refused,      // the server said no, and would again: authentication, wrong type, out of memory
  bad_data,     // bytes that are not what they should be
  too_large,    // over a limit of ours
  not_found,
  misconfigured,  // a URL or setting that cannot work
  no_space,       // disk full, or read-only
};

struct Failure {
  Errc code;
  std::string message;  // one line for people, no secrets
};

template <class T>
using Result = tl::expected<T, Failure>;

inline tl::unexpected<Failure> fail(Errc code, std::string message) {
  return tl::unexpected<Failure>(Failure{code, std::move(message)});
}

// Trying the same again later can help.
constexpr bool is_retryable(Errc code) noexcept {
  return code == Errc::unavailable || code == Errc::timed_out || code == Errc::server_busy;
}

// Throws the exception of lovage/error.hpp that answers to the code. `task_id` goes into SendUncertain.
[[noreturn]] void raise(const Failure& failure, const std::string& task_id = {});

}  // namespace lovage
