#include "base/result.hpp"

#include <lovage/error.hpp>

namespace lovage {

void raise(const Failure& failure, const std::string& task_id) {
  switch (failure.code) {
    case Errc::uncertain:
      throw SendUncertain(failure.message, task_id);
    case Errc::timed_out:
    case Errc::unavailable:
    case Errc::server_busy:
    case Errc::refused:
    case Errc::no_space:
    case Errc::not_found:
      throw ConnectionError(failure.message);
    case Errc::bad_data:
      throw DecodeError(failure.message);
    case Errc::too_large:
      throw EncodeError(failure.message);
    case Errc::misconfigured:
      throw ConfigError(failure.message);
  }
  throw Error(failure.message);
}

}  // namespace lovage
