// When the lease thread renews.
#include "worker/lease_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace lovage::worker {
namespace {

using std::chrono::seconds;

// What a lease was asked, and how many renewals are to fail.
struct Record {
  std::mutex mutex;
  std::condition_variable changed;
  int failures = 0;
  std::vector<Monotonic> renewals;
  int sweeps = 0;

  // False: not within half a minute.
  bool wait(auto condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, seconds(30), condition);
  }
};

class FakeLease final : public broker::Lease {
 public:
  explicit FakeLease(Record& record) : record_(record) {}
  Result<Renewal> renew(Deadline /*deadline*/) override {
    const std::lock_guard lock(record_.mutex);
    record_.renewals.push_back(std::chrono::steady_clock::now());
    record_.changed.notify_all();
    if (record_.failures-- > 0) return fail(Errc::unavailable, "the server is away");
    return Renewal::renewed;
  }
  Result<std::vector<Swept>> sweep(Deadline /*deadline*/) override {
    const std::lock_guard lock(record_.mutex);
    ++record_.sweeps;
    record_.changed.notify_all();
    return std::vector<Swept>{};
  }

 private:
  Record& record_;
};

// After an outage no task starts before the lease is renewed: not a third of a lease after the server is back.
TEST(LeaseThread, TriesAgainSoonAfterARenewalThatFailed) {
  constexpr seconds kLease{9};
  Record record;
  record.failures = 2;
  std::vector<Monotonic> held_until;  // guarded by the record's mutex
  const LeaseThread::Events events{.on_renewed =
                                       [&](Monotonic until) {
                                         const std::lock_guard lock(record.mutex);
                                         held_until.push_back(until);
                                       },
                                   .on_lost = [] {}};
  const LeaseThread thread(std::make_unique<FakeLease>(record), kLease, events);
  ASSERT_TRUE(record.wait([&] { return record.sweeps == 1; }));
  const std::lock_guard lock(record.mutex);
  ASSERT_THAT(record.renewals, ::testing::SizeIs(3));
  EXPECT_LT(record.renewals[1] - record.renewals[0], kLease / 3);
  EXPECT_LT(record.renewals[2] - record.renewals[1], kLease / 3);
  ASSERT_THAT(held_until, ::testing::SizeIs(2));  // from its beginning, and by the third renewal
  EXPECT_LE(held_until[1], record.renewals[2] + kLease * 2 / 3);
  EXPECT_GT(held_until[1], record.renewals[1]);
}

}  // namespace
}  // namespace lovage::worker
