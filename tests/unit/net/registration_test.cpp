// Timers, watches and signals: what ends them, and what that ends with them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "net/fd.hpp"
#include "net/loop.hpp"
#include "support/temp_dir.hpp"

namespace lovage::net {
namespace {

using namespace std::chrono_literals;

std::array<Fd, 2> make_pipe(bool with_byte) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  if (with_byte) {
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

TEST(Registrations, AWatchThatWasEndedInTheSameTurnIsNotCalled) {
  Loop loop;
  const std::array pipes{make_pipe(true), make_pipe(true)};
  std::array<Registration, 2> readers;
  int calls = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    readers[i] = loop.on_readable(pipes[i][0].get(), [&, i] {
      ++calls;
      readers[i].reset();
      readers[1 - i].reset();
      loop.post([&] { loop.stop(); });
    });
  }
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(Registrations, WhatWasReadyUnderANumberIsNotItsNextOwners) {
  Loop loop;
  const std::array pipes{make_pipe(true), make_pipe(true)};
  const auto silent = make_pipe(false);
  std::array<Registration, 2> readers;
  Registration next;
  Registration end;
  bool next_called = false;
  for (std::size_t i = 0; i < 2; ++i) {
    readers[i] = loop.on_readable(pipes[i][0].get(), [&, i] {
      const int number = pipes[1 - i][0].get();
      readers[i].reset();
      readers[1 - i].reset();
      ASSERT_EQ(::dup2(silent[0].get(), number), number);
      next = loop.on_readable(number, [&] { next_called = true; });
      end = loop.after(1ms, [&] { loop.stop(); });
    });
  }
  loop.run();
  EXPECT_FALSE(next_called);
}

TEST(Registrations, ASecondWatchTakesTheFirstOnesPlace) {
  Loop loop;
  const auto pipe = make_pipe(true);
  const auto token = std::make_shared<int>(1);
  bool second_called = false;
  auto first = loop.on_readable(pipe[0].get(), [token] { FAIL(); });
  const auto second = loop.on_readable(pipe[0].get(), [&] { second_called = true, loop.stop(); });
  EXPECT_EQ(token.use_count(), 1) << "the first has ended";
  first.reset();
  loop.run();
  EXPECT_TRUE(second_called);
}

TEST(Registrations, AWriterHearsOfAHangUp) {
  Loop loop;
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  const Fd here(ends[0]);
  Fd there(ends[1]);
  while (::send(here.get(), "full", 4, MSG_NOSIGNAL) > 0) {
  }
  bool called = false;
  const auto writer = loop.on_writable(here.get(), [&] { called = true, loop.stop(); });
  there.reset();
  loop.run();
  EXPECT_TRUE(called);
}

TEST(Registrations, AFileIsNotWatched) {
  Loop loop;
  const test::TempDir folder;
  const auto path = folder.path() / "file";
  const Fd file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  EXPECT_THROW((void)loop.on_readable(file.get(), [] {}), std::system_error);
  // Another one under the same number is.
  const auto pipe = make_pipe(true);
  ASSERT_EQ(::dup2(pipe[0].get(), file.get()), file.get());
  const auto reader = loop.on_readable(file.get(), [&] { loop.stop(); });
  loop.run();
}

TEST(Registrations, TheyMayOutliveTheirLoop) {
  const auto pipe = make_pipe(true);
  const auto token = std::make_shared<int>(1);
  Registration reader;
  Registration timer;
  Registration signals;
  {
    Loop loop;
    reader = loop.on_readable(pipe[0].get(), [token] {});
    timer = loop.after(1h, [token] {});
    signals = loop.on_signals({SIGUSR1}, [](int) {});
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Registrations, AFunctionThatGoesWithTheLoopMayHoldOthers) {
  const std::array pipes{make_pipe(false), make_pipe(false), make_pipe(false)};
  const auto token = std::make_shared<int>(1);
  std::vector<Registration> kept;
  {
    Loop loop;
    struct Held {
      Registration timer;
      Registration writer;
    };
    for (const auto& pipe : pipes) {
      const auto held = std::make_shared<Held>();
      held->timer = loop.after(1h, [token] {});
      held->writer = loop.on_writable(pipe[1].get(), [token] {});
      kept.push_back(loop.after(1s, [held] {}));
      kept.push_back(loop.on_readable(pipe[0].get(), [held] {}));
    }
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Registrations, TimersThatStopLeftAreCalledInTheNextRun) {
  Loop loop;
  std::vector<int> seen;
  const auto first = loop.after(0ms, [&] { seen.push_back(1), loop.stop(); });
  const auto second = loop.after(0ms, [&] { seen.push_back(2), loop.stop(); });
  loop.run();
  loop.run();
  EXPECT_EQ(seen, (std::vector{1, 2}));
}

TEST(Registrations, ATimerThatIsDueMayBeEnded) {
  Loop loop;
  std::vector<int> seen;
  Registration second;
  const auto first = loop.after(0ms, [&] { seen.push_back(1), second.reset(); });
  second = loop.after(0ms, [&] { seen.push_back(2); });
  const auto third = loop.after(0ms, [&] { seen.push_back(3), loop.stop(); });
  loop.run();
  EXPECT_EQ(seen, (std::vector{1, 3}));
}

TEST(Registrations, SignalsEndFromWithinAndDoThenWhatTheyDid) {
  Loop loop;
  std::optional<Registration> signals;
  int calls = 0;
  signals = loop.on_signals({SIGUSR1, SIGUSR2}, [&](int) {
    ++calls;
    signals.reset();
    loop.stop();
  });
  EXPECT_THROW((void)loop.on_signals({SIGUSR2}, [](int) {}), std::logic_error);
  ::raise(SIGUSR2);
  ::raise(SIGUSR1);
  loop.run();
  EXPECT_EQ(calls, 1);
  for (const int signal : {SIGUSR1, SIGUSR2}) {
    struct sigaction now {};
    ASSERT_EQ(::sigaction(signal, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
  }
  EXPECT_NO_THROW((void)loop.on_signals({SIGUSR2}, [](int) {}));
}

}  // namespace
}  // namespace lovage::net
