// Who runs a job: an atomic counter in memory that the worker shares with one child decides.
//
// The worker numbers the requests that it sends to a child: 0, 1, 2, ... The counter holds the number of
// the first job that nobody has claimed. Before it runs job k, the child moves the counter from k to
// k + 1; if that fails, the worker has taken the job back and the child skips it. To take back all that
// has not started, the worker moves the counter to the number that the next request will get. Each job
// is so claimed exactly once, whoever is killed and whenever, and a child that the worker has given up
// can never claim again.
#pragma once

#include <atomic>
#include <cstdint>

namespace lovage::execution {

class ClaimCounter {
 public:
  // The child's side: whether job `sequence` is now its to run.
  [[nodiscard]] bool claim(std::uint64_t sequence) noexcept {
    return next_.compare_exchange_strong(sequence, sequence + 1, std::memory_order_acq_rel);
  }
  // Whether job `sequence` can still be claimed.
  [[nodiscard]] bool is_open(std::uint64_t sequence) const noexcept {
    return next_.load(std::memory_order_acquire) == sequence;
  }
  // The worker's side: whether the child has claimed job `sequence`, which was given to it and not taken back.
  [[nodiscard]] bool is_claimed(std::uint64_t sequence) const noexcept {
    return next_.load(std::memory_order_acquire) > sequence;
  }
  // From the returned number up to (not including) `end`, all jobs are the worker's
  // again. `end` is the number that the next request will get.
  [[nodiscard]] std::uint64_t take_back(std::uint64_t end) noexcept {
    return next_.exchange(end, std::memory_order_acq_rel);
  }

 private:
  std::atomic<std::uint64_t> next_{0};
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "the counter works across processes");
};

}  // namespace lovage::execution
