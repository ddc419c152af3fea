#include "cli/whereabouts.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <utility>

#include "wire/task_message.hpp"

namespace lovage::cli {
namespace {

// What a broker remembers of a message wins over what the message says: a retry may have an eta as well.
std::string why_scheduled(const broker::Marks& marks, const wire::TaskMessage& message) {
  if (marks.waited_unknown.count() > 0) return "unknown task";
  if (marks.suspect) return "suspect";
  if (message.retries > 0) return "retry";
  return message.eta ? "eta" : "delayed";
}

Seen read(broker::Sighting sighting, std::vector<Successor>* successors) {
  Seen seen;
  if (sighting.is_continuation) {
    seen.why = "continuation";
    if (successors != nullptr) *successors = successors_of_continuation(sighting.bytes);
    std::string().swap(sighting.bytes);
    seen.at = std::move(sighting);
    return seen;
  }
  auto message = wire::decode_envelope(sighting.bytes);
  if (message) {
    if (successors != nullptr) *successors = successors_of(*message);
    seen.id = std::move(message->id);
    seen.task = std::move(message->task);
    seen.group_id = message->group_id.value_or("");
    if (message->eta) seen.eta = message->eta->at;
    seen.sent_again = message->custom_headers.find("lovage_history") != nullptr;
  } else {
    seen.unreadable = message.error().reason + ": " + message.error().detail;
    seen.id = message.error().id;
    seen.task = message.error().task;
  }
  if (sighting.place == broker::Place::dead) {
    seen.why = sighting.letter.reason;
    if (seen.id.empty()) seen.id = sighting.letter.task_id;
  }
  if (sighting.place == broker::Place::scheduled && message) seen.why = why_scheduled(sighting.marks, *message);
  std::string().swap(sighting.bytes);
  seen.at = std::move(sighting);
  return seen;
}

}  // namespace

Seen read(broker::Sighting sighting) {
  return read(std::move(sighting), nullptr);
}

SeenOnItsWay read_with_successors(broker::Sighting sighting) {
  SeenOnItsWay found;
  found.seen = read(std::move(sighting), &found.successors);
  return found;
}

std::string_view name_of(broker::Place place) noexcept {
  switch (place) {
    case broker::Place::queued:
      return "queued";
    case broker::Place::python:
      return "held by Python";
    case broker::Place::inbox:
      return "inbox";
    case broker::Place::reserved:
      return "reserved";
    case broker::Place::scheduled:
      return "scheduled";
    case broker::Place::dead:
      return "dead";
    case broker::Place::adoption:
      return "waits for a worker";
  }
  return "?";
}

std::string place_text(const Seen& seen) {
  const auto& at = seen.at;
  const std::string step = at.step == 0 ? "" : fmt::format(" (priority {})", at.step);
  switch (at.place) {
    case broker::Place::queued:
      return fmt::format("queued in '{}'{}", at.queue, step);
    case broker::Place::python:
      return fmt::format("held by a Python worker, of '{}'", at.queue);
    case broker::Place::inbox:
    case broker::Place::reserved:
      return fmt::format("{}{} by {}, of '{}'", at.is_continuation ? "is " : "",
                         at.place == broker::Place::inbox ? "taken" : "reserved",
                         at.holder.get().empty() ? "nobody" : at.holder.get(), at.queue);
    case broker::Place::scheduled:
      return fmt::format("scheduled for '{}' at {} ({})", at.queue, at.due ? iso(*at.due) : "?", seen.why);
    case broker::Place::dead:
      return fmt::format("dead letter {} ({})", at.letter_key, seen.why);
    case broker::Place::adoption:
      return fmt::format("waits for a worker that serves '{}'", at.queue);
  }
  return "?";
}

std::string iso(Timestamp at) {
  // The system clock's nanoseconds end in 2262; what is scheduled may be due later.
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(std::time_t{seconds}));
}

}  // namespace lovage::cli
