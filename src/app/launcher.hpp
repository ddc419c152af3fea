// From a signature of any form, as it travels, to the messages that start it. Producers and workers share it: what is
// in the signature comes from the wire, and is bounded. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <lovage/value.hpp>

#include "app/core.hpp"
#include "app/producer.hpp"
#include "base/result.hpp"
#include "broker/chord.hpp"
#include "wire/signature.hpp"
#include "wire/task_message.hpp"

namespace lovage::app {

// Whether a message keeps its workflow's graph in its store until it has ended. That a header task does for its chord
// needs no mark: the chord itself holds it.
bool holds_graph(const wire::TaskMessage& message) noexcept;

// What leaves together.
struct Launch {
  std::vector<wire::TaskMessage> messages;
  std::vector<wire::QueueDeclaration> queues;  // theirs, each once
  std::vector<broker::ChordStart> chords;      // to be started before any of the messages is sent
  std::string graph_id = {};                   // the graph that messages or chords hold; empty: none
  std::uint64_t chords_by_reference = 0;       // chords that hold it: their bodies refer to it
  Array results;                               // of what was added, in its order: Celery's result tuples
};

struct LaunchLimits {
  std::size_t messages = 5'000;
  std::size_t bytes = std::size_t{64} << 20U;  // of all bodies together
};

// How many of these messages hold a graph.
std::uint64_t graph_holders(std::span<const wire::TaskMessage> messages) noexcept;

class Launcher {
 public:
  // The steps of a chain as messages carry them: in reverse, the last is the next.
  using Steps = Array;

  // `lineage`: whose successors they are. `core` outlives it.
  Launcher(const Core& core, Lineage lineage, LaunchLimits limits = {});

  // `arguments` come before the signature's own, unless it is immutable; of a chain they go to its first step, of a
  // group to each member, of a chord to each header task. `rest` follows it. Fails with bad_data for what is no
  // signature or cannot be sent, with too_large beyond the limits.
  Result<void> add(Value signature, std::span<const Value> arguments, Steps rest = {});

  [[nodiscard]] Launch take() noexcept { return std::move(made_); }

 private:
  Result<void> add_task(wire::SignatureData task, std::span<const Value> arguments, Steps rest);
  Result<void> add_chain(Value chain, std::span<const Value> arguments, Steps rest);
  Result<void> add_group(Value group, std::span<const Value> arguments, Steps rest);
  Result<void> add_chord(Value chord, std::span<const Value> arguments, const Steps& rest);
  Result<void> send(wire::SignatureData task);
  void add_queue(wire::QueueDeclaration queue);

  const Core& core_;
  const Lineage lineage_;
  const LaunchLimits limits_;
  Launch made_;
  std::size_t bytes_ = 0;
  int depth_ = 0;
};

}  // namespace lovage::app
