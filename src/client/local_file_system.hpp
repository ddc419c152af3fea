// Whether a file system can carry a database that several processes share.
#pragma once

#include <string>

#include "base/result.hpp"

namespace lovage::client {

// Refuses network file systems, whose locks and change notices do not reach other machines (misconfigured),
// and folders that do not exist.
Result<void> check_local_file_system(const std::string& database_path);

}  // namespace lovage::client
