// What becomes of a message whose task succeeded: results and callbacks.
#include "worker/settlements.hpp"

#include <gmock/gmock.h>

#include "unit/worker/support.hpp"
#include "wire/canvas.hpp"

namespace lovage::worker {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the support of these tests
using broker::Disposal;
using execution::Outcome;
using std::chrono::milliseconds;

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

TEST(Link, ToAnExchangeSaysWhatHappensWhereItHasNoQueue) {
  const Object nowhere{{"exchange", Value("ex")}, {"routing_key", Value("key")}};
  Object options = nowhere;
  options.set("task_id", Value("id-2"));
  options.set("link_error", Value(Array{signature("errback", {}, nowhere)}));
  const wire::Body body{.args = {},
                        .kwargs = {},
                        .embed = {.callbacks = Array{signature("log", {}, options), signature("plain")},
                                  .errbacks = {},
                                  .chain = {},
                                  .chord = {}}};
  const auto settlement = settle(World(), message_of(body), success());
  ASSERT_EQ(settlement.sends.size(), 2U);
  ASSERT_EQ(settlement.undeliverable.size(), 1U) << "a queue's name always leads there";
  EXPECT_EQ(settlement.undeliverable[0].send, 0U);
  const auto& instead = settlement.undeliverable[0].instead;
  EXPECT_EQ(instead.dead_letter.task_id, "id-2");
  EXPECT_EQ(instead.dead_letter.reason, "unroutable");
  EXPECT_EQ(instead.dead_letter.detail, "no queue is bound to exchange 'ex' for routing key 'key'");
  ASSERT_EQ(instead.results.size(), 1U);
  EXPECT_EQ(instead.results[0].task_id, "id-2");
  EXPECT_EQ(*stored(instead.results[0]).result.find("exc_type"), Value("OperationalError"));
  ASSERT_EQ(instead.sends.size(), 1U);
  EXPECT_EQ(instead.sends[0].task, "errback");
  ASSERT_EQ(instead.undeliverable.size(), 1U) << "nor has its errback a sure way";
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
  EXPECT_FALSE(body_of(last.sends[0]).embed.chain);
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

TEST(Chain, RunTwiceStartsItsChordUnderTheSameIds) {
  const Array header{signature("a", {}, {{"task_id", Value("h-0")}}), signature("b", {}, {{"task_id", Value("h-1")}})};
  Value chord = wire::make_chord(header, signature("c", {}, {{"task_id", Value("body")}}));
  wire::canvas_options(chord)["task_id"] = Value("header");
  const wire::Body body{
      .args = {}, .kwargs = {}, .embed = {.callbacks = {}, .errbacks = {}, .chain = Array{chord}, .chord = {}}};
  const auto message = message_of(body);
  for (int delivery = 0; delivery < 2; ++delivery) {
    const auto settlement = settle(World(), message, success("42"));
    ASSERT_EQ(settlement.sends.size(), 2U);
    ASSERT_EQ(settlement.chords.size(), 1U);
    EXPECT_EQ(settlement.chords[0].group_id, "header");
    EXPECT_EQ(settlement.sends[0].id, "h-0");
    EXPECT_EQ(settlement.sends[1].id, "h-1");
    for (const auto& sent : settlement.sends) EXPECT_EQ(sent.group_id, "header");
  }
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

}  // namespace
}  // namespace lovage::worker
