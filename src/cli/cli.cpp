#include "cli/cli.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include <lovage/error.hpp>
#include <lovage/main.hpp>

#include "cli/app_target.hpp"
#include "cli/parser.hpp"
#include "cli/pid_file.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"
#include "execution/fork_server.hpp"

namespace lovage::cli {
namespace {

namespace fs = std::filesystem;

// The folder that relative names start at. A fork server is there already.
fs::path working_folder(const Globals& globals) {
  if (globals.workdir.empty() || globals.fork_server) return fs::current_path();
  return fs::absolute(globals.workdir);
}

void enter(const fs::path& folder) {
  std::error_code error;
  fs::current_path(folder, error);
  if (error) throw ConfigError("--workdir '" + folder.string() + "': " + error.message());
}

// `lovage -A ./shop worker` is `./shop -A ./shop worker`. Returns only when that cannot be done.
void become(const fs::path& program, char** argv) {
  ::execv(program.c_str(), argv);
  throw ConfigError("cannot run '" + program.string() + "': " + std::strerror(errno));
}

void check_own(const AppTarget& target, const std::string& name) {
  std::error_code error;
  if (!fs::equivalent(target.path, "/proc/self/exe", error) || error) {
    throw ConfigError("this program is an app of its own; -A '" + name + "' names another (use lovage -A)");
  }
}

int run_parsed(Parsed& parsed, App* own, char** argv) {
  const Globals& globals = parsed.globals;
  const std::string command(parsed.command->name);
  const fs::path folder = working_folder(globals);
  if (!globals.app.empty()) {
    const AppTarget target = find_app(globals.app, folder, command);
    if (own != nullptr) {
      check_own(target, globals.app);
    } else if (target.kind == AppTarget::Kind::program) {
      become(target.path, argv);
    }
  }
  if (!globals.workdir.empty() && !globals.fork_server) enter(folder);
  Session session(globals, own, command);
  return parsed.run(session);
}

int run_arguments(App* own, char** argv, const std::string& program, std::vector<std::string> arguments) {
  // Pools start this same program again as their fork server, with the worker's own arguments behind the flag.
  const bool fork_server = !arguments.empty() && arguments.front() == execution::kForkServerFlag;
  if (fork_server) arguments.erase(arguments.begin());
  auto parsed = parse(program, std::move(arguments), own == nullptr);
  if (const auto* text = std::get_if<Text>(&parsed)) {
    std::fputs(text->text.c_str(), stdout);
    return kOk;
  }
  auto& command = std::get<Parsed>(parsed);
  command.globals.fork_server = fork_server;
  return run_parsed(command, own, argv);
}

int answer(int code) {
  if (flush_output()) return code;
  print_error(std::string("cannot write to stdout: ") + std::strerror(errno));
  return code == kOk ? kFailure : code;
}

}  // namespace

int run(App* own, int argc, char** argv) {
  const std::string program = argc > 0 ? fs::path(argv[0]).filename().string() : "lovage";
  try {
    return answer(run_arguments(own, argv, program, {argv + std::min(argc, 1), argv + argc}));
  } catch (const ConfigError& error) {
    print_error(error.what());
    return kUsage;
  } catch (const ConnectionError& error) {
    print_error(error.what());
    return kUnavailable;
  } catch (const CannotCreate& error) {
    print_error(error.what());
    return kCannotCreate;
  } catch (const std::system_error& error) {
    // A thread that cannot be started says no more than why.
    const bool limited = error.code() == std::errc::resource_unavailable_try_again;
    print_error(limited ? fmt::format("{}: no more processes or threads may be started (ulimit -u, or the "
                                      "container's limit)",
                                      error.what())
                        : error.what());
    return kFailure;
  } catch (const std::exception& error) {
    print_error(error.what());
    return kFailure;
  }
}

}  // namespace lovage::cli

namespace lovage {

int main(App& app, int argc, char** argv) {
  return cli::run(&app, argc, argv);
}

}  // namespace lovage
