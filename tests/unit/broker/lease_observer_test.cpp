#include "broker/lease_observer.hpp"

#include <gmock/gmock.h>

#include "support/manual_clock.hpp"

namespace lovage::broker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto kLease = 15'000ms;
constexpr auto kThird = 5'000ms;
const IncarnationId kA("a");
const IncarnationId kB("b");

class LeaseObserverTest : public testing::Test {
 protected:
  std::vector<DeadIncarnation> tick(std::map<IncarnationId, std::uint64_t> counters, Duration after = kThird,
                                    const std::string& run = "run1", Duration answer_took = 0ms) {
    clock.advance(after - answer_took);
    const Monotonic asked = clock.monotonic();
    clock.advance(answer_took);
    return observer.answered(asked, {run, std::move(counters)});
  }
  // Three ticks that see the same counter: the next one is fatal.
  void bring_to_the_edge() {
    for (int i = 0; i < 3; ++i) EXPECT_THAT(tick({{kA, 7}}), IsEmpty());
  }

  test::ManualClock clock;
  LeaseObserver observer{clock, kLease};
};

TEST_F(LeaseObserverTest, FourTicksWithTheSameCounterAreDeath) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}), ElementsAre(DeadIncarnation{kA, 7}));
}

TEST_F(LeaseObserverTest, SaysSoAgainWhileTheDeadIsStillRegistered) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}), ElementsAre(DeadIncarnation{kA, 7}));
  EXPECT_THAT(tick({{kA, 7}}), ElementsAre(DeadIncarnation{kA, 7}));
}

TEST_F(LeaseObserverTest, ARenewalStartsTheCountAgain) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 8}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 8}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 8}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 8}}), ElementsAre(DeadIncarnation{kA, 8}));
}

TEST_F(LeaseObserverTest, IncarnationsAreCountedApart) {
  EXPECT_THAT(tick({{kA, 7}, {kB, 1}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}, {kB, 2}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}, {kB, 3}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}, {kB, 4}}), ElementsAre(DeadIncarnation{kA, 7}));
}

TEST_F(LeaseObserverTest, LooksThatComeTooSoonAreNoTicks) {
  bring_to_the_edge();
  for (int i = 0; i < 4; ++i) EXPECT_THAT(tick({{kA, 7}}, 1'000ms), IsEmpty()) << i;
  EXPECT_THAT(tick({{kA, 7}}, 1'000ms), ElementsAre(DeadIncarnation{kA, 7})) << "a third has passed by now";
}

TEST_F(LeaseObserverTest, ATimerThatIsALittleEarlyStillTicks) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}, 4'600ms), ElementsAre(DeadIncarnation{kA, 7}));
}

TEST_F(LeaseObserverTest, AFailedLookStartsTheCountAgain) {
  bring_to_the_edge();
  observer.start_again();
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}), ElementsAre(DeadIncarnation{kA, 7}));
}

TEST_F(LeaseObserverTest, ASlowAnswerStartsTheCountAgain) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}, 6'000ms, "run1", 5'000ms), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}}), ElementsAre(DeadIncarnation{kA, 7}));
}

TEST_F(LeaseObserverTest, AnotherServerRunStartsTheCountAgain) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}, kThird, "run2"), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}}, kThird, "run2"), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}}, kThird, "run2"), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}}, kThird, "run2"), ElementsAre(DeadIncarnation{kA, 7}));
}

TEST_F(LeaseObserverTest, AServerRestartJustAfterATickStartsTheCountAgainToo) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}, 1'000ms, "run2"), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}}, kThird, "run2"), IsEmpty());
}

TEST_F(LeaseObserverTest, AGapLongerThanTheLeaseStartsTheCountAgain) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}, kLease + 1ms), IsEmpty());
}

TEST_F(LeaseObserverTest, AnIncarnationThatComesBackUnderTheSameNameIsNew) {
  bring_to_the_edge();
  EXPECT_THAT(tick({{kB, 1}}), IsEmpty());
  EXPECT_THAT(tick({{kA, 7}, {kB, 2}}), IsEmpty());
}

TEST_F(LeaseObserverTest, AnEmptyStoreIsNoTrouble) {
  EXPECT_THAT(tick({}), IsEmpty());
  bring_to_the_edge();
  EXPECT_THAT(tick({{kA, 7}}), ElementsAre(DeadIncarnation{kA, 7}));
}

}  // namespace
}  // namespace lovage::broker
