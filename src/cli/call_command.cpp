#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>

#include <fmt/format.h>
#include <lovage/app.hpp>
#include <lovage/error.hpp>

#include "cli/command.hpp"
#include "cli/print.hpp"
#include "cli/result_text.hpp"
#include "cli/session.hpp"
#include "wire/task_message.hpp"

namespace lovage::cli {
namespace {

struct Options {
  std::string name;
  std::string args;
  std::string kwargs;
  std::string eta;
  std::optional<double> countdown;
  std::string expires;
  std::string serializer;
  std::string queue;
  std::string exchange;
  std::string routing_key;
  std::optional<int> priority;
  std::string headers;
  std::string task_id;
  bool wait = false;
  std::optional<double> timeout;
  bool json = false;
};

// JSON of one kind; an empty text is the empty value.
template <class T>
T read_json(std::string_view option, const std::string& text, std::string_view kind) {
  if (text.empty()) return {};
  try {
    Value value = from_json(text);
    if (auto* const found = value.get_if<T>()) return std::move(*found);
  } catch (const DecodeError& error) {
    throw ConfigError(fmt::format("{}: {}", option, error.what()));
  }
  throw ConfigError(fmt::format("{}: '{}' is no JSON {}", option, text, kind));
}

std::chrono::milliseconds milliseconds(std::string_view option, double seconds) {
  constexpr double kMost = 1e10;  // 300 years
  if (!(seconds >= -kMost && seconds <= kMost))
    throw ConfigError(fmt::format("{}: {} s is too far away", option, seconds));
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

std::chrono::system_clock::time_point read_time(std::string_view option, const std::string& text) {
  const auto time = wire::parse_wire_time(text);
  if (!time) throw ConfigError(fmt::format("{}: '{}' is no time; write 2026-12-31T23:59:00+00:00", option, text));
  return time->at;
}

// Seconds from now, or a point in time.
Expires read_expires(const std::string& text) {
  double seconds = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && rest == text.data() + text.size()) return milliseconds("--expires", seconds);
  return read_time("--expires", text);
}

ApplyOptions apply_options(const Options& options) {
  ApplyOptions out;
  out.task_id = options.task_id;
  out.queue = options.queue;
  out.exchange = options.exchange;
  out.routing_key = options.routing_key;
  if (options.countdown) out.countdown = milliseconds("--countdown", *options.countdown);
  if (!options.eta.empty()) out.eta = read_time("--eta", options.eta);
  if (!options.expires.empty()) out.expires = read_expires(options.expires);
  out.priority = options.priority;
  out.serializer = options.serializer;
  out.headers = read_json<Object>("--headers", options.headers, "object");
  return out;
}

int call(Session& session, const Options& options) {
  if (options.name.empty()) throw ConfigError("the task's name is missing: lovage call NAME");
  auto args = read_json<Array>("-a/--args", options.args, "array");
  auto kwargs = read_json<Object>("-k/--kwargs", options.kwargs, "object");
  const auto sent = session.app().send_task(options.name, std::move(args), std::move(kwargs), apply_options(options));
  if (!options.wait) {
    if (options.json) {
      print_json({{"id", sent.id()}});
    } else {
      print(sent.id());
    }
    return kOk;
  }
  if (!options.json && !session.globals().quiet) {
    std::fputs((sent.id() + '\n').c_str(), stderr);  // the answer alone goes to stdout
  }
  const auto meta = wait_for_result(session.backend(Session::Database::may_be_made), sent.id(), options.timeout);
  return print_result(meta, options.json ? ResultForm::json : ResultForm::value);
}

}  // namespace

Run declare_call(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* names, auto& target, const char* help, const char* type) {
    return parser.add_option(names, target, help)->type_name(type);
  };
  parser.add_option("NAME", options->name, "The task's name");
  add("-a,--args", options->args, "Positional arguments: a JSON array", "JSON");
  add("-k,--kwargs", options->kwargs, "Keyword arguments: a JSON object", "JSON");
  add("--eta", options->eta, "Not before this time: ISO 8601, UTC where it has no offset", "TIME");
  add("--countdown", options->countdown, "Not before so many seconds from now", "SECONDS");
  add("--expires", options->expires, "Not after so many seconds from now, or that time", "SECONDS|TIME");
  add("--serializer", options->serializer, "json (default) or msgpack", "SERIALIZER");
  add("--queue", options->queue, "The queue; default: as the settings route it", "NAME");
  add("--exchange", options->exchange, "An exchange instead, with --routing-key", "NAME");
  add("--routing-key", options->routing_key, "The key for the exchange", "KEY");
  add("--priority", options->priority, "0 (served first) to 9", "N")->check(CLI::Range(0, 255));
  add("--headers", options->headers, "Headers of your own: a JSON object", "JSON");
  add("--task-id", options->task_id, "The task's id; default: a new one", "ID");
  parser.add_flag("--wait", options->wait, "Wait for the result and print it instead of the id");
  add("-t,--timeout", options->timeout, "With --wait: at most so long", "SECONDS")->check(CLI::NonNegativeNumber);
  parser.add_flag("-j,--json", options->json, "Print JSON");
  return [options](Session& session) { return call(session, *options); };
}

}  // namespace lovage::cli
