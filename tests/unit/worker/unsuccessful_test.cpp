// What becomes of a message whose task did not succeed: failures, retries, losses, refusals.
#include "worker/settlements.hpp"

#include <gmock/gmock.h>

#include <limits>

#include "base/logging.hpp"
#include "unit/worker/support.hpp"

namespace lovage::worker {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the support of these tests
using broker::Disposal;
using execution::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

Outcome death(int signal = 9) {
  Outcome outcome = outcome_of(Outcome::Kind::lost);
  outcome.death = {.pid = 42, .wait_status = signal, .max_rss_kib = 1000};
  return outcome;
}

Outcome retry_in(milliseconds countdown) {
  Outcome outcome = outcome_of(Outcome::Kind::retry);
  outcome.retry.countdown = countdown;
  outcome.exception = {.type = "ConnectionError", .module = "builtins", .arguments = {Value("upstream")}};
  outcome.traceback = "Retry in 2s";
  return outcome;
}

// --- Failure -------------------------------------------------------------------------------------------

TEST(Failed, StoresTheExceptionAndMarksLaterSteps) {
  const Array chain{signature("third", {}, {{"task_id", Value("id-3")}}),
                    signature("second", {}, {{"task_id", Value("id-2")}})};
  const wire::Body body{.args = {},
                        .kwargs = {},
                        .embed = {.callbacks = Array{signature("never")}, .errbacks = {}, .chain = chain, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), failure());
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  EXPECT_TRUE(settlement.sends.empty());
  ASSERT_EQ(settlement.results.size(), 3U);
  EXPECT_EQ(settlement.results[0].task_id, "id-1");
  EXPECT_EQ(settlement.results[1].task_id, "id-2");
  EXPECT_EQ(settlement.results[2].task_id, "id-3");
  for (const auto& result : settlement.results) {
    EXPECT_EQ(result.state, "FAILURE");
    const auto meta = stored(result);
    EXPECT_EQ(*meta.result.find("exc_type"), Value("ValueError"));
    EXPECT_EQ(*meta.result.find("exc_message"), Value(Array{Value("boom")}));
    EXPECT_EQ(*meta.result.find("exc_module"), Value("builtins"));
    EXPECT_EQ(meta.traceback, "Traceback: here");
    EXPECT_TRUE(meta.date_done);
  }
}

TEST(Failed, SendsErrbacksWithTheFailedId) {
  const Array errbacks{signature("on_error", {Value("mine")}), signature("fixed", {}, {}, true)};
  const wire::Body body{
      .args = {}, .kwargs = {}, .embed = {.callbacks = {}, .errbacks = errbacks, .chain = {}, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), failure());
  ASSERT_EQ(settlement.sends.size(), 2U);
  EXPECT_EQ(body_of(settlement.sends[0]).args, (Array{Value("id-1"), Value("mine")}));
  EXPECT_EQ(body_of(settlement.sends[1]).args, Array{});
  EXPECT_EQ(settlement.sends[0].parent_id, "id-1");
  EXPECT_EQ(settlement.sends[0].root_id, "root-1");
  EXPECT_TRUE(settlement.sends[0].group_id);
  EXPECT_EQ(settlement.sends[0].group_id, settlement.sends[1].group_id);
}

TEST(Failed, AnErrbackThatIsNoSignatureIsLeftOutWithAWarning) {
  const Array errbacks{Value("no signature"), signature("fixed", {}, {}, true)};
  const wire::Body body{
      .args = {}, .kwargs = {}, .embed = {.callbacks = {}, .errbacks = errbacks, .chain = {}, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), failure());
  EXPECT_EQ(settlement.results.size(), 1U);
  ASSERT_EQ(settlement.sends.size(), 1U);
  EXPECT_EQ(settlement.sends[0].task, "fixed");
  EXPECT_THAT(log::recent_lines(),
              ::testing::Contains(
                  ::testing::AllOf(::testing::HasSubstr("WARNING"), ::testing::HasSubstr("an errback is not sent"))));
}

TEST(Failed, GoesToTheDeadLettersWhenFailuresAreNotAcknowledged) {
  World world;
  world.config.task_acks_on_failure_or_timeout = false;
  const auto settlement = settle(world, message_of(), failure());
  EXPECT_EQ(settlement.disposal, Disposal::dead_letter);
  EXPECT_EQ(settlement.dead_letter.reason, "failure");
  EXPECT_EQ(settlement.dead_letter.task_id, "id-1");
  EXPECT_EQ(settlement.results.size(), 1U);
}

TEST(TimedOut, StoresTimeLimitExceeded) {
  auto message = message_of();
  message.timelimit.hard = 2;
  const auto settlement = settle(World(), message, outcome_of(Outcome::Kind::timed_out));
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  const auto meta = stored(settlement.results.at(0));
  EXPECT_EQ(to_json(meta.result),
            R"({"exc_type": "TimeLimitExceeded", "exc_message": [2], "exc_module": "billiard.exceptions"})");
}

TEST(TimedOut, GoesBackWhenTimeoutsAreNotAcknowledged) {
  World world;
  world.config.task_acks_on_failure_or_timeout = false;
  const auto settlement = settle(world, message_of(), outcome_of(Outcome::Kind::timed_out));
  EXPECT_EQ(settlement.disposal, Disposal::return_tail);
  EXPECT_TRUE(settlement.results.empty());
}

// --- Retry, Ignore, Reject -----------------------------------------------------------------------------

TEST(Retried, WaitsInTheScheduleOfItsQueue) {
  auto message = message_of({.args = {Value(1)}, .kwargs = {}, .embed = {}});
  message.parent_id.reset();
  const auto settlement = settle(World(), message, retry_in(seconds(2)));
  EXPECT_EQ(settlement.disposal, Disposal::schedule);
  EXPECT_EQ(settlement.due.delay, seconds(2));
  EXPECT_TRUE(settlement.sends.empty());
  const auto next = settlement.replacement;
  ASSERT_TRUE(next);
  EXPECT_EQ(next->id, "id-1");
  EXPECT_EQ(next->retries, 1);
  EXPECT_EQ(next->eta->at, kNow + seconds(2));
  EXPECT_EQ(next->parent_id, "id-1");
  EXPECT_EQ(next->root_id, "root-1");
  EXPECT_EQ(next->origin, "gen7@producer");
  EXPECT_EQ(next->body, message.body);
  ASSERT_EQ(settlement.results.size(), 1U);
  EXPECT_EQ(settlement.results[0].state, "RETRY");
  const auto meta = stored(settlement.results[0]);
  EXPECT_EQ(*meta.result.find("exc_type"), Value("ConnectionError"));
  EXPECT_EQ(meta.traceback, "Retry in 2s");
  EXPECT_FALSE(meta.date_done);
  EXPECT_EQ(to_json(meta.children), R"([[["id-1", null], null]])");
}

TEST(Retried, ReplacesArgumentsInTheFormatTheyCameIn) {
  const wire::BodyFormat format{.serializer = wire::Serializer::msgpack, .compression = wire::Compression::zlib};
  const wire::Body body{.args = {Value(1)},
                        .kwargs = {{"k", Value(2)}},
                        .embed = {.callbacks = Array{signature("log")}, .errbacks = {}, .chain = {}, .chord = {}}};
  Outcome outcome = retry_in(seconds(1));
  outcome.retry.args = Array{Value(8)};
  const auto settlement = settle(World(), message_of(body, format), outcome);
  const auto next = settlement.replacement;
  ASSERT_TRUE(next);
  EXPECT_EQ(next->content_type, "application/x-msgpack");
  EXPECT_EQ(next->compression, "application/x-gzip");
  EXPECT_EQ(next->argsrepr, "(8,)");
  const auto edited = body_of(*next);
  EXPECT_EQ(edited.args, Array{Value(8)});
  EXPECT_EQ(edited.kwargs, (Object{{"k", Value(2)}}));
  EXPECT_EQ(edited.embed.callbacks, (Array{signature("log")}));
}

TEST(Retried, WithArgumentsThatAreTooLargeFails) {
  World world;
  world.config.task_message_max_bytes = 1'000;
  world.config.task_compression_threshold = 500;
  Outcome outcome = retry_in(seconds(1));
  outcome.retry.args = Array{std::string(600, 'x')};
  const auto compressed = settle(world, message_of(), outcome).replacement;
  ASSERT_TRUE(compressed);
  EXPECT_EQ(compressed->compression, "application/x-gzip");
  outcome.retry.args = Array{std::string(1'000, 'x')};
  const auto settlement = settle(world, message_of(), outcome);
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  const auto meta = stored(settlement.results.at(0));
  EXPECT_EQ(meta.status, "FAILURE");
  EXPECT_EQ(to_json(*meta.result.find("exc_message")),
            R"(["the message of task add has 1079 bytes, task_message_max_bytes allows 1000"])");
}

TEST(Retried, AfterAbsurdDelaysStaysInTheScheduleWithATimeThatCanBeRead) {
  auto message = message_of();
  message.retries = std::numeric_limits<std::int64_t>::max();
  Outcome late = retry_in(seconds(0));
  late.retry.eta = Timestamp::max();
  for (const Outcome& outcome : {retry_in(milliseconds::max()), late}) {
    const auto settlement = settle(World(), message, outcome);
    EXPECT_EQ(settlement.disposal, Disposal::schedule);
    EXPECT_GT(settlement.due.delay, std::chrono::years(900));
    const auto next = settlement.replacement;
    ASSERT_TRUE(next);
    EXPECT_GT(next->eta->at, kNow + std::chrono::years(900));
    EXPECT_EQ(next->retries, message.retries);
  }
}

TEST(Retried, WithoutDelayGoesToTheTailAtOnce) {
  const auto settlement = settle(World(), message_of(), retry_in(seconds(0)));
  EXPECT_EQ(settlement.disposal, Disposal::return_tail);
  EXPECT_FALSE(settlement.replacement->eta);
}

TEST(Retried, ToAnotherQueueIsSentThere) {
  Outcome outcome = retry_in(seconds(5));
  outcome.retry.queue = "slow";
  const auto settlement = settle(World(), message_of(), outcome);
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  ASSERT_EQ(settlement.sends.size(), 1U);
  EXPECT_EQ(settlement.sends[0].routing_key, "slow");
  EXPECT_EQ(settlement.sends[0].id, "id-1");
  EXPECT_TRUE(settlement.sends[0].eta);
}

TEST(Retried, AfterAnEarlyAcknowledgementIsSentAnew) {
  const World world;
  const Facts facts = world.facts();
  Job job = job_of(facts, message_of());
  job.acknowledged = true;
  const auto settlement = SettlementRules(facts).finished(job, retry_in(seconds(5)), kNow);
  ASSERT_EQ(settlement.sends.size(), 1U);
  EXPECT_EQ(settlement.sends[0].id, "id-1");
  EXPECT_EQ(settlement.sends[0].retries, 1);
}

TEST(Ignored, AcknowledgesAndStoresNothing) {
  const auto settlement = settle(World(), message_of(), outcome_of(Outcome::Kind::ignored));
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  EXPECT_TRUE(settlement.results.empty());
}

TEST(Rejected, GoesToTheTailOrToTheDeadLetters) {
  Outcome outcome = outcome_of(Outcome::Kind::rejected);
  outcome.reason = "bad day";
  auto settlement = settle(World(), message_of(), outcome);
  EXPECT_EQ(settlement.disposal, Disposal::dead_letter);
  EXPECT_EQ(settlement.dead_letter.reason, "rejected");
  EXPECT_EQ(settlement.dead_letter.detail, "bad day");
  EXPECT_EQ(settlement.results.at(0).state, "FAILURE");  // nobody waits for ever
  outcome.requeue = true;
  settlement = settle(World(), message_of(), outcome);
  EXPECT_EQ(settlement.disposal, Disposal::return_tail);
  EXPECT_TRUE(settlement.results.empty());
  EXPECT_TRUE(settlement.replacement->redelivered);
}

// --- Death ---------------------------------------------------------------------------------------------

TEST(Lost, IsAStrikeAtOnceAndTheThirdIsTheLast) {
  const World world;
  const Facts facts = world.facts();
  const SettlementRules rules(facts);
  Job job = job_of(facts, message_of());
  for (int strikes = 1; strikes <= 2; ++strikes) {
    const auto settlement = rules.finished(job, death(), kNow);
    EXPECT_EQ(settlement.disposal, Disposal::schedule);
    EXPECT_EQ(settlement.due.delay, seconds(strikes));  // 1 s, 2 s
    EXPECT_EQ(settlement.marks, (broker::Marks{.suspect = true, .strikes = strikes, .waited_unknown = {}}));
    EXPECT_TRUE(settlement.results.empty());
    job.marks = *settlement.marks;
  }
  const auto last = rules.finished(job, death(), kNow, {.last_log_lines = {"the last words"}});
  EXPECT_EQ(last.disposal, Disposal::dead_letter);
  EXPECT_EQ(last.dead_letter.reason, "poison");
  EXPECT_THAT(last.dead_letter.detail,
              ::testing::AllOf(::testing::HasSubstr("signal 9"), ::testing::HasSubstr("1000 KiB"),
                               ::testing::HasSubstr("the last words")));
  EXPECT_EQ(*stored(last.results.at(0)).result.find("exc_type"), Value("WorkerLostError"));
}

TEST(Lost, FailsWhereItIsNotReturned) {
  World world;
  world.config.task_reject_on_worker_lost = false;
  const auto settlement = settle(world, message_of(), death());
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  EXPECT_EQ(*stored(settlement.results.at(0)).result.find("exc_type"), Value("WorkerLostError"));
}

TEST(NotStarted, GoesBackToTheHeadUnchanged) {
  const auto settlement = settle(World(), message_of(), outcome_of(Outcome::Kind::not_started));
  EXPECT_EQ(settlement.disposal, Disposal::return_head);
  EXPECT_FALSE(settlement.replacement);
  EXPECT_TRUE(settlement.results.empty());
}

TEST(NotStarted, AfterAnEarlyAcknowledgementIsAFailure) {
  const World world;
  const Facts facts = world.facts();
  Job job = job_of(facts, message_of());
  job.acknowledged = true;
  const auto settlement = SettlementRules(facts).finished(job, outcome_of(Outcome::Kind::not_started), kNow);
  EXPECT_EQ(settlement.results.at(0).state, "FAILURE");
}

TEST(Malformed, IsADeadLetterWithAFailure) {
  Outcome outcome = outcome_of(Outcome::Kind::malformed);
  outcome.reason = "bad-body";
  outcome.detail = "no JSON";
  const auto settlement = settle(World(), message_of(), outcome);
  EXPECT_EQ(settlement.disposal, Disposal::dead_letter);
  EXPECT_EQ(settlement.dead_letter.reason, "bad-body");
  EXPECT_EQ(settlement.results.at(0).state, "FAILURE");
}

TEST(Revoked, StoresTheReason) {
  Outcome outcome = outcome_of(Outcome::Kind::revoked);
  outcome.reason = "terminated";
  const auto settlement = settle(World(), message_of(), outcome);
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  EXPECT_EQ(to_json(stored(settlement.results.at(0)).result),
            R"({"exc_type": "TaskRevokedError", "exc_message": ["terminated"], "exc_module": "celery.exceptions"})");
}

}  // namespace
}  // namespace lovage::worker
