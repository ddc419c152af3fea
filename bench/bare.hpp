// The yardsticks: what the same store gives when no task is run.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <lovage/config.hpp>

namespace lovage::bench {

// Reserves and settles (acknowledge, store a result) every message waiting in `queue` through the same
// consumer as a worker's, with the same batches and no task work. Returns messages per second.
double bare_drain_per_s(const Config& config, const std::string& queue, std::uint64_t messages, std::size_t batch);

// Through the same consumer as a worker's: takes a message, settles it (acknowledge, store a result), takes the next.
// How long each step took from asking to the answer: two a message.
std::vector<double> turn_milliseconds(const Config& config, const std::string& queue, std::uint64_t messages);

// Redis: LPUSH of a message's size, each awaited / pipelined by the thousand. Messages per second.
double bare_sends_per_s(const std::string& redis_url, std::uint64_t messages, std::size_t message_bytes);
double bare_bulk_sends_per_s(const std::string& redis_url, std::uint64_t messages, std::size_t message_bytes);

// Redis: the CPU time that the server has used since its start, in seconds.
double server_cpu_seconds(const std::string& redis_url);

}  // namespace lovage::bench
