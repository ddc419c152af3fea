// The small pure rules: shutdown, credit, node names, queues.
#include <gtest/gtest.h>

#include <lovage/error.hpp>

#include "worker/credit.hpp"
#include "worker/queue_selection.hpp"
#include "worker/shutdown.hpp"
#include "worker/worker.hpp"

namespace lovage::worker {
namespace {

using std::chrono::seconds;
using Signal = Shutdown::Signal;
using Step = Shutdown::Step;

constexpr Signal kTerm = Signal::term;
constexpr Signal kInt = Signal::interrupt;
constexpr Signal kQuit = Signal::quit;

struct ShutdownCase {
  const char* name;
  Shutdown::Options options;
  std::vector<Signal> signals;
  std::vector<Step> steps;
  int exit_code;
};
class ShutdownTable : public ::testing::TestWithParam<ShutdownCase> {};

TEST_P(ShutdownTable, Steps) {
  Shutdown shutdown(GetParam().options);
  EXPECT_FALSE(shutdown.stopping());
  std::vector<Step> steps;
  for (const Signal signal : GetParam().signals) steps.push_back(shutdown.on_signal(signal, true));
  EXPECT_EQ(steps, GetParam().steps);
  EXPECT_EQ(shutdown.exit_code(), GetParam().exit_code);
  EXPECT_TRUE(shutdown.stopping());
}
const Shutdown::Options kSoft{.soft_timeout = seconds(2), .term_is_quit = false};
const Shutdown::Options kRemapped{.soft_timeout = seconds(0), .term_is_quit = true};
INSTANTIATE_TEST_SUITE_P(
    Table, ShutdownTable,
    ::testing::Values(ShutdownCase{"term", {}, {kTerm}, {Step::warm}, 0},
                      ShutdownCase{"term_twice", {}, {kTerm, kTerm}, {Step::warm, Step::cold}, 0},
                      ShutdownCase{"int", {}, {kInt}, {Step::warm}, 1},
                      ShutdownCase{"int_twice", {}, {kInt, kInt}, {Step::warm, Step::cold}, 1},
                      ShutdownCase{"quit", {}, {kQuit}, {Step::cold}, 0},
                      ShutdownCase{"term_quit", {}, {kTerm, kQuit}, {Step::warm, Step::cold}, 0},
                      ShutdownCase{"term_int", {}, {kTerm, kInt}, {Step::warm, Step::cold}, 1},
                      ShutdownCase{"third_is_hard", {}, {kInt, kInt, kInt}, {Step::warm, Step::cold, Step::hard}, 1},
                      ShutdownCase{"quit_soft", kSoft, {kQuit}, {Step::soft}, 0},
                      ShutdownCase{"quit_soft_quit", kSoft, {kQuit, kQuit}, {Step::soft, Step::cold}, 0},
                      ShutdownCase{"term_soft", kSoft, {kTerm, kTerm}, {Step::warm, Step::soft}, 0},
                      ShutdownCase{"remapped", kRemapped, {kTerm}, {Step::cold}, 0},
                      ShutdownCase{"remapped_int", kRemapped, {kInt}, {Step::warm}, 1}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(ShutdownMachine, SoftWaitEndsCold) {
  Shutdown shutdown(kSoft);
  EXPECT_EQ(shutdown.on_soft_timeout(), Step::none);
  EXPECT_EQ(shutdown.on_signal(kQuit, true), Step::soft);
  EXPECT_EQ(shutdown.on_soft_timeout(), Step::cold);
  EXPECT_EQ(shutdown.on_soft_timeout(), Step::none);
}

TEST(ShutdownMachine, WarmWaitEndsColdWhereItHasALimit) {
  Shutdown shutdown(kSoft);
  EXPECT_EQ(shutdown.on_warm_timeout(), Step::none);
  EXPECT_EQ(shutdown.on_signal(kTerm, true), Step::warm);
  EXPECT_EQ(shutdown.on_warm_timeout(), Step::cold);
  EXPECT_EQ(shutdown.on_warm_timeout(), Step::none);
  EXPECT_EQ(shutdown.exit_code(), 0);
  Shutdown soft(kSoft);
  EXPECT_EQ(soft.on_signal(kTerm, true), Step::warm);
  EXPECT_EQ(soft.on_signal(kTerm, true), Step::soft);
  EXPECT_EQ(soft.on_warm_timeout(), Step::cold) << "the limit is counted from the first signal";
}

TEST(ShutdownMachine, DoesNotWaitSoftlyForNothing) {
  Shutdown shutdown(kSoft);
  EXPECT_EQ(shutdown.on_signal(kQuit, false), Step::cold);
}

TEST(ShutdownMachine, ABrokenPoolEndsTheWorkerWithOne) {
  Shutdown shutdown({});
  EXPECT_EQ(shutdown.on_broken(), Step::warm);
  EXPECT_EQ(shutdown.on_broken(), Step::none);
  EXPECT_EQ(shutdown.exit_code(), 1);
}

// --- Credit --------------------------------------------------------------------------------------------

struct CreditCase {
  const char* name;
  Load load;
  CreditLimits limits;
  std::size_t messages;
};
class CreditTable : public ::testing::TestWithParam<CreditCase> {};
TEST_P(CreditTable, Messages) {
  EXPECT_EQ(credit_for(GetParam().load, GetParam().limits).messages, GetParam().messages);
}

Load load(std::size_t in_pool, std::size_t not_started = 0, std::size_t appetite = 4) {
  return {.slots = 4,
          .appetite = appetite,
          .in_pool = in_pool,
          .not_started = not_started,
          .bytes_waiting = 0,
          .unsettled = 0};
}
CreditLimits multiplied(std::size_t by) {
  return {.prefetch_multiplier = by};
}
INSTANTIATE_TEST_SUITE_P(
    Table, CreditTable,
    ::testing::Values(CreditCase{"idle", load(0), {}, 4}, CreditCase{"a_free_slot", load(3), {}, 1},
                      CreditCase{"long_tasks_take_nothing_that_would_wait", load(4), {}, 0},
                      CreditCase{"short_tasks_look_ahead", load(4, 0, 36), {}, 32},
                      CreditCase{"fair_never_looks_ahead", load(4, 0, 36), {.fair = true}, 0},
                      CreditCase{"multiplier", load(4), multiplied(4), 12},
                      CreditCase{"fair_wins_over_the_multiplier", load(3), {.prefetch_multiplier = 4, .fair = true}, 1},
                      CreditCase{"unlimited_is_bounded", load(0), multiplied(0), kMostHeld},
                      CreditCase{"an_absurd_multiplier_is_bounded", load(0), multiplied(1'000'000), kMostHeld},
                      CreditCase{"full", load(9, 5), {}, 0}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(CreditBytes, CountWhatWaits) {
  Load held = load(4, 2, 40);
  held.bytes_waiting = 600;
  EXPECT_EQ(credit_for(held, {.prefetch_bytes = 1'000}), (Credit{.messages = 36, .bytes = 400}));
  held.bytes_waiting = 1'000;
  EXPECT_EQ(credit_for(held, {.prefetch_bytes = 1'000}), Credit{});
}

TEST(CreditBytes, AlwaysLeaveRoomForOneMessage) {
  EXPECT_EQ(credit_for(load(3), {.prefetch_bytes = 0}), (Credit{.messages = 1, .bytes = 0}));
}

TEST(CreditRules, StopWhileNothingIsConfirmed) {
  Load held = load(0);
  held.unsettled = kMostHeld;
  EXPECT_EQ(credit_for(held, {}), Credit{});
}

// --- Names ---------------------------------------------------------------------------------------------

struct NameCase {
  const char* pattern;
  const char* name;
};
class NodeName : public ::testing::TestWithParam<NameCase> {};
TEST_P(NodeName, Expands) {
  EXPECT_EQ(expand_node_name(GetParam().pattern, "vm.example.org"), GetParam().name);
}
INSTANTIATE_TEST_SUITE_P(Table, NodeName,
                         ::testing::Values(NameCase{"", "celery@vm.example.org"}, NameCase{"w1", "celery@w1"},
                                           NameCase{"w1@%h", "w1@vm.example.org"}, NameCase{"x@%n", "x@vm"},
                                           NameCase{"x@%d", "x@example.org"}, NameCase{"%h", "celery@vm.example.org"},
                                           NameCase{"w%i@%n", "w0@vm"}, NameCase{"w%I@%n", "w@vm"},
                                           NameCase{"a@b", "a@b"}));

TEST(NodeNames, HaveNoDomainWhereTheHostHasNone) {
  EXPECT_EQ(expand_node_name("x@%d", "vm"), "x@");
}

TEST(NodeNames, RefuseUnknownExpansions) {
  EXPECT_THROW(expand_node_name("w%p@%h", "vm"), ConfigError);
  EXPECT_THROW(expand_node_name("w%q", "vm"), ConfigError);
}

// --- Queues --------------------------------------------------------------------------------------------

std::vector<std::string> names(const std::vector<wire::QueueDeclaration>& queues) {
  std::vector<std::string> found;
  for (const auto& queue : queues) found.push_back(queue.name);
  return found;
}
using Names = std::vector<std::string>;

TEST(Queues, DefaultToTheDefaultQueue) {
  EXPECT_EQ(names(select_queues(Config{}, {}, {})), Names{"celery"});
}

TEST(Queues, AreTheDeclaredOnesWithoutTheExcluded) {
  Config config;
  config.task_queues = {{.name = "a"},
                        {.name = "b", .exchange = "topics", .exchange_type = "topic", .routing_key = "b.#"}};
  EXPECT_EQ(names(select_queues(config, {}, {})), (Names{"a", "b"}));
  EXPECT_EQ(names(select_queues(config, {}, {"a"})), Names{"b"});
  EXPECT_EQ(names(select_queues(config, {"b", "b"}, {})), Names{"b"});
  EXPECT_EQ(select_queues(config, {"b"}, {}).at(0).exchange_type, wire::ExchangeType::topic);
  EXPECT_EQ(select_queues(config, {"b"}, {}).at(0).routing_key, "b.#");
  EXPECT_THROW(select_queues(config, {"b"}, {"b"}), ConfigError);
}

TEST(Queues, AreCreatedOnlyWhereThatIsOn) {
  Config config;
  config.task_queues = {{.name = "emails"}};
  EXPECT_EQ(names(select_queues(config, {"other"}, {})), Names{"other"});
  config.task_create_missing_queues = false;
  try {
    select_queues(config, {"email"}, {});
    FAIL() << "an undeclared queue was accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("'emails'"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lovage::worker
