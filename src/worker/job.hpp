// A message that this worker holds and may run: what its end needs to know of it.
#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "broker/consumer.hpp"
#include "broker/settlement.hpp"
#include "execution/request.hpp"
#include "wire/body.hpp"
#include "wire/canvas.hpp"
#include "worker/facts.hpp"

namespace lovage::worker {

struct Job {
  Token token{};
  std::string queue;
  broker::Marks marks;
  std::size_t bytes = 0;  // of the envelope
  wire::SharedMessage message;
  std::shared_ptr<const wire::Embed> embed;  // nullptr: no callbacks, errbacks, chain or chord
  TaskRules rules;
  bool started = false;       // the pool said so
  bool acknowledged = false;  // early acknowledgement: the message has left the broker already
  [[nodiscard]] const std::string& id() const noexcept { return message->id; }
  [[nodiscard]] const std::string& name() const noexcept { return message->display_name(); }
  // A protocol 1 message carries no root: its own id is meant.
  [[nodiscard]] const std::string& root_id() const noexcept {
    return message->root_id.empty() ? message->id : message->root_id;
  }
  // The stored graph that the message holds; empty: none.
  [[nodiscard]] std::string graph_id() const {
    const Value* const id = message->custom_headers.find(wire::kGraphHeader);
    return id != nullptr && id->if_string() != nullptr ? *id->if_string() : std::string();
  }
};

}  // namespace lovage::worker
