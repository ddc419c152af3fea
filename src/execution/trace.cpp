#include "execution/trace.hpp"

#include <unistd.h>

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>

#include "app/invoke.hpp"
#include "base/backoff.hpp"
#include "base/process_id.hpp"
#include "base/suggest.hpp"

namespace lovage::execution {
namespace {

using std::chrono::steady_clock;

// What a message says of its task, but for the arguments.
void add_facts(RequestInfo& info, const wire::TaskMessage& message) {
  info.root_id = message.root_id.empty() ? message.id : message.root_id;
  info.id = message.id;
  info.task = message.task;
  info.retries = message.retries;
  info.parent_id = message.parent_id;
  info.group_id = message.group_id;
  info.group_index = message.group_index;
  if (message.eta) info.eta = message.eta->text;
  if (message.expires) info.expires = message.expires->text;
  info.origin = message.origin;
  info.reply_to = message.reply_to;
  info.exchange = message.exchange;
  info.routing_key = message.routing_key;
  info.priority = message.priority;
  info.redelivered = message.redelivered;
  info.headers = message.custom_headers;
  info.stamps = message.stamps;
}

// The context of a task that runs in a pool.
class RunState final : public Context::State {
 public:
  RunState(const TraceSettings& settings, const Request& from, StateSink& sink)
      : settings_(settings), from_(from), sink_(sink) {}

  void update_state(std::string_view state, Value meta) override {
    if (request.ignore_result) return;
    auto text = wire::encode_value(meta, wire::Serializer::json, settings_.json_types);
    if (!text) throw EncodeError(fmt::format("update_state({}): {}", state, text.error().message));
    if (text->size() > settings_.limits.max_bytes) {
      const std::string what = fmt::format("the state {} of task {}", state, from_.message->task);
      throw MessageTooLarge(wire::over_limit(what, text->size(), settings_.limits.max_bytes).message);
    }
    sink_.on_state(from_.job, std::string(state), std::move(*text));
  }

 private:
  void complete_request() override {
    add_facts(request, from_.message);
    request.hostname = settings_.hostname;
  }

  const TraceSettings& settings_;
  const Request& from_;
  StateSink& sink_;
};

bool ignores_result(const TraceSettings& settings, const wire::TaskMessage& message, const app::TaskDefinition& task) {
  return message.ignore_result.value_or(task.options.ignore_result.value_or(settings.ignore_result));
}

std::optional<double> seconds(std::optional<std::chrono::milliseconds> limit) {
  if (!limit) return std::nullopt;
  return std::chrono::duration<double>(*limit).count();
}

RetryAsked retry_asked(RetryOptions options, std::string message) {
  RetryAsked asked;
  if (options.eta) asked.eta = std::chrono::floor<std::chrono::microseconds>(*options.eta);
  asked.countdown = options.countdown.value_or(std::chrono::milliseconds(0));
  asked.args = std::move(options.args);
  asked.kwargs = std::move(options.kwargs);
  if (options.max_retries) asked.max_retries = *options.max_retries;
  if (!options.queue.empty()) asked.queue = std::move(options.queue);
  asked.priority = options.priority;
  if (options.time_limit || options.soft_time_limit)
    asked.timelimit = wire::TimeLimits{.hard = seconds(options.time_limit), .soft = seconds(options.soft_time_limit)};
  asked.message = std::move(message);
  return asked;
}

void fail_with(Outcome& outcome, std::string type, std::string module, std::string argument) {
  outcome.kind = Outcome::Kind::failure;
  outcome.exception = {.type = std::move(type), .module = std::move(module), .arguments = {Value(std::move(argument))}};
}

// Turns what the task did into an outcome.
struct Conclude {
  const TraceSettings& settings;
  const std::string& task;
  Outcome& outcome;

  void operator()(app::Returned&& returned) const {
    auto text = wire::encode_value(returned.value, wire::Serializer::json, settings.json_types);
    if (!text) return fail_with(outcome, "EncodeError", "kombu.exceptions", std::move(text.error().message));
    if (text->size() > settings.limits.max_bytes) {
      auto why = wire::over_limit("the result of task " + task, text->size(), settings.limits.max_bytes);
      return fail_with(outcome, "EncodeError", "kombu.exceptions", std::move(why.message));
    }
    outcome.kind = Outcome::Kind::success;
    outcome.result_json = std::move(*text);
  }
  void operator()(app::Raised&& raised) const {
    outcome.kind = Outcome::Kind::failure;
    outcome.exception = std::move(raised.exception);
    outcome.traceback = std::move(raised.traceback);
    outcome.expected = raised.expected;
  }
  void operator()(app::RetryRaised&& raised) const {
    outcome.kind = Outcome::Kind::retry;
    outcome.retry = retry_asked(std::move(raised.options), std::move(raised.message));
    outcome.exception = std::move(raised.reason);
    outcome.traceback = std::move(raised.traceback);
  }
  void operator()(Ignore&&) const { outcome.kind = Outcome::Kind::ignored; }
  void operator()(app::Replaced&& replaced) const {
    outcome.kind = Outcome::Kind::replaced;
    outcome.replacement = std::move(replaced.signature);
  }
  void operator()(Reject&& reject) const {
    outcome.kind = Outcome::Kind::rejected;
    outcome.reason = std::move(reject.reason);
    outcome.requeue = reject.requeue;
  }
};

void run(const TraceSettings& settings, const app::TaskDefinition& task, const Request& request, wire::Body body,
         StateSink& sink, Outcome& outcome) {
  RunState state(settings, request, sink);
  state.request.args = std::move(body.args);
  state.request.kwargs = std::move(body.kwargs);
  state.request.is_chord_part = body.embed.chord && request.message->group_id;
  state.request.ignore_result = ignores_result(settings, request.message, task);
  state.definition = &task;
  const auto began = steady_clock::now();
  if (request.soft_time_limit) state.soft_deadline = began + *request.soft_time_limit;
  app::Invocation invocation = app::invoke(task, state, random_u64());
  outcome.runtime = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began);
  outcome.children = std::move(state.children);
  outcome.added_to_chord = std::move(state.added_to_chord);
  std::visit(Conclude{settings, request.message->task, outcome}, std::move(invocation));
}

}  // namespace

TraceSettings trace_settings(const Config& config, std::string hostname, std::string process_name) {
  TraceSettings settings;
  for (const std::string& name : config.accept_content) {
    const auto serializer = wire::serializer_from_name(name);
    if (!serializer) {
      static const std::vector<std::string> kKnown{"json", "msgpack"};
      throw ConfigError(fmt::format("accept_content: unknown serializer '{}'{}", name, did_you_mean(name, kKnown)));
    }
    settings.accept_content.emplace_back(wire::mime_name(*serializer));
  }
  if (config.json_types == "5.2") {
    settings.json_types = wire::JsonTypes::celery_5_2;
  } else if (config.json_types != "5.6") {
    throw ConfigError(fmt::format("json_types: '{}' is neither 5.6 nor 5.2", config.json_types));
  }
  settings.limits.max_bytes = config.task_message_max_bytes;
  settings.ignore_result = config.task_ignore_result;
  settings.hostname = std::move(hostname);
  settings.process_name = std::move(process_name);
  return settings;
}

Outcome trace(const TraceSettings& settings, const app::Registry& registry, const Request& request, StateSink& sink) {
  Outcome outcome;
  outcome.job = request.job;
  outcome.pid = process_id();
  outcome.process_name = settings.process_name;
  const app::TaskDefinition* const task = registry.find(request.message->task);
  if (task == nullptr) {
    fail_with(outcome, "NotRegistered", "celery.exceptions", request.message->task);
    return outcome;
  }
  auto body = wire::decode_body(request.message, settings.accept_content, settings.limits);
  if (!body) {
    outcome.kind = Outcome::Kind::malformed;
    outcome.reason = std::move(body.error().reason);
    outcome.detail = std::move(body.error().detail);
    return outcome;
  }
  run(settings, *task, request, std::move(*body), sink, outcome);
  return outcome;
}

}  // namespace lovage::execution
