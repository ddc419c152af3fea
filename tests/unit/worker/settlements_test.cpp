#include "worker/settlements.hpp"

#include <gmock/gmock.h>

#include <lovage/states.hpp>

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

broker::Settlement settle(const World& world, const wire::TaskMessage& message, const Outcome& outcome) {
  const Facts facts = world.facts();
  return SettlementRules(facts).finished(job_of(facts, message), outcome, kNow);
}

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

// --- Success -------------------------------------------------------------------------------------------

TEST(Success, StoresTheResultAndAcknowledges) {
  const auto settlement = settle(World(), message_of(), success("[1, 2]"));
  EXPECT_EQ(settlement.token, Token(7));
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  ASSERT_EQ(settlement.results.size(), 1U);
  EXPECT_EQ(settlement.results[0].task_id, "id-1");
  EXPECT_EQ(settlement.results[0].state, "SUCCESS");
  const auto meta = stored(settlement.results[0]);
  EXPECT_EQ(meta.result, Value(Array{Value(1), Value(2)}));
  EXPECT_EQ(meta.children, Value(Array{}));
  EXPECT_EQ(meta.parent_id, "parent-1");
  EXPECT_EQ(meta.date_done, wire::date_done_text(kNow, wire::JsonTypes::celery_5_6));
  EXPECT_TRUE(settlement.sends.empty());
}

TEST(Success, WritesDateDoneAsTheReadersVersionDoes) {
  World world;
  world.config.json_types = "5.2";
  const auto meta = stored(settle(world, message_of(), success()).results.at(0));
  EXPECT_EQ(meta.date_done, wire::date_done_text(kNow, wire::JsonTypes::celery_5_2));
}

TEST(Success, AddsTheExtendedFields) {
  World world;
  world.config.result_extended = true;
  const auto meta =
      stored(settle(world, message_of({.args = {Value(2)}, .kwargs = {{"y", Value(3)}}, .embed = {}}), success())
                 .results.at(0));
  EXPECT_EQ(meta.result, Value(5));
  EXPECT_EQ(*meta.extended.find("name"), Value("add"));
  EXPECT_EQ(*meta.extended.find("args"), Value(Array{Value(2)}));
  EXPECT_EQ(*meta.extended.find("kwargs"), Value(Object{{"y", Value(3)}}));
  EXPECT_EQ(*meta.extended.find("worker"), Value("celery@test"));
  EXPECT_EQ(*meta.extended.find("retries"), Value(0));
  EXPECT_EQ(*meta.extended.find("queue"), Value("celery"));
}

TEST(Success, ListsTheTasksThatTheTaskSent) {
  Outcome outcome = success();
  outcome.children = {"child-1"};
  const auto meta = stored(settle(World(), message_of(), outcome).results.at(0));
  EXPECT_EQ(to_json(meta.children), R"([[["child-1", null], null]])");
}

struct IgnoreCase {
  std::optional<bool> message;
  std::optional<bool> task;
  bool setting;
  bool stored;
};
class IgnoreResult : public ::testing::TestWithParam<IgnoreCase> {};
TEST_P(IgnoreResult, MessageWinsOverTaskOverSetting) {
  World world;
  world.config.task_ignore_result = GetParam().setting;
  world.registry.add(task_named("quiet", {.ignore_result = GetParam().task}));
  auto message = message_of();
  message.task = "quiet";
  message.ignore_result = GetParam().message;
  EXPECT_EQ(settle(world, message, success()).results.size(), GetParam().stored ? 1U : 0U);
  EXPECT_EQ(settle(world, message, failure()).results.size(), GetParam().stored ? 1U : 0U);
}
INSTANTIATE_TEST_SUITE_P(Table, IgnoreResult,
                         ::testing::Values(IgnoreCase{{}, {}, false, true}, IgnoreCase{{}, {}, true, false},
                                           IgnoreCase{{}, false, true, true}, IgnoreCase{{}, true, false, false},
                                           IgnoreCase{false, true, true, true}, IgnoreCase{true, false, false, false}));

TEST(IgnoreResult, ErrorsAreStoredWhereAskedFor) {
  World world;
  world.config.task_store_errors_even_if_ignored = true;
  auto message = message_of();
  message.ignore_result = true;
  EXPECT_TRUE(settle(world, message, success()).results.empty());
  EXPECT_EQ(settle(world, message, failure()).results.size(), 1U);
}

// --- Successors ----------------------------------------------------------------------------------------

TEST(Link, SendsTheCallbackWithTheResultFirst) {
  const wire::Body body{
      .args = {},
      .kwargs = {},
      .embed = {.callbacks = Array{signature("tasks.log", {Value(10)})}, .errbacks = {}, .chain = {}, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), success("3"));
  ASSERT_EQ(settlement.sends.size(), 1U);
  const auto& sent = settlement.sends[0];
  EXPECT_EQ(sent.task, "tasks.log");
  EXPECT_EQ(body_of(sent).args, (Array{Value(3), Value(10)}));
  EXPECT_EQ(sent.argsrepr, "(3, 10)");
  EXPECT_EQ(sent.parent_id, "id-1");
  EXPECT_EQ(sent.root_id, "root-1");
  EXPECT_EQ(sent.exchange, "");
  EXPECT_EQ(sent.routing_key, "celery");
  EXPECT_EQ(sent.retries, 0);
  EXPECT_FALSE(sent.group_id);
  EXPECT_FALSE(sent.id.empty());
  EXPECT_FALSE(sent.delivery_tag.empty());
  const auto meta = stored(settlement.results.at(0));
  EXPECT_EQ(to_json(meta.children), "[[[\"" + sent.id + "\", null], null]]");
}

TEST(Link, LeavesTheArgumentsOfAnImmutableCallbackAlone) {
  const wire::Body body{
      .args = {},
      .kwargs = {},
      .embed = {.callbacks = Array{signature("log", {Value(1)}, {}, true)}, .errbacks = {}, .chain = {}, .chord = {}}};
  EXPECT_EQ(body_of(settle(World(), message_of(body), success()).sends.at(0)).args, (Array{Value(1)}));
}

TEST(Link, SendsSeveralCallbacksAsAGroup) {
  const wire::Body body{
      .args = {},
      .kwargs = {},
      .embed = {.callbacks = Array{signature("a"), signature("b")}, .errbacks = {}, .chain = {}, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), success());
  ASSERT_EQ(settlement.sends.size(), 2U);
  EXPECT_TRUE(settlement.sends[0].group_id);
  EXPECT_EQ(settlement.sends[0].group_id, settlement.sends[1].group_id);
  EXPECT_EQ(settlement.sends[0].group_index, 0);
  EXPECT_EQ(settlement.sends[1].group_index, 1);
  const auto children = to_json(stored(settlement.results.at(0)).children);
  EXPECT_EQ(children, "[[[\"" + *settlement.sends[0].group_id + "\", null], [[[\"" + settlement.sends[0].id +
                          "\", null], null], [[\"" + settlement.sends[1].id + "\", null], null]]]]");
}

std::vector<std::string> declared(const broker::Settlement& settlement) {
  std::vector<std::string> names;
  for (const auto& queue : settlement.declares) names.push_back(queue.name);
  return names;
}

TEST(Link, NamesTheQueuesOfSuccessorsOnceEach) {
  const Object fast{{"queue", Value("fast")}};
  const Array signatures{signature("a", {}, fast), signature("b", {}, fast), signature("c")};
  const wire::Body body{
      .args = {}, .kwargs = {}, .embed = {.callbacks = signatures, .errbacks = signatures, .chain = {}, .chord = {}}};
  EXPECT_THAT(declared(settle(World(), message_of(body), success())), ::testing::ElementsAre("fast", "celery"));
  EXPECT_THAT(declared(settle(World(), message_of(body), failure())), ::testing::ElementsAre("fast", "celery"));
}

TEST(Link, TakesTheOptionsOfTheSignature) {
  const Object options{{"task_id", Value("chosen")},
                       {"queue", Value("fast")},
                       {"priority", Value(6)},
                       {"countdown", Value(30)},
                       {"expires", Value(60.5)},
                       {"shadow", Value("nick")},
                       {"time_limit", Value(20)},
                       {"soft_time_limit", Value(10)},
                       {"reply_to", Value("r")},
                       {"headers", Value(Object{{"x-my", Value("header")}})},
                       {"ignore_result", Value(true)},
                       {"link", signature("next")},
                       {"link_error", Value(Array{signature("oops")})},
                       {"group_id", Value("g")},
                       {"group_index", Value(4)},
                       {"root_id", Value()},
                       {"stamped_headers", Value(Array{Value("s")})},
                       {"s", Value("stamp")}};
  const wire::Body body{
      .args = {},
      .kwargs = {},
      .embed = {.callbacks = Array{signature("log", {}, options)}, .errbacks = {}, .chain = {}, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), success());
  ASSERT_EQ(settlement.sends.size(), 1U);
  const auto& sent = settlement.sends[0];
  EXPECT_EQ(sent.id, "chosen");
  EXPECT_EQ(sent.routing_key, "fast");
  EXPECT_EQ(sent.priority, 6);
  ASSERT_TRUE(sent.eta);
  ASSERT_TRUE(sent.expires);
  EXPECT_EQ(sent.expires->at - sent.eta->at, milliseconds(30'500));
  EXPECT_EQ(sent.expiration, "60500");
  EXPECT_EQ(sent.shadow, "nick");
  EXPECT_EQ(sent.timelimit.hard, 20);
  EXPECT_EQ(sent.timelimit.soft, 10);
  EXPECT_EQ(sent.reply_to, "r");
  EXPECT_EQ(*sent.custom_headers.find("x-my"), Value("header"));
  EXPECT_EQ(sent.ignore_result, true);
  EXPECT_EQ(sent.group_id, "g");
  EXPECT_EQ(sent.group_index, 4);
  EXPECT_EQ(sent.root_id, "root-1");
  EXPECT_EQ(*sent.stamps.find("s"), Value("stamp"));
  const auto embed = body_of(sent).embed;
  EXPECT_EQ(embed.callbacks, (Array{signature("next")}));
  EXPECT_EQ(embed.errbacks, (Array{signature("oops")}));
}

TEST(Link, GoesWhereTheRoutesSay) {
  World world;
  world.config.task_routes = {{"tasks.*", Route{.queue = "routed", .exchange = {}, .routing_key = {}, .priority = 3}}};
  const wire::Body body{
      .args = {},
      .kwargs = {},
      .embed = {.callbacks = Array{signature("tasks.log")}, .errbacks = {}, .chain = {}, .chord = {}}};
  const auto sent = settle(world, message_of(body), success()).sends.at(0);
  EXPECT_EQ(sent.routing_key, "routed");
  EXPECT_EQ(sent.priority, 3);
}

TEST(Link, ThatCannotBeSentFailsTheTask) {
  const wire::Body body{.args = {},
                        .kwargs = {},
                        .embed = {.callbacks = Array{Value("no signature")}, .errbacks = {}, .chain = {}, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), success());
  EXPECT_TRUE(settlement.sends.empty());
  ASSERT_EQ(settlement.results.size(), 1U);
  EXPECT_EQ(settlement.results[0].state, "FAILURE");
}

TEST(Chain, PassesTheRestToTheNextStep) {
  const Array chain{signature("third", {}, {{"task_id", Value("id-3")}}),
                    signature("second", {Value(9)}, {{"task_id", Value("id-2")}})};
  const wire::Body body{
      .args = {}, .kwargs = {}, .embed = {.callbacks = {}, .errbacks = {}, .chain = chain, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), success("3"));
  ASSERT_EQ(settlement.sends.size(), 1U);
  const auto& sent = settlement.sends[0];
  EXPECT_EQ(sent.id, "id-2");
  EXPECT_EQ(sent.parent_id, "id-1");
  EXPECT_EQ(sent.root_id, "root-1");
  EXPECT_EQ(body_of(sent).args, (Array{Value(3), Value(9)}));
  EXPECT_EQ(body_of(sent).embed.chain, (Array{chain[0]}));
  const auto last = settle(World(), sent, success("4"));
  ASSERT_EQ(last.sends.size(), 1U);
  EXPECT_EQ(last.sends[0].id, "id-3");
  EXPECT_EQ(body_of(last.sends[0]).embed.chain, Array{});
  EXPECT_TRUE(settle(World(), last.sends[0], success()).sends.empty());
}

TEST(Chain, EndingInAGroupSendsItsMembers) {
  const Array members{signature("a", {Value(2)}, {{"task_id", Value("m-0")}}),
                      signature("b", {Value(3)}, {{"task_id", Value("m-1")}})};
  const wire::Body body{.args = {},
                        .kwargs = {},
                        .embed = {.callbacks = {},
                                  .errbacks = {},
                                  .chain = Array{canvas("group", members, {{"task_id", Value("gid")}})},
                                  .chord = {}}};
  const auto settlement = settle(World(), message_of(body), success("1"));
  ASSERT_EQ(settlement.sends.size(), 2U);
  EXPECT_EQ(settlement.sends[0].group_id, "gid");
  EXPECT_EQ(settlement.sends[1].group_index, 1);
  EXPECT_EQ(body_of(settlement.sends[1]).args, (Array{Value(1), Value(3)}));
  EXPECT_EQ(to_json(stored(settlement.results.at(0)).children),
            R"([[["gid", null], [[["m-0", null], null], [["m-1", null], null]]]])");
}

TEST(Chain, AsACallbackSendsItsFirstStep) {
  const Array steps{signature("a"), signature("b"), signature("c")};
  const wire::Body body{
      .args = {},
      .kwargs = {},
      .embed = {.callbacks = Array{canvas("chain", steps)}, .errbacks = {}, .chain = {}, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), success());
  ASSERT_EQ(settlement.sends.size(), 1U);
  EXPECT_EQ(settlement.sends[0].task, "a");
  const auto rest = body_of(settlement.sends[0]).embed.chain;
  ASSERT_TRUE(rest);
  ASSERT_EQ(rest->size(), 2U);
  EXPECT_EQ(*(*rest)[1].find("task"), Value("b"));
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
  const auto next = wire::decode_envelope(settlement.replacement);
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
  const auto next = wire::decode_envelope(settlement.replacement);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->content_type, "application/x-msgpack");
  EXPECT_EQ(next->compression, "application/x-gzip");
  EXPECT_EQ(next->argsrepr, "(8,)");
  const auto edited = body_of(*next);
  EXPECT_EQ(edited.args, Array{Value(8)});
  EXPECT_EQ(edited.kwargs, (Object{{"k", Value(2)}}));
  EXPECT_EQ(edited.embed.callbacks, (Array{signature("log")}));
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
    const auto next = wire::decode_envelope(settlement.replacement);
    ASSERT_TRUE(next);
    EXPECT_GT(next->eta->at, kNow + std::chrono::years(900));
    EXPECT_EQ(next->retries, message.retries);
  }
}

TEST(Retried, WithoutDelayGoesToTheTailAtOnce) {
  const auto settlement = settle(World(), message_of(), retry_in(seconds(0)));
  EXPECT_EQ(settlement.disposal, Disposal::return_tail);
  EXPECT_FALSE(wire::decode_envelope(settlement.replacement)->eta);
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
  EXPECT_TRUE(wire::decode_envelope(settlement.replacement)->redelivered);
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
  EXPECT_TRUE(settlement.replacement.empty());
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
