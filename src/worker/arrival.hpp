// What to do with a message that has just been reserved: a pure decision.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include <lovage/value.hpp>

#include "base/clock.hpp"
#include "base/logging.hpp"
#include "broker/consumer.hpp"
#include "broker/settlement.hpp"
#include "worker/embed_reader.hpp"
#include "worker/facts.hpp"
#include "worker/job.hpp"
#include "worker/settlements.hpp"

namespace lovage::worker {

// One line for the log, decided together with the settlement that it explains.
struct LogLine {
  log::Level level = log::Level::info;
  std::string text;
  Object fields;
};

// Run it (alone, after its start was recorded, when job.marks.suspect).
struct Accepted {
  Job job;
};
// Do not run it: it is settled at once.
struct Decided {
  broker::Settlement settlement;
  LogLine line;
};
using Arrival = std::variant<Accepted, Decided>;

// `is_revoked` is asked with the task's id.
Arrival assess(broker::Delivery delivery, const Facts& facts, const SettlementRules& rules, EmbedReader& embeds,
               Timestamp now, const std::function<bool(const std::string&)>& is_revoked);

}  // namespace lovage::worker
