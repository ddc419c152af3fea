// Who gets which job: the claim counter, the ring, the mailbox and the rule of the look-ahead.
#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "execution/appetite.hpp"
#include "execution/claim.hpp"
#include "execution/mailbox.hpp"
#include "execution/work_ring.hpp"

namespace lovage::execution {
namespace {

using namespace std::chrono_literals;

TEST(ClaimCounter, GivesEachJobOnce) {
  ClaimCounter counter;
  EXPECT_TRUE(counter.claim(0));
  EXPECT_FALSE(counter.claim(0));
  EXPECT_EQ(counter.take_back(5), 1u);
  for (std::uint64_t job = 1; job < 5; ++job) EXPECT_FALSE(counter.claim(job));
  EXPECT_TRUE(counter.claim(5));
  EXPECT_EQ(counter.take_back(6), 6u);
}

TEST(ClaimCounter, EachJobHasOneOwnerUnderFire) {
  constexpr std::uint64_t kJobs = 200'000;
  ClaimCounter counter;
  std::vector<unsigned char> owners(kJobs, 0);  // each element is written by its owner alone
  std::vector<unsigned char> taken(kJobs, 0);
  std::atomic<std::uint64_t> sent{0};
  std::thread child([&] {
    for (std::uint64_t job = 0; job < kJobs; ++job) {
      while (sent.load(std::memory_order_acquire) <= job) std::this_thread::yield();
      if (counter.claim(job)) ++owners[job];
    }
  });
  for (std::uint64_t end = 0; end < kJobs;) {
    end = std::min(kJobs, end + 7);
    sent.store(end, std::memory_order_release);
    if (end % 3 != 0) continue;
    for (std::uint64_t job = counter.take_back(end); job < end; ++job) ++taken[job];
  }
  child.join();
  for (std::uint64_t job = 0; job < kJobs; ++job) ASSERT_EQ(owners[job] + taken[job], 1) << job;
}

TEST(WorkRing, IsFullAndEmptyInTime) {
  WorkRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(i));
  int fifth = 4;
  EXPECT_FALSE(ring.push(fifth));
  EXPECT_EQ(ring.pop(), 0);
  EXPECT_TRUE(ring.push(fifth));
  EXPECT_EQ(ring.take_back(), (std::vector{1, 2, 3, 4}));
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.pop(), std::nullopt);
}

TEST(WorkRing, EachItemIsTakenOnceUnderFire) {
  constexpr int kItems = 100'000;
  WorkRing<std::unique_ptr<int>> ring(64);
  std::vector<std::atomic<int>> seen(kItems);
  std::atomic<bool> done{false};
  std::vector<std::thread> consumers;
  for (int i = 0; i < 3; ++i) {
    consumers.emplace_back([&] {
      while (!done.load() || !ring.empty()) {
        if (const auto item = ring.pop())
          ++seen[static_cast<std::size_t>(**item)];
        else
          std::this_thread::yield();
      }
    });
  }
  for (int i = 0; i < kItems; ++i) {
    auto item = std::make_unique<int>(i);
    while (!ring.push(item)) std::this_thread::yield();
    if (i % 1'000 == 0)
      for (const auto& back : ring.take_back()) ++seen[static_cast<std::size_t>(*back)];
  }
  done = true;
  for (std::thread& consumer : consumers) consumer.join();
  for (int i = 0; i < kItems; ++i) ASSERT_EQ(seen[static_cast<std::size_t>(i)], 1) << i;
}

TEST(Mailbox, KeepsEachWritersOrder) {
  Mailbox<std::pair<int, int>> box;
  box.emplace(0, 0);
  box.emplace(0, 1);
  std::vector<std::pair<int, int>> first;
  box.take_each([&](std::pair<int, int>&& item) { first.push_back(item); });
  EXPECT_EQ(first, (std::vector<std::pair<int, int>>{{0, 0}, {0, 1}}));
  box.take_each([](std::pair<int, int>&&) { FAIL() << "the box is empty"; });

  constexpr int kItems = 50'000;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer)
    writers.emplace_back([&box, writer] {
      for (int i = 0; i < kItems; ++i) box.emplace(writer, i);
    });
  std::array<int, 3> next{};
  for (int taken = 0; taken < 3 * kItems;) {
    box.take_each([&](std::pair<int, int>&& item) {
      ASSERT_EQ(item.second, next[static_cast<std::size_t>(item.first)]++);
      ++taken;
    });
  }
  for (std::thread& writer : writers) writer.join();
}

TEST(Appetite, GrowsWhileTasksAreShortAndShrinksAtOnce) {
  Appetite appetite(4, false);
  EXPECT_EQ(appetite.total(), 4u);
  EXPECT_EQ(appetite.per_slot(), 1u);
  for (int i = 0; i < 200; ++i) appetite.saw(50us);
  EXPECT_EQ(appetite.ahead(), Appetite::kMostAhead);
  EXPECT_EQ(appetite.per_slot(), 65u);
  appetite.saw(25ms);
  EXPECT_EQ(appetite.total(), 4u);
  appetite.saw(1h);
  for (int i = 0; i < 100; ++i) appetite.saw(50us);
  EXPECT_GT(appetite.ahead(), 100u);
}

TEST(Appetite, HoldsWhatIsFinishedInTheWindow) {
  Appetite appetite(2, false);
  for (int i = 0; i < 500; ++i) appetite.saw(5ms);
  EXPECT_EQ(appetite.total(), 8u);  // 2 slots x 20 ms / 5 ms
}

TEST(Appetite, FairNeverLooksAhead) {
  Appetite appetite(2, true);
  for (int i = 0; i < 500; ++i) appetite.saw(1us);
  EXPECT_EQ(appetite.total(), 2u);
}

}  // namespace
}  // namespace lovage::execution
