#include "net/loop.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "net/fd.hpp"
#include "support/event_waiter.hpp"

namespace lovage::net {
namespace {

using namespace std::chrono_literals;

std::array<Fd, 2> make_pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

TEST(Loop, RunsPostsInTheirOrder) {
  Loop loop;
  std::vector<int> seen;
  for (int i = 0; i < 1000; ++i) {
    loop.post([&, i] { seen.push_back(i); });
  }
  loop.post([&] { loop.stop(); });
  loop.run();
  ASSERT_EQ(seen.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(Loop, TakesPostsOfOtherThreads) {
  Loop loop;
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  std::array<int, kThreads> next{};
  int total = 0;
  bool in_order = true;
  bool in_loop = true;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop.post([&, t, i] {
          in_order = in_order && next[t]++ == i;
          in_loop = in_loop && loop.in_loop_thread();
          if (++total == kThreads * kEach) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total, kThreads * kEach);
  EXPECT_TRUE(in_order);
  EXPECT_TRUE(in_loop);
}

TEST(Loop, EndsATurnAfterAllThatWasReady) {
  Loop loop;
  const auto a = make_pipe();
  const auto b = make_pipe();
  ASSERT_EQ(::write(a[1].get(), "x", 1), 1);
  ASSERT_EQ(::write(b[1].get(), "x", 1), 1);
  std::vector<std::string> seen;
  const auto reader = [&](const std::string& name) {
    return [&, name] {
      if (seen.empty()) loop.at_end_of_turn([&] { seen.emplace_back("end"), loop.stop(); });
      seen.push_back(name);
    };
  };
  Registration first;
  Registration second;
  first = loop.on_readable(a[0].get(), [&] { reader("reader")(), first.reset(); });
  second = loop.on_readable(b[0].get(), [&] { reader("reader")(), second.reset(); });
  loop.run();
  EXPECT_EQ(seen, (std::vector<std::string>{"reader", "reader", "end"}));
}

TEST(Loop, EndsTheTurnOfHandlersThatNeverRest) {
  Loop loop;
  bool ended = false;
  std::function<void()> again = [&] {
    if (!ended) loop.post([&] { again(); });
  };
  loop.post([&] {
    loop.at_end_of_turn([&] { ended = true, loop.stop(); });
    again();
  });
  loop.run();
  EXPECT_TRUE(ended);
}

TEST(Loop, RunsWhatTheEndOfATurnAddsBeforeItWaits) {
  Loop loop;
  std::vector<int> seen;
  loop.at_end_of_turn([&] {
    seen.push_back(1);
    loop.at_end_of_turn([&] { seen.push_back(2), loop.stop(); });
  });
  loop.run();
  EXPECT_EQ(seen, (std::vector{1, 2}));
}

TEST(Loop, TellsTheNextTurnFromThisOne) {
  Loop loop;
  std::vector<int> seen;
  loop.post([&] {
    loop.at_end_of_next_turn([&] { seen.push_back(3), loop.stop(); });
    loop.at_end_of_turn([&] {
      seen.push_back(1);
      loop.at_end_of_turn([&] { seen.push_back(2); });
    });
  });
  loop.run();
  EXPECT_EQ(seen, (std::vector{1, 2, 3}));
}

TEST(Loop, KeepsWhatStopLeftForTheNextRun) {
  Loop loop;
  std::vector<int> seen;
  loop.post([&] { seen.push_back(1), loop.stop(); });
  loop.post([&] { seen.push_back(2), loop.stop(); });
  loop.run();
  EXPECT_EQ(seen, (std::vector{1}));
  loop.run();
  EXPECT_EQ(seen, (std::vector{1, 2}));
}

TEST(Loop, StopsBeforeItRan) {
  Loop loop;
  bool called = false;
  loop.post([&] { called = true; });
  loop.stop();
  loop.run();
  EXPECT_FALSE(called);
}

TEST(Loop, LetsAnotherThreadStandInWhileItSleeps) {
  Loop loop;
  std::thread runner([&] { loop.run(); });
  std::promise<void> running;
  loop.post([&] { running.set_value(); });
  running.get_future().get();
  const auto self = std::this_thread::get_id();
  // While the loop is awake it does so itself: that comes to an end.
  for (std::thread::id ended_by; ended_by != self;) {
    std::promise<std::thread::id> turn;
    loop.run_or_post([&] {
      EXPECT_EQ(loop.in_loop_thread(), std::this_thread::get_id() == runner.get_id());
      loop.at_end_of_turn([&] { turn.set_value(std::this_thread::get_id()); });
    });
    ended_by = turn.get_future().get();
  }
  loop.run_or_post([&] { loop.stop(); });
  runner.join();
}

TEST(Loop, WhatAStandInStartsGoesOnInTheLoop) {
  Loop loop;
  std::thread runner([&] { loop.run(); });
  std::promise<void> fired;
  Registration timer;
  loop.run_or_post([&] { timer = loop.after(5ms, [&] { fired.set_value(); }); });
  fired.get_future().get();
  loop.run_or_post([&] {
    timer.reset();
    loop.stop();
  });
  runner.join();
}

using Next = Loop::Leader::Next;

// A loop that runs in a thread of its own.
class LedLoop : public testing::Test {
 protected:
  LedLoop() : runner([this] { loop.run(); }) {
    std::promise<void> running;
    loop.post([&] { running.set_value(); });
    running.get_future().get();
  }
  ~LedLoop() override {
    loop.stop();
    runner.join();
  }
  // Which thread runs what is posted.
  std::thread::id thread_of_posts() {
    std::promise<std::thread::id> found;
    loop.post([&] { found.set_value(std::this_thread::get_id()); });
    return found.get_future().get();
  }

  Loop loop;
  std::thread runner;
};

TEST_F(LedLoop, IsRunByItsLeaderWhichGivesTheLeadBack) {
  auto leader = loop.lead();
  ASSERT_TRUE(leader);
  EXPECT_FALSE(loop.lead()) << "one at a time";
  std::vector<std::thread::id> ran;
  Registration timer;
  loop.post([&] {
    timer = loop.after(1ms, [&] { ran.push_back(std::this_thread::get_id()); });
    EXPECT_FALSE(loop.in_loop_thread());
  });
  leader->run([&] { return ran.empty() ? Next::wait : Next::leave; });
  leader.reset();
  EXPECT_EQ(ran, std::vector{std::this_thread::get_id()});
  EXPECT_EQ(thread_of_posts(), runner.get_id());
}

TEST_F(LedLoop, KeepsALeaderThatIsBackSoon) {
  bool kept = false;
  while (!kept) {  // a thread that has to wait for a processor is not back soon
    const auto leader = loop.lead();
    ASSERT_TRUE(leader);
    leader->run([&] {
      kept = leader->step_out([] {});
      return Next::leave;
    });
  }
}

TEST_F(LedLoop, GoesOnWithoutALeaderThatIsOutForLong) {
  const auto leader = loop.lead();
  ASSERT_TRUE(leader);
  bool leads = true;
  leader->run([&] {
    leads = leader->step_out([&] { EXPECT_EQ(thread_of_posts(), runner.get_id()); });
    return leads ? Next::wait : Next::leave;
  });
  EXPECT_FALSE(leads);
  EXPECT_TRUE(loop.lead()) << "the lead is to be had again";
}

TEST_F(LedLoop, GoesOnOnceItsLeaderHasGivenTheLeadBack) {
  const auto leader = loop.lead();
  ASSERT_TRUE(leader);
  leader->run([&] {
    leader->give_back();
    EXPECT_EQ(thread_of_posts(), runner.get_id());
    return Next::leave;
  });
  EXPECT_TRUE(loop.lead()) << "the lead is to be had again";
}

TEST_F(LedLoop, IsLedByNobodyOnceItKeepsTheLead) {
  std::promise<void> kept;
  loop.post([&] {
    loop.keep_lead();
    kept.set_value();
  });
  kept.get_future().get();
  EXPECT_FALSE(loop.lead());
}

TEST_F(LedLoop, StopsUnderALeader) {
  const auto leader = loop.lead();
  ASSERT_TRUE(leader);
  loop.post([&] { loop.stop(); });
  leader->run([] { return Next::wait; });
}

TEST_F(LedLoop, AsksItsLeaderAgainThatDoesNotWantToWait) {
  const auto leader = loop.lead();
  ASSERT_TRUE(leader);
  int asked = 0;
  leader->run([&] { return ++asked < 3 ? Next::look : Next::leave; });
  EXPECT_EQ(asked, 3) << "nothing came";
}

TEST(Loop, IsLedByNobodyWhileItDoesNotRun) {
  Loop loop;
  EXPECT_FALSE(loop.lead());
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(loop.lead());
}

TEST_F(LedLoop, ManyThreadsLeadItInTurn) {
  int total = 0;  // not atomic: the sanitizer would tell
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        loop.run_or_post([&] { ++total; });
        const auto leader = loop.lead();
        int turns = 0;
        if (!leader) continue;
        leader->run([&] {
          loop.post([&] { ++total; });
          return ++turns < 5 && (turns != 3 || leader->step_out([] {})) ? Next::wait : Next::leave;
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(thread_of_posts(), runner.get_id());
  EXPECT_GE(total, 4 * 500);
}

TEST(Loop, NeverRunsTwoHandlersAtATime) {
  Loop loop;
  constexpr int kThreads = 4;
  constexpr int kEach = 5'000;
  int total = 0;  // not atomic: the sanitizer would tell
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        loop.run_or_post([&] {
          ++total;
          loop.at_end_of_turn([&] {
            if (++total == 2 * kThreads * kEach) loop.stop();
          });
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total, 2 * kThreads * kEach);
}

TEST(Loop, FiresTimersByTheirTime) {
  Loop loop;
  std::vector<int> seen;
  Registration late;
  Registration early;
  Monotonic begun;
  do {  // a thread that had to wait in between would have made the late one the first
    begun = std::chrono::steady_clock::now();
    late = loop.after(3ms, [&] { seen.push_back(2), loop.stop(); });
    early = loop.after(1ms, [&] { seen.push_back(1); });
  } while (std::chrono::steady_clock::now() - begun > 1ms);
  auto never = loop.after(2ms, [&] { seen.push_back(3); });
  never.reset();
  loop.run();
  EXPECT_EQ(seen, (std::vector{1, 2}));
}

TEST(Loop, NeverFiresTimersBeyondTheEndOfTheClock) {
  Loop loop;
  bool fired = false;
  const auto once = loop.after(Duration::max(), [&] { fired = true; });
  const auto often = loop.every(Duration::max() - 1s, [&] { fired = true; });
  const auto end = loop.after(1ms, [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(fired);
}

TEST(Loop, RepeatsUntilTheRegistrationEnds) {
  Loop loop;
  int count = 0;
  Registration ticks;
  Registration end;
  ticks = loop.every(1ms, [&] {
    if (++count < 3) return;
    end = loop.after(20ms, [&] { loop.stop(); });
    ticks.reset();  // from within
  });
  loop.run();
  EXPECT_EQ(count, 3);
}

TEST(Loop, CallsAgainWhileBytesAreLeft) {
  Loop loop;
  const auto pipe = make_pipe();
  ASSERT_EQ(::write(pipe[1].get(), "abc", 3), 3);
  std::string seen;
  const auto reader = loop.on_readable(pipe[0].get(), [&] {
    char c = 0;
    ASSERT_EQ(::read(pipe[0].get(), &c, 1), 1);
    seen += c;
    if (seen.size() == 3) loop.stop();
  });
  loop.run();
  EXPECT_EQ(seen, "abc");
}

TEST(Loop, ReadsAndWritesTheSameDescriptor) {
  Loop loop;
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const Fd here(ends[0]);
  const Fd there(ends[1]);
  bool read = false;
  bool written = false;
  Registration writer;
  writer = loop.on_writable(here.get(), [&] {
    written = true;
    writer.reset();
    ASSERT_EQ(::write(there.get(), "x", 1), 1);  // the reader must still be watched
  });
  const auto reader = loop.on_readable(here.get(), [&] { read = true, loop.stop(); });
  loop.run();
  EXPECT_TRUE(written);
  EXPECT_TRUE(read);
}

TEST(Loop, WatchesADescriptorThatTookAnotherOnesNumber) {
  Loop loop;
  for (int i = 0; i < 3; ++i) {
    const auto pipe = make_pipe();  // the same numbers each time
    ASSERT_EQ(::write(pipe[1].get(), "x", 1), 1);
    bool called = false;
    Registration reader;
    reader = loop.on_readable(pipe[0].get(), [&] { called = true, reader.reset(), loop.stop(); });
    loop.run();
    EXPECT_TRUE(called);
  }
}

TEST(Loop, DestroysAFunctionWithItsRegistration) {
  Loop loop;
  const auto pipe = make_pipe();
  const auto token = std::make_shared<int>(1);
  auto reader = loop.on_readable(pipe[0].get(), [token] {});
  auto timer = loop.after(1h, [token] {});
  EXPECT_EQ(token.use_count(), 3);
  reader.reset();
  timer.reset();
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Loop, ReportsSignals) {
  Loop loop;
  std::vector<int> seen;
  const auto signals = loop.on_signals({SIGUSR1, SIGUSR2}, [&](int signal) {
    seen.push_back(signal);
    if (seen.size() == 1) ::raise(SIGUSR2);
    if (seen.size() == 2) loop.stop();
  });
  ::raise(SIGUSR1);
  loop.run();
  EXPECT_EQ(seen, (std::vector{SIGUSR1, SIGUSR2}));
}

}  // namespace
}  // namespace lovage::net
