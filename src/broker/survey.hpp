// Where every message of a store is: what `lovage audit` and `lovage explain` look at.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/strong.hpp"
#include "broker/settlement.hpp"

namespace lovage::broker {

enum class Place {
  queued,
  python,     // in the hash of what Python workers have taken and not acknowledged
  inbox,      // on its way from a queue to a worker
  reserved,   // held by a worker
  scheduled,  // waits for its time
  dead,       // a dead letter
  adoption,   // a continuation whose worker has died: waits for another that serves its list
};

// One message, at the moment when it was read.
struct Sighting {
  Place place = Place::queued;
  std::string queue;  // where it is from, or will go; empty where nobody knows
  int step = 0;       // its priority list
  std::string bytes;  // the envelope, as stored
  // reserved, adoption: `bytes` are a Settlement's continuation, in the words of whoever made it.
  bool is_continuation = false;
  // queued: how many messages of its list are taken before it, about.
  std::uint64_t ahead = 0;
  // inbox, reserved: by whom. Nobody gives back what an incarnation holds that is not registered, but for an inbox
  // that the sweeper still looks at (`watched`).
  IncarnationId holder;
  bool registered = true;
  bool watched = true;
  bool started = false;  // reserved: a recorded start, of a suspect
  // scheduled: when it goes to its queue, by the server's clock.
  std::optional<Timestamp> due;
  // reserved, scheduled
  Marks marks;
  // dead
  std::string letter_key;
  DeadLetter letter;
};

using SurveyVisit = std::function<void(Sighting)>;

}  // namespace lovage::broker
