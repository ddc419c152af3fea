// What a worker is called: "celery@host".
#pragma once

#include <string>
#include <string_view>

namespace lovage::worker {

// This machine's name, as gethostname(2) says it.
std::string host_name();

}  // namespace lovage::worker
