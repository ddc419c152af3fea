// What one run of lovage-bench measures, and how.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace lovage::bench {

inline constexpr const char* kQueue = "lovage_bench";
inline constexpr std::chrono::minutes kResultsKept{10};  // what a run leaves behind goes soon
inline constexpr std::chrono::seconds kStuck{60};        // a drain without any progress

struct Options {
  std::string broker = "redis://127.0.0.1:6379/0";
  std::string backend;
  std::uint64_t tasks = 100'000;
  std::string pool = "threads";
  int concurrency = 2;
  std::string workload = "full";
  std::uint64_t work_us = 0;   // of its thread's CPU time that each task burns
  std::uint64_t sleep_ms = 0;  // that each task sleeps
  std::uint64_t depth = 0;     // workload "flat": messages that stay waiting behind the drained ones
  int workers = 2;             // workloads "sleep" and "crowd"
  int producers = 2;           // workload "crowd"
  int calls = 1'000;           // whose latency is measured
  bool json = false;
  std::string program;
};

}  // namespace lovage::bench
