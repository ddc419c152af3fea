// A Settlement is a value: all effects of one finished request. The worker computes it without I/O,
// a Settler carries it out (in one fenced step where broker and backend share an engine).
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/strong.hpp"
#include "broker/chord.hpp"
#include "broker/graph.hpp"
#include "wire/queues.hpp"
#include "wire/shared_message.hpp"
#include "wire/task_message.hpp"

namespace lovage::broker {

// A result meta to store, encoded (wire/result_meta.hpp). Replaces what is there by the rule of
// states::may_replace, with `state` the new state.
struct StoreResult {
  std::string task_id;
  std::string state;
  std::string meta;
};

// What becomes of the reserved message itself.
enum class Disposal {
  acknowledge,  // it leaves the broker
  return_head,  // back to the head of its list: not started, or given back at shutdown
  return_tail,  // Reject(requeue=True)
  schedule,     // into the time-ordered schedule until `due`
  dead_letter,  // out of the way, with the reason
  carry_on,     // the `continuation` takes its place, under the same token
};

// When a scheduled message is due: at a point of wall-clock time (an eta), or after a delay by the
// server's clock (back-off).
struct Due {
  std::optional<Timestamp> at;
  std::chrono::milliseconds delay{0};
};

struct DeadLetter {
  std::string task_id;  // empty when it could not be read
  std::string task;
  std::string reason;  // stable: "malformed", "refused-content-type", "not-registered", "poison", ...
  std::string detail;  // for people: signal, resource use, the last log lines
};

// What a broker remembers beside a message that goes back, for its next Delivery.
struct Marks {
  bool suspect = false;
  int strikes = 0;
  std::chrono::milliseconds waited_unknown{0};
  friend bool operator==(const Marks&, const Marks&) = default;
};

// A message that becomes a dead letter without having been reserved.
struct BuriedMessage {
  wire::TaskMessage message;
  DeadLetter letter;
};

struct Settlement {
  Token token{};
  Disposal disposal = Disposal::acknowledge;
  wire::SharedMessage replacement;  // the message as it goes back (return_*, schedule); none: unchanged
  std::optional<Marks> marks;       // with return_* and schedule; empty: as they were
  Due due;                          // with Disposal::schedule
  // With Disposal::schedule: the name of a task that this worker does not know. Workers that have not said so of it
  // may take the message before it is due.
  std::string unknown_task;
  DeadLetter dead_letter;  // with Disposal::dead_letter
  std::vector<StoreResult> results;
  // Successors: link callbacks, errbacks, the next chain step. Sent once, with the settlement.
  std::vector<wire::TaskMessage> sends;
  // Queues that the successors need and that may not exist yet: made known before anything is sent, as a producer
  // does. Those of the anonymous exchange may be left out.
  std::vector<wire::QueueDeclaration> declares;
  // What happens in place of a send that no queue takes: see bury_send(). A send that is not in here and has no way
  // fails the settlement.
  struct Undeliverable;
  std::vector<Undeliverable> undeliverable;
  std::vector<BuriedMessage> buried;
  // Work that has to follow, in our own words: with Disposal::carry_on. It stays reserved until it is settled itself.
  // When its worker dies it comes to another one as a Delivery, and never to a queue that Python workers read.
  std::string continuation;
  std::vector<ChordStart> chords;    // made known before anything is sent
  std::optional<ChordCount> counts;  // with Disposal::acknowledge or dead_letter
  std::optional<ChordEnd> ended_chord;
  std::optional<GraphUse> graph;  // counted with the sends
};
struct Settlement::Undeliverable {
  std::size_t send = 0;  // its position
  Settlement instead;    // its dead letter, results, sends and declares count
};

// The send at this position has no way ("no queue is bound ..."): it alone becomes a dead letter, and what its failure
// brings joins the settlement: results, and errbacks behind the other sends. False: nobody has said what happens.
bool bury_send(Settlement& settlement, std::size_t send);

enum class SettleStatus {
  settled,
  carries_on,  // settled; a continuation is reserved under the token now: carry_on, or the last part of a chord
  fenced,      // the message is no longer this incarnation's: nothing was done
  failed,      // a write failed; the message is back in this worker's reservations, and an alarm was raised
};

}  // namespace lovage::broker
