// Chords in a worker's settlements: header tasks counted, bodies sent or given up, work that follows in pieces.
#include <gmock/gmock.h>

#include "unit/worker/support.hpp"
#include "worker/abandoned.hpp"
#include "worker/continuation.hpp"
#include "worker/settlements.hpp"

namespace lovage::worker {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the support of these tests
using broker::Disposal;
using execution::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Value body_signature(Object more = {}) {
  Object options{{"task_id", Value("body-id")}, {"queue", Value("celery")}};
  for (auto& [name, value] : more) options.set(name, std::move(value));
  return signature("total", {}, std::move(options));
}

wire::TaskMessage header_task(const Value& chord_body) {
  wire::TaskMessage message = message_of(
      {.args = {}, .kwargs = {}, .embed = {.callbacks = {}, .errbacks = {}, .chain = {}, .chord = chord_body}});
  message.group_id = "group-1";
  message.group_index = 3;
  return message;
}

Join join_in(const broker::Settlement& settlement) {
  auto continuation = decode_continuation(settlement.counts.value().continuation);
  EXPECT_TRUE(continuation) << settlement.counts->continuation;
  return std::get<Join>(continuation.value());
}

broker::Settlement join(const Value& chord_body, const std::vector<std::string>& parts, const World& world = {}) {
  const Facts facts = world.facts();
  return SettlementRules(facts).joined(Token(9), Join{"group-1", chord_body, "root-1", "last-part"}, parts, kNow);
}

// --- Header tasks ----------------------------------------------------------------------------------------

TEST(ChordPart, SuccessCountsTheResultWithTheSettlement) {
  const auto settlement = settle(World(), header_task(body_signature()), success(R"({"n": 5})"));
  ASSERT_TRUE(settlement.counts);
  EXPECT_EQ(settlement.counts->group_id, "group-1");
  ASSERT_THAT(settlement.counts->parts, SizeIs(1));
  EXPECT_EQ(settlement.counts->parts[0].index, 3);
  EXPECT_EQ(settlement.counts->parts[0].task_id, "id-1");
  EXPECT_EQ(settlement.counts->parts[0].text, R"([1, "id-1", "SUCCESS", {"n": 5}])");
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  EXPECT_THAT(settlement.sends, IsEmpty());
  const Join join = join_in(settlement);
  EXPECT_EQ(join.group_id, "group-1");
  EXPECT_EQ(join.body, body_signature());
  EXPECT_EQ(join.root_id, "root-1");
  EXPECT_EQ(join.parent_id, "id-1");
}

TEST(ChordPart, FailuresRevokesAndIgnoresCountToo) {
  const World world;
  const auto failed = settle(world, header_task(body_signature()), failure());
  EXPECT_THAT(failed.counts.value().parts[0].text, HasSubstr(R"(1, "id-1", "FAILURE", {"exc_type": "ValueError")"));
  const auto ignored = settle(world, header_task(body_signature()), outcome_of(Outcome::Kind::ignored));
  EXPECT_THAT(ignored.counts.value().parts[0].text, HasSubstr(R"("FAILURE", {"exc_type": "Ignore")"));
  EXPECT_THAT(ignored.results, IsEmpty());
  const Facts facts = world.facts();
  const auto revoked = SettlementRules(facts).revoked(job_of(facts, header_task(body_signature())), "expired", kNow);
  EXPECT_THAT(revoked.counts.value().parts[0].text, HasSubstr(R"("REVOKED", {"exc_type": "TaskRevokedError")"));
  const auto dead = SettlementRules(facts).poison(job_of(facts, header_task(body_signature())), "3 runs", kNow);
  EXPECT_EQ(dead.disposal, Disposal::dead_letter);
  EXPECT_TRUE(dead.counts);
}

TEST(ChordPart, ARetryDoesNotCount) {
  Outcome retry = outcome_of(Outcome::Kind::retry);
  retry.retry.countdown = std::chrono::seconds(1);
  EXPECT_FALSE(settle(World(), header_task(body_signature()), retry).counts);
}

TEST(ChordPart, AChainThatFailsInAHeaderCountsItsLastStep) {
  const Object last{{"task_id", Value("last-id")},
                    {"group_id", Value("group-1")},
                    {"group_index", Value(7)},
                    {"chord", body_signature()}};
  const Array chain{signature("last", {}, last), signature("next", {}, {{"task_id", Value("next-id")}})};
  const wire::Body body{
      .args = {}, .kwargs = {}, .embed = {.callbacks = {}, .errbacks = {}, .chain = chain, .chord = {}}};
  const auto settlement = settle(World(), message_of(body), failure());
  ASSERT_THAT(settlement.results, SizeIs(3));
  EXPECT_EQ(settlement.results[1].task_id, "next-id");
  EXPECT_EQ(settlement.results[2].task_id, "last-id");
  ASSERT_TRUE(settlement.counts);
  EXPECT_EQ(settlement.counts->group_id, "group-1");
  EXPECT_EQ(settlement.counts->parts.at(0).task_id, "last-id");
  EXPECT_EQ(settlement.counts->parts.at(0).index, 7);
  EXPECT_THAT(settlement.counts->parts.at(0).text, HasSubstr(R"("last-id", "FAILURE", {"exc_type": "ValueError")"));
  EXPECT_EQ(join_in(settlement).body, body_signature());
}

// --- The join --------------------------------------------------------------------------------------------

TEST(ChordJoin, SendsTheBodyWithTheResultsInTheirOrder) {
  const auto settlement = join(
      body_signature(), {R"([1, "a", "SUCCESS", 1])", R"([1, "b", "SUCCESS", "two"])", R"([1, "c", "SUCCESS", null])"});
  EXPECT_EQ(settlement.token, Token(9));
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  ASSERT_THAT(settlement.sends, SizeIs(1));
  const wire::TaskMessage& sent = settlement.sends[0];
  EXPECT_EQ(sent.task, "total");
  EXPECT_EQ(sent.id, "body-id");
  EXPECT_EQ(sent.root_id, "root-1");
  EXPECT_EQ(sent.parent_id, "last-part");
  EXPECT_EQ(body_of(sent).args, (Array{Value(Array{Value(1), Value("two"), Value()})}));
  ASSERT_TRUE(settlement.ended_chord);
  EXPECT_EQ(settlement.ended_chord->group_id, "group-1");
  EXPECT_THAT(settlement.ended_chord->task_ids, ElementsAre("a", "b", "c"));
  EXPECT_THAT(settlement.results, IsEmpty());
}

TEST(ChordJoin, AFailedPartFailsTheBodyByName) {
  const Value errback = signature("oops", {}, {{"queue", Value("celery")}});
  const auto settlement =
      join(body_signature({{"link_error", Value(Array{errback})}}),
           {R"([1, "a", "SUCCESS", 1])",
            R"([1, "b", "FAILURE", {"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"}])"});
  ASSERT_THAT(settlement.results, SizeIs(1));
  EXPECT_EQ(settlement.results[0].task_id, "body-id");
  EXPECT_EQ(settlement.results[0].state, "FAILURE");
  const wire::ExceptionInfo error = wire::exception_from_value(stored(settlement.results[0]).result);
  EXPECT_EQ(error.type, "ChordError");
  EXPECT_EQ(error.arguments, (Array{Value("Dependency b raised ValueError('boom')")}));
  EXPECT_EQ(error.module, "celery.exceptions");
  ASSERT_THAT(settlement.sends, SizeIs(1));
  EXPECT_EQ(settlement.sends[0].task, "oops");
  EXPECT_EQ(body_of(settlement.sends[0]).args, (Array{Value("body-id")}));
  EXPECT_THAT(settlement.ended_chord.value().task_ids, ElementsAre("a", "b"));
}

// Celery's workers hand what follows a chord to its body in this way.
std::vector<Value> bodies_that_are_followed() {
  const auto task = [](const std::string& id) { return signature(id, {}, {{"task_id", id}, {"queue", "celery"}}); };
  const Object followed{{"chain", Array{task("last"), task("next")}}};
  std::vector<Value> bodies{task("alone"), wire::make_chain({task("first"), task("second")}),
                            wire::make_group({task("one"), task("other")}),
                            wire::make_chord({task("part")}, task("inner"))};
  for (auto& body : bodies) wire::canvas_options(body).set("chain", *followed.find("chain"));
  return bodies;
}

// The names of all tasks that a message leads to, in the order in which they run.
void add_names(const Value& any, std::vector<std::string>& names);
void add_names_in_reverse(const std::optional<Array>& steps, std::vector<std::string>& names) {
  if (!steps) return;
  for (auto step = steps->rbegin(); step != steps->rend(); ++step) add_names(*step, names);
}
void add_names(const Value& any, std::vector<std::string>& names) {
  if (const Array* const tasks = wire::canvas_tasks(any)) {
    for (const auto& task : *tasks) add_names(task, names);
    if (const Value* const body = wire::chord_body(any)) add_names(*body, names);
  } else {
    names.push_back(*any.find("task")->if_string());
  }
}
std::vector<std::string> names_in(const wire::TaskMessage& message) {
  std::vector<std::string> names{message.task};
  const wire::Embed embed = body_of(message).embed;
  if (embed.chord) add_names(*embed.chord, names);
  add_names_in_reverse(embed.chain, names);
  return names;
}

TEST(ChordJoin, WhatFollowsABodyOfAnyFormFollowsItsEnd) {
  const std::vector<std::vector<std::string>> wanted{{"alone", "next", "last"},
                                                     {"first", "second", "next", "last"},
                                                     {"one", "next", "last"},
                                                     {"part", "inner", "next", "last"}};
  const auto bodies = bodies_that_are_followed();
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const auto settlement = join(bodies[i], {R"([1, "a", "SUCCESS", 1])"});
    ASSERT_FALSE(settlement.sends.empty()) << to_json(bodies[i]);
    EXPECT_EQ(names_in(settlement.sends[0]), wanted[i]) << to_json(bodies[i]);
  }
}

TEST(ChordJoin, WhatFollowsABodyThatCannotRunFailsWithIt) {
  for (const auto& body : bodies_that_are_followed()) {
    const auto settlement = join(body, {R"([1, "a", "REVOKED", null])"});
    std::vector<std::string> failed;
    for (const auto& result : settlement.results) failed.push_back(result.task_id);
    EXPECT_THAT(failed, ::testing::IsSupersetOf({"next", "last"})) << to_json(body);
  }
}

TEST(ChordJoin, AFailedInnerChordCountsInTheOuterOne) {
  const Object in_outer{{"group_id", Value("outer")},
                        {"group_index", Value(1)},
                        {"chord", signature("outer_body", {}, {{"task_id", Value("outer-id")}})}};
  const auto settlement = join(body_signature(in_outer), {R"([1, "a", "REVOKED", null])"});
  ASSERT_TRUE(settlement.counts);
  EXPECT_EQ(settlement.counts->group_id, "outer");
  EXPECT_EQ(settlement.counts->parts.at(0).task_id, "body-id");
  EXPECT_THAT(settlement.counts->parts.at(0).text, HasSubstr("ChordError"));
}

TEST(ChordJoin, PartsThatCannotBeReadFailTheBody) {
  for (const char* const text : {"", "{}", "[1]", R"([1, 2, "SUCCESS", 1])", "[1, \"a\", \"SUCCESS\""}) {
    const auto settlement = join(body_signature(), {text});
    ASSERT_THAT(settlement.results, SizeIs(1)) << text;
    EXPECT_EQ(settlement.results[0].state, "FAILURE") << text;
  }
}

TEST(ChordJoin, ABodyThatIsNoSignatureIsSaidToNobodyButEndsTheChord) {
  const auto settlement = join(Value("nothing"), {R"([1, "a", "SUCCESS", 1])"});
  EXPECT_THAT(settlement.sends, IsEmpty());
  EXPECT_TRUE(settlement.ended_chord);
}

// --- Errbacks --------------------------------------------------------------------------------------------

TEST(Errbacks, OneThatIsRegisteredHereAndTakesMoreIsToldMore) {
  World world;
  app::TaskDefinition detailed = task_named("detailed");
  detailed.parameters.resize(3);
  world.registry.add(std::move(detailed));
  const Object options{{"queue", Value("celery")}};
  const wire::Body body{
      .args = {},
      .kwargs = {},
      .embed = {.callbacks = {},
                .errbacks = Array{signature("detailed", {}, options), signature("remote", {}, options)},
                .chain = {},
                .chord = {}}};
  const auto settlement = settle(world, message_of(body), failure());
  ASSERT_THAT(settlement.sends, SizeIs(2));
  const wire::Body told = body_of(settlement.sends[0]);
  ASSERT_THAT(told.args, SizeIs(3));
  EXPECT_EQ(*told.args[0].find("id"), Value("id-1"));
  EXPECT_EQ(*told.args[1].find("exc_type"), Value("ValueError"));
  EXPECT_EQ(told.args[2], Value("Traceback: here"));
  EXPECT_EQ(body_of(settlement.sends[1]).args, (Array{Value("id-1")}));
}

// --- Many successors -------------------------------------------------------------------------------------

TEST(Errbacks, OneThatIsNotRegisteredHereIsWarnedOfOnce) {
  const World world;
  const Facts facts = world.facts();
  const SettlementRules rules(facts);
  const auto fail_with = [&](const Value& errback) {
    const auto message = message_of({.args = {}, .kwargs = {}, .embed = {{}, Array{errback}, {}, {}}});
    ::testing::internal::CaptureStderr();
    const auto settlement = rules.finished(job_of(facts, message), failure(), kNow);
    EXPECT_THAT(settlement.sends, SizeIs(1));
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(fail_with(signature("theirs.oops")), HasSubstr("The errback 'theirs.oops' is not registered here"));
  EXPECT_THAT(fail_with(signature("theirs.oops")), IsEmpty());
  EXPECT_THAT(fail_with(signature("theirs.other")), HasSubstr("'theirs.other'"));
  EXPECT_THAT(fail_with(signature("theirs.third", {}, {}, true)), IsEmpty()) << "it takes nothing";
  EXPECT_THAT(fail_with(signature("add")), IsEmpty());
}

TEST(Replaced, CarriesTheStampsOfWhatItReplaces) {
  wire::TaskMessage message = message_of();
  message.stamped_headers = Value(Array{"order", "own", "queue"});
  message.stamps = {{"order", "o-7"}, {"own", "old"}, {"queue", "an option's name"}};
  Outcome outcome = outcome_of(Outcome::Kind::replaced);
  outcome.replacement = signature("sub", {}, {{"stamped_headers", Value(Array{"own"})}, {"own", Value("new")}});
  const auto settlement = settle(World(), message, outcome);
  ASSERT_THAT(settlement.sends, SizeIs(1));
  EXPECT_EQ(settlement.sends[0].id, "id-1");
  EXPECT_EQ(Value(settlement.sends[0].stamps), Value(Object{{"own", "new"}, {"order", "o-7"}}));
  EXPECT_EQ(settlement.sends[0].stamped_headers, Value(Array{"own", "order"}));
  EXPECT_EQ(settlement.sends[0].routing_key, "celery");
}

TEST(FanningOut, GoesInBoundedStepsAndSendsEachOnce) {
  Array members;
  for (int i = 0; i < 12'000; ++i)
    members.push_back(signature("member", {Value(i)},
                                {{"task_id", Value("m" + std::to_string(i))}, {"queue", Value("celery")}}, true));
  wire::TaskMessage message = message_of(
      {.args = {},
       .kwargs = {},
       .embed = {
           .callbacks = Array{canvas("group", members)}, .errbacks = {}, .chain = {}, .chord = body_signature()}});
  message.group_id = "group-1";
  const World world;
  const Facts facts = world.facts();
  broker::Settlement step = settle(world, message, success());
  EXPECT_FALSE(step.counts) << "counted when all is sent";
  ASSERT_THAT(step.results, SizeIs(1));
  std::vector<std::string> sent;
  int steps = 1;
  for (; step.disposal == Disposal::carry_on; ++steps) {
    EXPECT_LE(step.sends.size(), 5'000U);
    for (const auto& each : step.sends) sent.push_back(each.id);
    auto continuation = decode_continuation(step.continuation);
    ASSERT_TRUE(continuation);
    step = SettlementRules(facts).fanned_out(Token(7), std::get<FanOut>(std::move(*continuation)), kNow);
    EXPECT_THAT(step.results, IsEmpty());
  }
  for (const auto& each : step.sends) sent.push_back(each.id);
  EXPECT_GT(steps, 2);
  ASSERT_THAT(sent, SizeIs(12'000));
  for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(sent[i], "m" + std::to_string(i));
  EXPECT_EQ(step.disposal, Disposal::acknowledge);
  ASSERT_TRUE(step.counts);
  EXPECT_EQ(step.counts->parts.at(0).task_id, "id-1");
}

// --- Continuations as text -------------------------------------------------------------------------------

TEST(ContinuationText, ReadsBackWhatItWrote) {
  const FanOut fan_out{
      .embed = {.callbacks = Array{signature("a")}, .errbacks = {}, .chain = Array{}, .chord = {}},
      .result = Value(Array{Value(1)}),
      .root_id = "r",
      .parent_id = "p",
      .sent = 5'000,
      .counts = broker::ChordCount{
          .group_id = "g", .parts = {{std::nullopt, "t", "[1]"}, {2, "u", "[2]"}}, .added = 4, .continuation = "next"}};
  const auto read = decode_continuation(encode_continuation(fan_out));
  ASSERT_TRUE(read);
  const auto& back = std::get<FanOut>(*read);
  EXPECT_EQ(back.embed.callbacks, fan_out.embed.callbacks);
  EXPECT_EQ(back.embed.chain, fan_out.embed.chain);
  EXPECT_EQ(back.result, fan_out.result);
  EXPECT_EQ(back.sent, 5'000U);
  ASSERT_TRUE(back.counts);
  EXPECT_EQ(back.counts->added, 4U);
  EXPECT_EQ(back.counts->parts.at(0).index, std::nullopt);
  EXPECT_EQ(back.counts->parts.at(1).index, 2);
  EXPECT_EQ(back.counts->continuation, "next");
}

TEST(ContinuationText, RefusesWhatItDoesNotWrite) {
  for (
      const char* const text :
      {"", "[]", "null", R"(["join-2", {}])", R"(["join-1", {}])", R"(["join-1", {"group_id": 1, "body": {}}])",
       R"(["fan-out-1", {"arguments": [1], "root_id": "r", "parent_id": "p", "sent": -1}])",
       R"(["fan-out-1", {"arguments": [1], "root_id": "r", "parent_id": "p", "sent": 0, "counts": {"group_id": "g"}}])"}) {
    EXPECT_FALSE(decode_continuation(text)) << text;
  }
}

// --- What never runs -------------------------------------------------------------------------------------

TEST(Abandoned, HeaderTasksOfAChordThatNeverBeganDoNotCount) {
  const Object in_inner{{"task_id", Value("h")}, {"group_id", Value("inner")}, {"chord", signature("inner_body")}};
  const Object in_outer{{"task_id", Value("b")}, {"group_id", Value("outer")}, {"chord", signature("outer_body")}};
  Value chord = canvas("chord", {});
  *chord.if_object()->find("kwargs") =
      Value(Object{{"header", Value(Array{signature("h", {}, in_inner)})}, {"body", signature("b", {}, in_outer)}});
  Abandoned abandoned;
  abandon(chord, abandoned);
  EXPECT_THAT(abandoned.tasks, SizeIs(2));
  EXPECT_EQ(abandoned.group_id, "outer");
  ASSERT_THAT(abandoned.parts, SizeIs(1));
  EXPECT_EQ(abandoned.parts[0].task_id, "b");
}

TEST(Abandoned, DoesNotFollowEndlessNesting) {
  Value nested = signature("deep", {}, {{"task_id", Value("deep")}});
  for (int i = 0; i < 90; ++i) nested = canvas("chain", {std::move(nested)});
  Abandoned abandoned;
  abandon(nested, abandoned);
  EXPECT_THAT(abandoned.tasks, IsEmpty());
}

}  // namespace
}  // namespace lovage::worker
