// Where the messages of a store in memory are. They are copied under the lock, one kind of place after the other, and
// shown without it.
#include <utility>

#include "broker/memory/store.hpp"

namespace lovage::broker::memory {

void Queue::add_ready(const std::string& name, std::vector<Found>& found) const {
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    std::uint64_t ahead = 0;
    for (const auto& message : lists_[i]) {
      Sighting sighting;
      sighting.queue = name;
      sighting.step = wire::kDefaultPrioritySteps[i];
      sighting.ahead = ahead++;
      sighting.marks = message.marks;
      found.push_back({std::move(sighting), message.content});
    }
  }
}

void Queue::add_scheduled(const std::string& name, std::vector<Found>& found) const {
  for (const auto& [key, scheduled] : schedule_) {
    Sighting sighting;
    sighting.place = Place::scheduled;
    sighting.queue = name;
    sighting.step = scheduled.step;
    sighting.due = key.first;
    sighting.marks = scheduled.message.marks;
    found.push_back({std::move(sighting), scheduled.message.content});
  }
}

void Store::add_reserved(std::vector<Found>& found) const {
  for (const auto& [id, worker] : workers_) {
    for (const auto& [token, reservation] : worker.reserved) {
      Sighting sighting;
      sighting.place = Place::reserved;
      sighting.queue = reservation.queue->first;
      sighting.step = reservation.step;
      sighting.holder = worker.incarnation;
      sighting.started = reservation.started;
      sighting.marks = reservation.message.marks;
      sighting.is_continuation = reservation.continuation.has_value();
      if (sighting.is_continuation) sighting.bytes = *reservation.continuation;
      found.push_back({std::move(sighting), reservation.message.content});
    }
  }
}

void Store::add_dead(std::vector<Found>& found) const {
  for (const auto& [key, entry] : dead_letters_) {
    Sighting sighting;
    sighting.place = Place::dead;
    sighting.queue = entry.queue;
    sighting.step = entry.step;
    sighting.bytes = entry.bytes;
    sighting.letter_key = entry.key;
    sighting.letter = entry.letter;
    found.push_back({std::move(sighting), {}});
  }
}

void Store::add_continuations(std::vector<Found>& found) const {
  for (const auto& waiting : continuations_) {
    Sighting sighting;
    sighting.place = Place::adoption;
    sighting.queue = waiting.queue;
    sighting.step = waiting.step;
    sighting.bytes = waiting.text;
    sighting.is_continuation = true;
    found.push_back({std::move(sighting), {}});
  }
}

void Store::survey(const SurveyVisit& visit) {
  const auto show = [&](auto add) {
    std::vector<Found> found;
    {
      const std::lock_guard lock(mutex_);
      add(found);
    }
    for (auto& [sighting, content] : found) {
      if (content) sighting.bytes = wire::encode_envelope(content);
      visit(std::move(sighting));
    }
  };
  show([this](auto& found) {
    for (const auto& [name, queue] : queues_) queue.add_ready(name, found);
  });
  show([this](auto& found) { add_reserved(found); });
  show([this](auto& found) {
    for (const auto& [name, queue] : queues_) queue.add_scheduled(name, found);
  });
  show([this](auto& found) { add_dead(found); });
  show([this](auto& found) { add_continuations(found); });
}

}  // namespace lovage::broker::memory
