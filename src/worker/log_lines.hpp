// What a worker says about its tasks: Celery's lines, word for word, with keyed fields for JSON readers.
// Nothing is formatted while the level is off.
#pragma once

#include <string>

#include "broker/settlement.hpp"
#include "execution/request.hpp"
#include "worker/arrival.hpp"
#include "worker/job.hpp"

namespace lovage::worker {

void log_line(const LogLine& line);
void log_received(const Job& job);
// `settlement` says what became of the message.
void log_outcome(const Job& job, const execution::Outcome& outcome, const broker::Settlement& settlement);
void log_soft_time_limit(const Job& job);
// What follows it cannot be read: it goes to the dead letters.
void log_graph_lost(const Job& job, const std::string& why);
void log_fenced(const std::string& id);
void log_not_settled(const std::string& id);

}  // namespace lovage::worker
