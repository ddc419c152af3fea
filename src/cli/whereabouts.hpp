// One message of a survey in words: what it is, where it is and why. For `audit` and `explain`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/survey.hpp"
#include "cli/successors.hpp"

namespace lovage::cli {

struct Seen {
  broker::Sighting at;  // without the message's bytes
  std::string id;       // empty when the message cannot be read, and of a continuation
  std::string task;
  std::string group_id;  // empty: of none
  std::optional<Timestamp> eta;
  std::string unreadable;  // why; empty: it could be read
  std::string why;  // scheduled: "eta", "retry", "unknown task", "suspect", "delayed"; dead: the reason; "continuation"
  bool sent_again = false;  // a dead letter that somebody sent again under its own id: its FAILURE may stand beside it
};
Seen read(broker::Sighting sighting);
// With what has to follow.
struct SeenOnItsWay {
  Seen seen;
  std::vector<Successor> successors;
};
SeenOnItsWay read_with_successors(broker::Sighting sighting);

// "queued", "held by Python", "inbox", "reserved", "scheduled", "dead", "waits for a worker".
std::string_view name_of(broker::Place place) noexcept;

// "queued in 'celery'", "reserved, of 'celery'"
std::string place_text(const Seen& seen);

// "2026-01-31T12:00:00Z"
std::string iso(Timestamp at);

// How long each request of a survey may take.
inline constexpr std::chrono::seconds kSurveyPatience{60};

}  // namespace lovage::cli
