#include "cli/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include <lovage/states.hpp>

#include "cli/session.hpp"
#include "wire/result_meta.hpp"

namespace lovage::cli {
namespace {

constexpr std::size_t kResultsAtOnce = 500;
constexpr int kRounds = 4;
constexpr std::chrono::milliseconds kBetweenRounds{100};

std::string state_of(const std::string& meta) {
  const auto decoded = wire::decode_result_meta(meta);
  return decoded ? decoded->status : "unreadable";
}

AuditPlace row_of(const Seen& seen) {
  AuditPlace row;
  row.place = name_of(seen.at.place);
  row.where = seen.at.queue;
  row.why = seen.why;
  row.holder = seen.at.holder;
  return row;
}

std::string joined(const std::vector<Seen>& places) {
  std::string text;
  for (const auto& seen : places) text += (text.empty() ? "" : "; ") + place_text(seen);
  return text;
}

}  // namespace

void Audit::run(const std::vector<std::string>& expected) {
  take(broker_.survey([this](broker::Sighting sighting) { note(read(std::move(sighting))); }, kSurveyPatience));
  compare_with_results();
  expect(expected);
  look_again();
}

void Audit::note(Seen seen) {
  note_structure(seen);
  if (seen.at.is_continuation) ++continuations_[row_of(seen)];
  if (seen.id.empty()) return;
  const auto [at, is_new] = found_.emplace(std::move(seen.id), number_of(row_of(seen)));
  if (!is_new) doubtful_.insert(at->first);
}

// What is wrong whatever the id.
void Audit::note_structure(const Seen& seen) {
  const auto& at = seen.at;
  if (!seen.unreadable.empty() && at.place != broker::Place::dead) {
    problems_.push_back({"unreadable", seen.id, place_text(seen) + ": " + seen.unreadable});
  }
  const bool held = at.place == broker::Place::reserved || at.place == broker::Place::inbox;
  if (held && !at.registered && !(at.place == broker::Place::inbox && at.watched)) {
    problems_.push_back(
        {"held by nobody", seen.id, place_text(seen) + ", which is not registered: no sweeper gives it back"});
  }
}

// A message whose result is ready waits in vain; one whose result says STARTED runs.
void Audit::compare_with_results() {
  std::vector<std::string> some;
  const auto compare = [&] {
    for (auto& [id, state] : states_of(some)) {
      PlaceNumber& number = found_.at(id);
      AuditPlace row = places_[number];
      if (states::is_ready(state)) doubtful_.insert(id);
      if (state == states::started && row.place == name_of(broker::Place::reserved)) {
        row.place = "started";
        number = number_of(row);
      }
    }
    some.clear();
  };
  for (const auto& [id, number] : found_) {
    if (places_[number].place == name_of(broker::Place::dead)) continue;
    some.push_back(id);
    if (some.size() == kResultsAtOnce) compare();
  }
  compare();
}

void Audit::expect(const std::vector<std::string>& expected) {
  for (std::size_t from = 0; from < expected.size(); from += kResultsAtOnce) {
    std::vector<std::string> missing;
    for (const auto& id : std::span(expected).subspan(from, std::min(kResultsAtOnce, expected.size() - from))) {
      if (!found_.contains(id)) missing.push_back(id);
    }
    const auto states = states_of(missing);
    for (auto& id : missing) {
      const auto state = states.find(id);
      if (state != states.end() && states::is_ready(state->second)) {
        found_.emplace(id, number_of({"done", "", state->second, {}}));
      } else {
        doubtful_.insert(std::move(id));
      }
    }
  }
}

void Audit::look_again() {
  for (int round = 1; !doubtful_.empty(); ++round) {
    if (round > 1) std::this_thread::sleep_for(kBetweenRounds);
    const std::vector<std::string> ids(doubtful_.begin(), doubtful_.end());
    Look look{.places = {}, .waiting = {}, .graphs = StoredGraphs(broker_)};
    // A result that was ready before the look and a message that is there at the look do not go together; a result
    // that is ready after it explains why there is no message.
    const auto before = states_of(ids);
    take(broker_.survey([&](broker::Sighting sighting) { note_in(look, std::move(sighting)); }, kSurveyPatience));
    const auto after = states_of(ids);
    for (const auto& id : ids) {
      if (is_explained(id, look, before, after)) {
        doubtful_.erase(id);
      } else if (round == kRounds) {
        const auto state = after.find(id);
        add_problem(id, look.places[id], state == after.end() ? "" : state->second);
        doubtful_.erase(id);
      }
    }
  }
}

void Audit::note_in(Look& look, broker::Sighting sighting) const {
  auto [seen, successors] = read_with_successors(std::move(sighting));
  look.graphs.add_to(successors);
  for (const auto& successor : successors) {
    if (!doubtful_.contains(successor.id) || seen.at.place == broker::Place::dead) continue;
    const char* const why = seen.at.is_continuation ? "for a continuation"
                            : successor.joins       ? "for its chord"
                                                    : "for the task before it";
    look.waiting.emplace(successor.id, AuditPlace{"waits", seen.at.queue, why, {}});
  }
  if (doubtful_.contains(seen.id)) look.places[seen.id].push_back(std::move(seen));
}

bool Audit::is_explained(const std::string& id, Look& look, const States& before, const States& after) {
  const std::vector<Seen>& places = look.places[id];
  const auto ready = [&](const States& states) -> std::optional<std::string> {
    const auto state = states.find(id);
    return state != states.end() && states::is_ready(state->second) ? std::optional(state->second) : std::nullopt;
  };
  if (places.size() > 1) return false;
  if (places.empty()) {
    const auto state = ready(after);
    const auto waiting = look.waiting.find(id);
    if (state) {
      found_.insert_or_assign(id, number_of({"done", "", *state, {}}));
    } else if (waiting != look.waiting.end()) {
      found_.insert_or_assign(id, number_of(waiting->second));
    }
    return state || waiting != look.waiting.end();
  }
  const Seen& seen = places.front();
  const auto state = ready(before);
  if (state && seen.at.place != broker::Place::dead && !(seen.sent_again && state != states::success)) return false;
  found_.insert_or_assign(id, number_of(row_of(seen)));
  return true;
}

void Audit::add_problem(const std::string& id, const std::vector<Seen>& places, const std::string& state) {
  found_.erase(id);
  if (places.size() > 1) {
    problems_.push_back({"two places", id, joined(places)});
  } else if (places.size() == 1) {
    problems_.push_back({"two places", id, fmt::format("its result is {}; {}", state, joined(places))});
  } else if (!state.empty()) {
    problems_.push_back({"unexplained", id, fmt::format("no message, and its state is {}", state)});
  } else if (backend_ == nullptr) {
    problems_.push_back({"unexplained", id, "no message; results are not kept, so it may be done"});
  } else {
    problems_.push_back({"unexplained", id, "no message and no result"});
  }
}

Audit::States Audit::states_of(const std::vector<std::string>& ids) const {
  States states;
  if (backend_ == nullptr) return states;
  for (std::size_t from = 0; from < ids.size(); from += kResultsAtOnce) {
    const auto some = std::span(ids).subspan(from, std::min(kResultsAtOnce, ids.size() - from));
    const auto metas = take(backend_->get_many(some, management_deadline()));
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (metas[i]) states.emplace(some[i], state_of(*metas[i]));
    }
  }
  return states;
}

Audit::PlaceNumber Audit::number_of(const AuditPlace& place) {
  const auto [at, is_new] = numbers_.emplace(place, static_cast<PlaceNumber>(places_.size()));
  if (is_new) places_.push_back(place);
  return at->second;
}

std::map<AuditPlace, std::uint64_t> Audit::counts() const {
  std::map<AuditPlace, std::uint64_t> counts = continuations_;
  for (const auto& [id, number] : found_) ++counts[places_[number]];
  return counts;
}

std::map<std::string, AuditPlace> Audit::ids() const {
  std::map<std::string, AuditPlace> ids;
  for (const auto& [id, number] : found_) ids.emplace(id, places_[number]);
  return ids;
}

}  // namespace lovage::cli
