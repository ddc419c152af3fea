#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include <fmt/format.h>
#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "base/printable.hpp"
#include "cli/command.hpp"
#include "cli/print.hpp"
#include "cli/result_text.hpp"
#include "cli/session.hpp"

namespace lovage::cli {
namespace {

struct Options {
  std::string id;
  std::string task;
  std::optional<double> timeout;
  bool traceback = false;
  bool state = false;
  bool raw = false;
  bool json = false;
};

// Somebody who mistyped an id would wait for ever without a word.
void say_that_it_waits(backend::Backend& backend, const Options& options) {
  if (options.timeout || ::isatty(STDERR_FILENO) == 0) return;
  const auto meta = current_result(backend, options.id);
  if (states::is_ready(meta.status)) return;
  const char* meaning = meta.status == states::pending ? ", or not known at all" : "";
  fmt::print(stderr, "Task {} is {}{}; waiting for it (--timeout limits that, Ctrl-C ends it)\n", options.id,
             meta.status, meaning);
}

int result(Session& session, const Options& options) {
  if (options.id.empty()) throw ConfigError("the task's id is missing: lovage result ID");
  auto& backend = session.backend();
  if (options.state) {
    const auto meta = current_result(backend, options.id);
    if (options.json) {
      print_json({{"id", options.id}, {"state", meta.status}});
    } else {
      print(printable(meta.status));
    }
    return kOk;
  }
  say_that_it_waits(backend, options);
  const auto meta = wait_for_result(backend, options.id, options.timeout);
  if (options.traceback && !options.json) {
    print(printable(meta.traceback.value_or(""), Lines::many));
    return meta.status == states::success ? kOk : kFailure;
  }
  return print_result(meta, options.json ? ResultForm::json : options.raw ? ResultForm::raw : ResultForm::value);
}

}  // namespace

Run declare_result(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  parser.add_option("ID", options->id, "The task's id");
  parser.add_option("-t,--task", options->task, "The task's name (Celery's option; results are found without it)")
      ->type_name("NAME");
  parser.add_option("--timeout", options->timeout, "How long to wait; default: until it is ready")
      ->type_name("SECONDS")
      ->check(CLI::NonNegativeNumber);
  parser.add_flag("--traceback", options->traceback, "Print the traceback of a failed task instead");
  parser.add_flag("--state", options->state, "Print the state as it is now, without waiting");
  parser.add_flag("--raw", options->raw, "Print a string without quotes");
  parser.add_flag("-j,--json", options->json, "Print id, state, result and traceback as JSON");
  return [options](Session& session) { return result(session, *options); };
}

}  // namespace lovage::cli
