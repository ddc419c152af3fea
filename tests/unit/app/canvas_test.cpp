// Workflows: from their typed forms to the messages that a broker gets, and what is known of their results.
#include <lovage/canvas.hpp>

#include <gmock/gmock.h>

#include <lovage/app.hpp>
#include <lovage/error.hpp>

#include "app/core.hpp"
#include "support/fake_engines.hpp"
#include "wire/body.hpp"
#include "wire/canvas.hpp"

namespace lovage {
namespace {

using std::chrono_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::ThrowsMessage;

using IntTask = Task<int(int)>;
template <class... S>
using ChainOf = decltype(chain(std::declval<S>()...));
static_assert(std::is_same_v<ChainOf<TypedSignature<int(int)>, TypedSignature<std::string(int)>>,
                             TypedSignature<std::string(int)>>);
static_assert(std::is_same_v<ChainOf<TypedSignature<int()>, ImmutableSignature<void>>, TypedWorkflow<void>>);
static_assert(std::is_same_v<ChainOf<Signature, TypedSignature<int(double)>>, TypedWorkflow<int>>);
static_assert(std::is_same_v<ChainOf<TypedSignature<int(int)>, Signature>, TypedSignature<Value(int)>>);
static_assert(
    std::is_same_v<decltype(group(std::declval<TypedSignature<int(int)>>(), std::declval<TypedSignature<int(int)>>())),
                   TypedGroup<std::vector<int>(int)>>);
static_assert(std::is_same_v<decltype(group(std::declval<TypedSignature<int()>>(),
                                            std::declval<TypedSignature<std::string()>>())),
                             TypedGroup<std::tuple<int, std::string>()>>);
static_assert(std::is_same_v<decltype(chord(std::declval<TypedGroup<std::vector<int>()>>(),
                                            std::declval<TypedSignature<long(std::vector<long>)>>())),
                             TypedWorkflow<long>>);
static_assert(std::is_same_v<
              ChainOf<TypedGroup<std::tuple<int, std::string>()>, TypedSignature<bool(std::tuple<int, std::string>)>>,
              TypedWorkflow<bool>>);
static_assert(
    std::is_same_v<decltype(std::declval<TypedSignature<int()>>() | std::declval<TypedGroup<std::vector<int>(int)>>()),
                   TypedGroup<std::vector<int>()>>);
static_assert(!detail::step_fits<TypedSignature<std::string()>, TypedSignature<int(int)>>());
static_assert(!detail::step_fits<TypedSignature<double()>, TypedSignature<int(int)>>(), "it would lose its fraction");
static_assert(!detail::step_fits<TypedSignature<int()>, TypedSignature<int()>>(), "it has all its arguments already");
static_assert(detail::step_fits<TypedSignature<int()>, TypedWorkflow<int>>(), "its first step is immutable");
static_assert(!detail::step_fits<TypedSignature<void()>, TypedSignature<int(int)>>());
static_assert(detail::step_fits<TypedSignature<void()>, TypedSignature<int(std::optional<int>)>>());

class CanvasTest : public testing::Test {
 protected:
  CanvasTest() { app_.core().use(broker_, backend_); }

  [[nodiscard]] std::vector<wire::TaskMessage> sent() const { return broker_->sent(); }
  static wire::Body body_of(const wire::TaskMessage& message) {
    const std::vector<std::string> accept{"application/json"};
    auto body = wire::decode_body(message, accept);
    if (!body) throw std::runtime_error(body.error().detail);
    return *body;
  }
  static std::string task_of(const Value& signature) { return *signature.find("task")->if_string(); }
  static std::string id_of(const Value& signature) {
    return wire::text_option(wire::canvas_options(signature), "task_id").value_or("");
  }
  void store(const std::string& id, std::string_view state, const Value& result) {
    backend_->put(id, R"({"status": ")" + std::string(state) + R"(", "result": )" + to_json(result) +
                          R"(, "traceback": null, "children": [], "date_done": null, "task_id": ")" + id + "\"}");
  }

  std::shared_ptr<test::FakeBroker> broker_ = std::make_shared<test::FakeBroker>();
  std::shared_ptr<test::FakeBackend> backend_ = std::make_shared<test::FakeBackend>();
  App app_{"test", Config{}};
  Task<int(int, int)> add_ = app_.task("add", [](int x, int y) { return x + y; });
  IntTask neg_ = app_.task("neg", [](int x) { return -x; });
  Task<int(std::vector<int>)> total_ = app_.task("total", [](const std::vector<int>& numbers) {
    int sum = 0;
    for (const int number : numbers) sum += number;
    return sum;
  });
  IntTask boom_ = app_.task("boom", [](int) -> int { throw std::invalid_argument("boom"); });
};

// --- Chains ----------------------------------------------------------------------------------------------

TEST_F(CanvasTest, AChainIsOneMessageWithTheRestInReverse) {
  const auto result = chain(add_.s(1, 2), neg_.s(), add_.s(10)).delay();
  ASSERT_THAT(sent(), SizeIs(1));
  EXPECT_EQ(sent()[0].task, "add");
  const wire::Body body = body_of(sent()[0]);
  EXPECT_EQ(body.args, (Array{1, 2}));
  ASSERT_TRUE(body.embed.chain);
  ASSERT_THAT(*body.embed.chain, SizeIs(2));
  EXPECT_EQ(task_of((*body.embed.chain)[0]), "add");
  EXPECT_EQ(task_of((*body.embed.chain)[1]), "neg");
  EXPECT_EQ(result.id(), id_of((*body.embed.chain)[0]));
  EXPECT_EQ(result.parent().value().id(), id_of((*body.embed.chain)[1]));
  EXPECT_EQ(result.parent()->parent().value().id(), sent()[0].id);
  EXPECT_FALSE(result.parent()->parent()->parent());
}

TEST_F(CanvasTest, ChainsInChainsAreUnrolled) {
  (chain(add_.s(1, 2), neg_.s()) | chain(neg_.s(), neg_.s())).delay();
  ASSERT_THAT(sent(), SizeIs(1));
  EXPECT_THAT(body_of(sent()[0]).embed.chain.value(), SizeIs(3));
}

TEST_F(CanvasTest, ArgumentsOfAChainGoToItsFirstStep) {
  chain(add_.s(1), neg_.s()).delay(7);
  EXPECT_EQ(body_of(sent().at(0)).args, (Array{7, 1}));
}

TEST_F(CanvasTest, AChainsCallbackFollowsItsLastStepAndItsErrbackIsEverybodys) {
  auto flow = chain(add_.s(1, 2), neg_.s());
  flow.link(neg_.s()).link_error(app_.signature("oops"));
  flow.delay();
  const wire::Body body = body_of(sent().at(0));
  EXPECT_FALSE(body.embed.callbacks);
  ASSERT_TRUE(body.embed.errbacks);
  EXPECT_EQ(task_of(body.embed.errbacks->at(0)), "oops");
  const Object& last = wire::canvas_options(body.embed.chain.value().at(0));
  EXPECT_EQ(task_of(wire::list_of(last.find("link")).value().at(0)), "neg");
  EXPECT_EQ(task_of(wire::list_of(last.find("link_error")).value().at(0)), "oops");
}

TEST_F(CanvasTest, OptionsOfAChainAreItsFirstSteps) {
  chain(add_.s(1, 2), neg_.s().set({.queue = "io"})).apply_async({.queue = "fast", .priority = 3});
  EXPECT_EQ(sent().at(0).routing_key, "fast");
  EXPECT_EQ(sent().at(0).priority, 3);
  EXPECT_EQ(*wire::canvas_options(body_of(sent()[0]).embed.chain.value().at(0)).find("queue"), Value("io"));
}

TEST_F(CanvasTest, ForgettingAChainForgetsItsSteps) {
  const auto result = chain(add_.s(1, 2), neg_.s()).delay();
  store(sent().at(0).id, "SUCCESS", 3);
  store(result.id(), "SUCCESS", -3);
  result.forget();
  EXPECT_EQ(app_.result(sent()[0].id).state(), "PENDING");
  EXPECT_EQ(result.state(), "PENDING");
}

// --- Groups ----------------------------------------------------------------------------------------------

TEST_F(CanvasTest, AGroupIsSentAtOnce) {
  const auto result = group(add_.s(1, 2), neg_.s(3)).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_EQ(broker_->publish_calls(), 1);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(sent()[i].group_id, result.id());
    EXPECT_EQ(sent()[i].group_index, static_cast<std::int64_t>(i));
    EXPECT_EQ(result.results()[i].id(), sent()[i].id);
    EXPECT_FALSE(body_of(sent()[i]).embed.chord);
  }
  EXPECT_THAT(backend_->chords(), IsEmpty());
}

TEST_F(CanvasTest, GroupsInGroupsAreFlat) {
  const auto result = group(add_.s(1, 1), group(add_.s(2, 2), group(add_.s(3, 3)))).delay();
  EXPECT_THAT(sent(), SizeIs(3));
  EXPECT_THAT(result.results(), SizeIs(3));
}

TEST_F(CanvasTest, TheResultsOfAGroup) {
  const auto result = group(add_.s(1, 2), neg_.s(3)).delay();
  EXPECT_TRUE(result.waiting());
  store(result.results()[1].id(), "SUCCESS", -3);
  EXPECT_EQ(result.completed_count(), 1U);
  EXPECT_FALSE(result.ready());
  store(result.results()[0].id(), "SUCCESS", 3);
  EXPECT_TRUE(result.ready());
  EXPECT_TRUE(result.successful());
  EXPECT_FALSE(result.failed());
  EXPECT_EQ(result.get(1s), (std::vector<int>{3, -3}));
  store(result.results()[0].id(), "FAILURE",
        Object{{"exc_type", "ValueError"}, {"exc_message", Array{"boom"}}, {"exc_module", "builtins"}});
  EXPECT_TRUE(result.failed());
  EXPECT_THROW(result.get(1s), TaskFailed);
  result.forget();
  EXPECT_TRUE(result.waiting());
}

TEST_F(CanvasTest, AGroupIsFoundByItsId) {
  const auto result = group(add_.s(1, 2), neg_.s(3)).delay();
  EXPECT_FALSE(app_.group_result(result.id()));
  result.save();
  const auto found = app_.group_result(result.id());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->as_tuple(), result.as_tuple());
  store(result.results()[0].id(), "SUCCESS", 3);
  store(result.results()[1].id(), "SUCCESS", -3);
  EXPECT_EQ(found->get(1s), (Array{3, -3}));
  result.forget();
  EXPECT_FALSE(app_.group_result(result.id()));
}

TEST_F(CanvasTest, TheTupleOfAGroupIsCelerys) {
  const auto result = group(add_.s(1, 2), neg_.s(3)).delay();
  EXPECT_EQ(to_json(result.as_tuple()), "[[\"" + result.id() + "\", null], [[[\"" + sent()[0].id +
                                            "\", null], null], [[\"" + sent()[1].id + "\", null], null]]]");
}

// --- Chords ----------------------------------------------------------------------------------------------

TEST_F(CanvasTest, AChordsHeaderCarriesItsBodyAndIsCounted) {
  const auto result = chord(group(add_.s(1, 2), neg_.s(3)), total_.s()).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_EQ(broker_->publish_calls(), 1);
  const std::string group_id = sent()[0].group_id.value();
  EXPECT_THAT(backend_->chords(), ElementsAre(std::pair(group_id, 2U)));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(sent()[i].group_id, group_id);
    EXPECT_EQ(sent()[i].group_index, static_cast<std::int64_t>(i));
    const Value body = body_of(sent()[i]).embed.chord.value();
    EXPECT_EQ(task_of(body), "total");
    EXPECT_EQ(id_of(body), result.id());
  }
  const auto header = parent_group(result);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->id(), group_id);
  EXPECT_THAT(header->results(), SizeIs(2));
  EXPECT_FALSE(result.parent());
}

TEST_F(CanvasTest, AGroupThatSomethingFollowsIsAChord) {
  const auto flow = chain(add_.s(1, 2), group(add_.s(10), neg_.s()), total_.s(), neg_.s());
  const auto result = flow.delay();
  ASSERT_THAT(sent(), SizeIs(1));
  const Array steps = body_of(sent()[0]).embed.chain.value();
  ASSERT_THAT(steps, SizeIs(2));
  EXPECT_EQ(task_of(steps[0]), "neg");
  EXPECT_EQ(task_of(steps[1]), "celery.chord");
  EXPECT_EQ(task_of(*wire::chord_body(steps[1])), "total");
  EXPECT_EQ(result.id(), id_of(steps[0]));
  EXPECT_EQ(result.parent().value().id(), id_of(*wire::chord_body(steps[1])));
  EXPECT_EQ(parent_group(*result.parent()).value().results().size(), 2U);
  EXPECT_THAT(backend_->chords(), IsEmpty()) << "it begins when the step before it has ended";
}

TEST_F(CanvasTest, OnlyTheLastTaskOfAChainInAHeaderCounts) {
  chord(group(chain(add_.s(1, 2), neg_.s()), neg_.s(3)), total_.s()).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_FALSE(body_of(sent()[0]).embed.chord);
  EXPECT_FALSE(sent()[0].group_id && body_of(sent()[0]).embed.chord);
  const wire::Body first = body_of(sent()[0]);
  const Object& last = wire::canvas_options(first.embed.chain.value().at(0));
  EXPECT_EQ(task_of(*last.find("chord")), "total");
  EXPECT_EQ(*last.find("group_index"), Value(0));
  EXPECT_EQ(sent()[1].group_index, 1);
  EXPECT_EQ(backend_->chords().begin()->second, 2U);
}

TEST_F(CanvasTest, AnInnerChordsBodyCountsInTheOuterChord) {
  chord(group(chord(group(add_.s(1, 1), add_.s(2, 2)), total_.s()), neg_.s(3)), total_.s()).delay();
  ASSERT_THAT(sent(), SizeIs(3));
  EXPECT_THAT(backend_->chords(), SizeIs(2));
  const Value inner = body_of(sent()[0]).embed.chord.value();
  EXPECT_EQ(task_of(*wire::canvas_options(inner).find("chord")), "total");
  EXPECT_EQ(*wire::canvas_options(inner).find("group_index"), Value(0));
  EXPECT_EQ(wire::text_option(wire::canvas_options(inner), "group_id"), sent()[2].group_id);
}

TEST_F(CanvasTest, AnEmptyHeaderSendsTheBodyAtOnce) {
  chord(group(std::vector<TypedSignature<int()>>{}), total_.s()).delay();
  ASSERT_THAT(sent(), SizeIs(1));
  EXPECT_EQ(body_of(sent()[0]).args, (Array{Value(Array{})}));
  EXPECT_THAT(backend_->chords(), IsEmpty());
}

TEST_F(CanvasTest, ChordsNestedInBodiesDoNotExplode) {
  auto flow = TypedSignature<int()>(total_.s());
  Signature nested = total_.s();
  for (int i = 0; i < 8; ++i) nested = chord(group(neg_.si(1), neg_.si(2), neg_.si(3)), Signature(nested));
  nested.delay();
  std::size_t bytes = 0;
  for (const auto& message : sent()) bytes += message.body.size();
  ASSERT_THAT(sent(), SizeIs(3));
  EXPECT_LT(bytes, 50'000U);
}

TEST_F(CanvasTest, AChordNeedsABackend) {
  App without("without", Config{});
  without.core().use(broker_, nullptr);
  auto add = without.remote<int(int, int)>("add");
  auto total = without.remote<int(std::vector<int>)>("total");
  EXPECT_THAT([&] { chord(group(add.s(1, 2)), total.s()).delay(); },
              ThrowsMessage<ConfigError>(HasSubstr("set result_backend")));
  EXPECT_THAT(sent(), IsEmpty());
}

TEST_F(CanvasTest, AWorkflowThatIsTooLargeIsRefusedWithItsSizeAndTheLimit) {
  app_.config().workflow_max_bytes = 2'000;
  std::vector<Signature> steps(30, neg_.s());
  EXPECT_THAT([&] { chain(steps).delay(); }, ThrowsMessage<MessageTooLarge>(testing::AllOf(
                                                 HasSubstr("bytes"), HasSubstr("workflow_max_bytes, 2000"))));
  EXPECT_THAT(sent(), IsEmpty());
}

TEST_F(CanvasTest, AWorkflowThatIsTooDeepIsRefused) {
  Signature nested = neg_.s(1);
  for (int i = 0; i < 60; ++i) nested = group(nested);
  EXPECT_THROW(static_cast<void>(GroupSignature(nested).delay()), Error);
}

// --- Chunks, map, starmap --------------------------------------------------------------------------------

TEST_F(CanvasTest, ChunksAreAGroupOfStarmaps) {
  const auto result = chunks(add_, {{1, 1}, {2, 2}, {3, 3}}, 2).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_EQ(sent()[0].task, "celery.starmap");
  EXPECT_EQ(*body_of(sent()[0]).kwargs.find("it"), Value(Array{Array{1, 1}, Array{2, 2}}));
  EXPECT_EQ(*body_of(sent()[1]).kwargs.find("it"), Value(Array{Value(Array{3, 3})}));
  EXPECT_THAT(result.results(), SizeIs(2));
  EXPECT_THROW(chunks(add_, {{1, 1}}, 0), Error);
}

// --- Eager mode ------------------------------------------------------------------------------------------

TEST_F(CanvasTest, WorkflowsRunHereAndNow) {
  EXPECT_EQ(chain(add_.s(1, 2), neg_.s()).apply().get(), -3);
  EXPECT_EQ(group(add_.s(1, 2), neg_.s(4)).apply().get(), (std::vector<int>{3, -4}));
  EXPECT_EQ(chord(group(add_.s(1, 2), neg_.s(1)), total_.s()).apply().get(), 2);
  EXPECT_EQ(chain(add_.s(1, 2), group(add_.s(1), neg_.s()), total_.s()).apply().get(), 1);
  EXPECT_EQ(map(neg_, {1, 2}).apply().get(), (std::vector<int>{-1, -2}));
  EXPECT_EQ(starmap(add_, {{1, 2}, {3, 4}}).apply().get(), (std::vector<int>{3, 7}));
  EXPECT_EQ(chunks(add_, {{1, 1}, {2, 2}, {3, 3}}, 2).apply().get(), (std::vector<std::vector<int>>{{2, 4}, {6}}));
  EXPECT_THAT(sent(), IsEmpty());
}

TEST_F(CanvasTest, AFailureEndsAWorkflowHereToo) {
  const auto chained = chain(boom_.s(1), neg_.s()).apply();
  EXPECT_THROW(chained.get(), TaskFailed);
  const auto joined = chord(group(neg_.s(1), boom_.s(1)), total_.s()).apply();
  EXPECT_THAT([&] { joined.get(); }, ThrowsMessage<TaskFailed>(HasSubstr("ValueError('boom')")));
}

TEST_F(CanvasTest, TheErrbacksOfAChordAreCalledHereToo) {
  app_.config().task_always_eager = true;
  std::vector<std::string> failed;
  auto oops = app_.task("oops", [&](std::string id) { failed.push_back(std::move(id)); });
  auto flow = chord(group(neg_.s(1), boom_.s(1)), total_.s().on_error(oops.s()));
  const auto result = flow.delay();
  EXPECT_THAT(failed, ElementsAre(result.id()));
  failed.clear();
  auto linked = chord(group(boom_.s(1), boom_.s(2)), total_.s() | neg_.s());
  const auto last = linked.on_error(oops.s()).delay();
  EXPECT_THAT(failed, ElementsAre(last.id())) << "once, whatever failed in the header";
  EXPECT_THAT(sent(), IsEmpty());
}

// --- Ids that are given ----------------------------------------------------------------------------------

TEST_F(CanvasTest, AnIdThatIsGivenIsTheResultsAsInCelery) {
  const auto joined = chord(group(add_.s(1, 2), neg_.s(3)), total_.s()).apply_async({.task_id = "the-body"});
  EXPECT_EQ(joined.id(), "the-body");
  EXPECT_EQ(id_of(body_of(sent().at(0)).embed.chord.value()), "the-body");
  EXPECT_NE(sent()[0].group_id, "the-body") << "the header has an id of its own";
  const auto chained = chain(add_.s(1, 2), neg_.s()).apply_async({.task_id = "the-last"});
  EXPECT_EQ(chained.id(), "the-last");
  EXPECT_EQ(id_of(body_of(sent().at(2)).embed.chain.value().at(0)), "the-last");
  EXPECT_NE(sent()[2].id, "the-last");
  EXPECT_EQ(chain(add_.s(1, 2), neg_.s()).set({.task_id = "said-before"}).delay().id(), "said-before");
  const auto many = group(add_.s(1, 2), neg_.s(3)).apply_async({}, {.task_id = "the-group"});
  EXPECT_EQ(many.id(), "the-group");
  EXPECT_EQ(sent().back().group_id, "the-group");
}

TEST_F(CanvasTest, AGroupWithoutMembersIsDoneAtOnce) {
  const auto nothing = group(std::vector<TypedSignature<int()>>{});
  for (const auto& result : {nothing.delay(), nothing.apply()}) {
    EXPECT_FALSE(result.id().empty());
    EXPECT_TRUE(result.ready());
    EXPECT_TRUE(result.successful());
    EXPECT_EQ(result.get(1s), std::vector<int>{});
  }
  EXPECT_EQ(chunks(add_, {}, 2).delay().size(), 0U);
  EXPECT_EQ(broker_->publish_calls(), 0);
}

// --- As values -------------------------------------------------------------------------------------------

TEST_F(CanvasTest, AWorkflowTravelsAsAValue) {
  const auto flow = chain(add_.s(1, 2), group(neg_.s(), neg_.s()), total_.s());
  const Signature back = Signature::from_value(flow.core(), flow.to_value());
  EXPECT_EQ(back.to_value(), flow.to_value());
  EXPECT_EQ(AsyncResult<int>(back.apply()).get(), -6);
}

TEST_F(CanvasTest, AGraphShowsWhatCameBefore) {
  const auto result = chord(group(add_.s(1, 2), neg_.s(3)), total_.s()).delay();
  store(sent()[0].id, "SUCCESS", 3);
  const std::string dot = to_dot(result);
  EXPECT_THAT(dot, HasSubstr("digraph"));
  EXPECT_THAT(dot, HasSubstr("subgraph cluster_0"));
  EXPECT_THAT(dot, HasSubstr(sent()[0].id + " SUCCESS"));
  EXPECT_THAT(dot, HasSubstr("-> \"" + result.id() + "\""));
}

}  // namespace
}  // namespace lovage
