// The options that every command takes, before or after its name.
#pragma once

#include <string>
#include <vector>

namespace lovage::cli {

// Their heading in the help text.
inline constexpr const char* kGlobalOptions = "Global options (before or after the command)";

struct Globals {
  std::string app;             // -A
  std::string broker;          // -b
  std::string result_backend;  // --result-backend
  std::string config;          // --config: a TOML file
  std::string workdir;         // --workdir
  bool no_color = false;       // -C
  bool quiet = false;          // -q

  // This process is the fork server of a worker with the same arguments (see lovage/main.hpp).
  bool fork_server = false;
  std::vector<std::string> arguments;  // argv from 1 on, without the fork server's flag
};

}  // namespace lovage::cli
