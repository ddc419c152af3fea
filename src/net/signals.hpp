// Signals as events of a loop: a handler that writes their numbers into a pipe.
#pragma once

#include <initializer_list>
#include <memory>

#include "base/unique_function.hpp"
#include "net/poller.hpp"
#include "net/registration.hpp"

namespace lovage::net {

// The signals do what they did by default once the registration ends. One registration a process and signal: throws
// std::logic_error for a second one.
[[nodiscard]] std::shared_ptr<Registration::State> watch_signals(Poller& poller, std::initializer_list<int> signals,
                                                                 UniqueFunction<void(int)> function);

}  // namespace lovage::net
