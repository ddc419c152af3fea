// From arguments and environment to a command that can be run.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "cli/command.hpp"
#include "cli/globals.hpp"

namespace lovage::cli {

// The arguments ask for text (--help, --version, no command at all), not for a command.
struct Text {
  std::string text;
};

struct Parsed {
  const Command* command;
  Globals globals;
  Run run;
  std::shared_ptr<CLI::App> parser;  // holds what `run` refers to
};

// Environment variables of the global options, the first that is set wins. CELERY_BROKER_URL and
// CELERY_RESULT_BACKEND are settings, which the app reads itself: they must not override what only programs without
// this command line would see.
struct EnvironmentNames {
  const char* option;
  std::vector<const char*> names;
};
const std::vector<EnvironmentNames>& global_environment();

// Throws ConfigError, with the nearest known name for what is unknown. `program` is for the usage lines. A program that
// is an app itself does not take one from the environment (`app_from_environment` false).
std::variant<Text, Parsed> parse(const std::string& program, std::vector<std::string> arguments,
                                 bool app_from_environment);

}  // namespace lovage::cli
