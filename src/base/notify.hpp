// Tells the service manager that started this process how it is: systemd's notification protocol.
#pragma once

#include <string_view>

namespace lovage {

// Sends `state` ("READY=1", "STOPPING=1") to the socket that NOTIFY_SOCKET names. Does nothing without
// one: a process that nobody waits for has nobody to tell. Thread-safe.
void notify_service_manager(std::string_view state) noexcept;

}  // namespace lovage
