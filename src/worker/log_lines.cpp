#include "worker/log_lines.hpp"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/logging.hpp"
#include "base/printable.hpp"
#include "wire/body.hpp"

namespace lovage::worker {
namespace {

using execution::Outcome;
using log::Level;

std::string label(const Job& job) {
  return fmt::format("{}[{}]", printable(job.name()), printable(job.id()));
}

Object fields_of(const Job& job) {
  Object fields{{"id", Value(job.id())},
                {"name", Value(job.name())},
                {"args", Value(job.message->argsrepr)},
                {"kwargs", Value(job.message->kwargsrepr)}};
  return fields;
}

double seconds_of(const Outcome& outcome) {
  return static_cast<double>(outcome.runtime.count()) / 1e6;
}

double seconds_of(std::optional<std::chrono::milliseconds> limit) {
  return limit ? static_cast<double>(limit->count()) / 1e3 : 0;
}

void success_line(const Job& job, const Outcome& outcome) {
  const auto value = wire::decode_value(outcome.result_json, wire::Serializer::json);
  const std::string result = value ? wire::safe_repr(*value) : outcome.result_json;
  Object fields = fields_of(job);
  fields.set("return_value", Value(result));
  fields.set("runtime", Value(seconds_of(outcome)));
  log::info(fmt::format("Task {} succeeded in {}s: {}", label(job), seconds_of(outcome), result), fields);
}

void failure_line(const Job& job, const Outcome& outcome) {
  const std::string repr = outcome.exception.repr();
  Object fields = fields_of(job);
  fields.set("exc", Value(repr));
  fields.set("traceback", Value(outcome.traceback));
  fields.set("runtime", Value(seconds_of(outcome)));
  if (outcome.expected) {
    log::info(fmt::format("Task {} raised expected: {}", label(job), repr), fields);
    return;
  }
  std::string text = fmt::format("Task {} raised unexpected: {}", label(job), repr);
  if (!outcome.traceback.empty()) text += "\n" + outcome.traceback;
  log::error(text, fields);
}

Level level_of(Outcome::Kind kind, bool expected) {
  switch (kind) {
    case Outcome::Kind::failure:
      return expected ? Level::info : Level::error;
    case Outcome::Kind::rejected:
      return Level::warning;
    case Outcome::Kind::timed_out:
    case Outcome::Kind::lost:
      return Level::error;
    case Outcome::Kind::malformed:
      return Level::critical;
    default:
      return Level::info;
  }
}

std::string replacement_name(const Outcome& outcome) {
  const Value* const task = outcome.replacement.find("task");
  return task != nullptr && task->if_string() != nullptr ? printable(*task->if_string()) : "another task";
}

std::string text_of(const Job& job, const Outcome& outcome, const broker::Settlement& settlement) {
  const std::string task = label(job);
  switch (outcome.kind) {
    case Outcome::Kind::retry:
      return fmt::format("Task {} retry: {}", task, outcome.retry.message);
    case Outcome::Kind::ignored:
      return fmt::format("Task {} ignored", task);
    case Outcome::Kind::replaced:
      return fmt::format("Task {} replaced by {}", task, replacement_name(outcome));
    case Outcome::Kind::rejected:
      return fmt::format("Task {} reject requeue={}: {}", task, outcome.requeue ? "True" : "False", outcome.reason);
    case Outcome::Kind::timed_out:
      return fmt::format("Hard time limit ({}s) exceeded for {}", seconds_of(job.rules.time_limit), task);
    case Outcome::Kind::revoked:
      return fmt::format("Discarding revoked task: {}", task);
    case Outcome::Kind::lost: {
      const bool back = settlement.disposal == broker::Disposal::schedule;
      const bool dead = !settlement.dead_letter.reason.empty();
      return fmt::format("Task handler raised error: WorkerLostError('{}'): {} {}", outcome.death.describe(), task,
                         back   ? "goes back to its queue"
                         : dead ? "moved to the dead letters"
                                : "failed");
    }
    case Outcome::Kind::malformed:
      return fmt::format("Can't decode message body: {} ({}) [id:{} task:{}]: moved to the dead letters",
                         printable(outcome.detail), outcome.reason, printable(job.id()), printable(job.message->task));
    default:
      return fmt::format("Task {} was not started: it goes back to its queue", task);
  }
}

}  // namespace

void log_line(const LogLine& line) {
  log::write(line.level, line.text, line.fields);
}

void log_received(const Job& job) {
  if (!log::enabled(Level::info)) return;
  Object fields = fields_of(job);
  fields.set("eta", job.message->eta ? Value(job.message->eta->text) : Value());
  log::info(fmt::format("Task {} received", label(job)), fields);
}

void log_outcome(const Job& job, const Outcome& outcome, const broker::Settlement& settlement) {
  const Level level = level_of(outcome.kind, outcome.expected);
  if (!log::enabled(level)) return;
  // The line names the process or thread that ran the task, though the parent writes it.
  std::optional<log::ThreadName> writer;
  if (!outcome.process_name.empty()) writer.emplace(outcome.process_name);
  if (outcome.kind == Outcome::Kind::success) return success_line(job, outcome);
  if (outcome.kind == Outcome::Kind::failure) return failure_line(job, outcome);
  log::write(level, text_of(job, outcome, settlement), fields_of(job));
}

void log_soft_time_limit(const Job& job) {
  log::warning(fmt::format("Soft time limit ({}s) exceeded for {}", seconds_of(job.rules.soft_time_limit), label(job)),
               fields_of(job));
}

void log_graph_lost(const Job& job, const std::string& why) {
  log::error(fmt::format("Task {} moved to the dead letters: what follows it cannot be read: {}", label(job), why),
             fields_of(job));
}

void log_fenced(const std::string& id) {
  log::warning(fmt::format("Task [{}] is no longer this worker's: its outcome was not stored", id),
               {{"id", Value(id)}});
}

void log_not_settled(const std::string& id) {
  log::critical(fmt::format("Task [{}] could not be settled: the broker refused a write; it stays reserved", id),
                {{"id", Value(id)}});
}

}  // namespace lovage::worker
