// What the signatures of workflows carry along, and what is known of their results.
#include <gmock/gmock.h>

#include <lovage/app.hpp>
#include <lovage/canvas.hpp>
#include <lovage/error.hpp>

#include "app/canvas_shape.hpp"
#include "app/core.hpp"
#include "app/stamping.hpp"
#include "support/fake_engines.hpp"
#include "wire/body.hpp"
#include "wire/canvas.hpp"

namespace lovage {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::ThrowsMessage;

class WorkflowTest : public testing::Test {
 protected:
  WorkflowTest() { app_.core().use(broker_, backend_); }

  [[nodiscard]] std::vector<wire::TaskMessage> sent() const { return broker_->sent(); }
  static Value embed_of(const wire::TaskMessage& message) { return (*from_json(message.body).if_array())[2]; }
  void store(const std::string& id, std::string_view state, const Value& result) {
    backend_->put(id, R"({"status": ")" + std::string(state) + R"(", "result": )" + to_json(result) +
                          R"(, "traceback": null, "children": [], "date_done": null, "task_id": ")" + id + "\"}");
  }
  // The stamps among the options of a signature that travels.
  static Value stamps_of(const Value& signature) {
    const Object& options = wire::canvas_options(signature);
    Object stamps;
    for (const auto& name : wire::list_of(options.find("stamped_headers")).value_or(Array{}))
      stamps.set(*name.if_string(), *options.find(*name.if_string()));
    return stamps;
  }

  std::shared_ptr<test::FakeBroker> broker_ = std::make_shared<test::FakeBroker>();
  std::shared_ptr<test::FakeBackend> backend_ = std::make_shared<test::FakeBackend>();
  App app_{"test", Config{}};
  Task<int(int, int)> add_ = app_.task("add", [](int x, int y) { return x + y; });
  Task<int(int)> neg_ = app_.task("neg", [](int x) { return -x; });
  Task<int(std::vector<int>)> total_ = app_.task("total", [](const std::vector<int>& numbers) {
    int sum = 0;
    for (const int number : numbers) sum += number;
    return sum;
  });
  Signature oops_ = app_.signature("oops");
};

// --- Stamps ----------------------------------------------------------------------------------------------

TEST_F(WorkflowTest, AStampIsOnEveryStepAndOnWhatHangsThere) {
  const Value stamps = Object{{"order", "o-7"}};
  auto last = neg_.s();
  last.link(neg_.s()).on_error(oops_);
  chain(add_.s(1, 2), last).stamp({{"order", "o-7"}}).delay();
  ASSERT_THAT(sent(), SizeIs(1));
  EXPECT_EQ(Value(sent()[0].stamps), stamps);
  EXPECT_EQ(sent()[0].stamped_headers, Value(Array{"order"}));
  const Value embed = embed_of(sent()[0]);
  const Value& step = embed.find("chain")->if_array()->at(0);
  EXPECT_EQ(stamps_of(step), stamps);
  for (const std::string_view links : {"link", "link_error"})
    EXPECT_EQ(stamps_of(wire::list_of(wire::canvas_options(step).find(links)).value().at(0)), stamps) << links;
}

TEST_F(WorkflowTest, AStampIsOnAChordsHeaderAndBody) {
  chord(group(add_.s(1, 2), chain(neg_.s(3), neg_.s())), total_.s()).stamp({{"n", 1}}).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  for (const auto& message : sent()) EXPECT_EQ(Value(message.stamps), Value(Object{{"n", 1}}));
  EXPECT_EQ(stamps_of(*embed_of(sent()[0]).find("chord")), Value(Object{{"n", 1}}));
  const Value last = embed_of(sent()[1]).find("chain")->if_array()->at(0);
  EXPECT_EQ(stamps_of(last), Value(Object{{"n", 1}}));
}

TEST_F(WorkflowTest, AStampThatIsThereStaysAndOthersComeToIt) {
  auto first = add_.s(1, 2);
  first.stamp({{"a", 1}, {"own", true}});
  group(first, neg_.s(3)).stamp({{"a", 2}, {"b", 3}}).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_EQ(Value(sent()[0].stamps), Value(Object{{"a", 1}, {"own", true}, {"b", 3}}));
  EXPECT_EQ(Value(sent()[1].stamps), Value(Object{{"a", 2}, {"b", 3}}));
}

TEST_F(WorkflowTest, StampsOfOneNameAreAListWhereTheyAreAppended) {
  auto first = add_.s(1, 2);
  first.stamp({{"a", 1}});
  group(first, neg_.s(3)).stamp({{"a", 2}}, true).stamp({{"a", Array{3, 4}}}, true).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_EQ(Value(sent()[0].stamps), Value(Object{{"a", Array{3, 4, 2, 1}}}));
  EXPECT_EQ(Value(sent()[1].stamps), Value(Object{{"a", Array{3, 4, 2}}}));
  EXPECT_EQ(sent()[0].stamped_headers, Value(Array{"a"}));
}

// Writes down what it is called with, and stamps each thing with the name of the call.
struct Scribe : StampingVisitor {
  std::vector<std::string> calls;
  Object note(const std::string& call, const Signature& on) {
    calls.push_back(call + " " + on.task());
    return {{"at " + call, true}, {"last", call}};
  }
  Object on_signature(const Signature& one, const Object&) override { return note("signature", one); }
  Object on_group_start(const Signature& group, const Object&) override { return note("group", group); }
  void on_group_end(const Signature& group, const Object&) override { note("group end", group); }
  Object on_chain_start(const Signature& chain, const Object&) override { return note("chain", chain); }
  void on_chain_end(const Signature& chain, const Object&) override { note("chain end", chain); }
  Object on_chord_body(const Signature& chord, const Object&) override { return note("body", chord); }
  Object on_callback(const Signature& callback, const Object&) override { return note("callback", callback); }
  Object on_errback(const Signature& errback, const Object&) override { return note("errback", errback); }
};

TEST_F(WorkflowTest, AVisitorIsAskedForEachPartInItsOrder) {
  auto flow = chord(group(chain(add_.s(1, 2), neg_.s()), neg_.s(3)), total_.s().link(neg_.s()).on_error(oops_));
  Scribe scribe;
  flow.stamp(scribe, {{"order", "o-7"}}).delay();
  EXPECT_THAT(scribe.calls,
              ElementsAre("group celery.group", "chain celery.chain", "signature add", "signature neg",
                          "chain end celery.chain", "signature neg", "group end celery.group", "body celery.chord",
                          "signature total", "callback neg", "signature neg", "errback oops", "signature oops"));
  ASSERT_THAT(sent(), SizeIs(2));
  const Value order("o-7");
  const Value in_chain =
      Object{{"at signature", true}, {"last", "signature"}, {"at chain", true}, {"at group", true}, {"order", order}};
  EXPECT_EQ(Value(sent()[0].stamps), in_chain);
  EXPECT_EQ(Value(sent()[1].stamps),
            Value(Object{{"at signature", true}, {"last", "signature"}, {"at group", true}, {"order", order}}));
  const Value body = *embed_of(sent()[1]).find("chord");
  EXPECT_EQ(
      stamps_of(body),
      Value(Object{
          {"at signature", true}, {"last", "signature"}, {"at body", true}, {"at group", true}, {"order", order}}));
  const Value callback = wire::list_of(wire::canvas_options(body).find("link")).value().at(0);
  EXPECT_NE(stamps_of(callback).find("at callback"), nullptr);
  EXPECT_EQ(stamps_of(callback).find("at errback"), nullptr);
  const Value errback = wire::list_of(wire::canvas_options(body).find("link_error")).value().at(0);
  EXPECT_NE(stamps_of(errback).find("at errback"), nullptr);
}

TEST_F(WorkflowTest, AHeaderMayBeStampedByItsOwnName) {
  struct Header : StampingVisitor {
    Object on_signature(const Signature&, const Object&) override { return {}; }
    Object on_chord_header_start(const Signature& chord, const Object&) override { return {{"header", chord.task()}}; }
  };
  Header visitor;
  chord(group(add_.s(1, 2)), total_.s()).stamp(visitor).delay();
  EXPECT_EQ(Value(sent().at(0).stamps), Value(Object{{"header", "celery.chord"}}));
}

TEST_F(WorkflowTest, WhatAVisitorThrowsOrNamesWronglyChangesNothing) {
  struct Wrong : StampingVisitor {
    bool throws = false;
    Object on_signature(const Signature&, const Object&) override {
      if (throws) throw std::domain_error("no stamps today");
      return {{"queue", "theirs"}};
    }
  };
  Wrong visitor;
  auto flow = chain(add_.s(1, 2), neg_.s());
  const Value before = flow.to_value();
  EXPECT_THROW(flow.stamp(visitor), ConfigError);
  visitor.throws = true;
  EXPECT_THROW(flow.stamp(visitor), std::domain_error);
  EXPECT_EQ(flow.to_value(), before);
}

TEST_F(WorkflowTest, AnOptionIsNoStamp) {
  for (const std::string name : {"queue", "task_id", "stamped_headers", "link"})
    EXPECT_THAT([&] { chain(add_.s(1, 2), neg_.s()).stamp({{name, 1}}); }, ThrowsMessage<ConfigError>(HasSubstr(name)));
}

TEST_F(WorkflowTest, StampsOfHostileSignaturesAreBounded) {
  Value nested = add_.s(1, 2).to_value();
  for (int i = 0; i < 60; ++i) nested = wire::make_group(Array{nested});
  EXPECT_EQ(app::stamp(nested, {{"a", 1}}).error().code, Errc::too_large);
  Value no_task = wire::make_chain(Array{Value(7)});
  EXPECT_EQ(app::stamp(no_task, {{"a", 1}}).error().code, Errc::bad_data);
}

// --- Callbacks of whole workflows ------------------------------------------------------------------------

class WorkflowCallbacks : public WorkflowTest {
 protected:
  static Array callbacks_of(const Value& options, std::string_view name) {
    return wire::list_of(options.find(name)).value_or(Array{});
  }
  // The callback as it is sent: with the id that it is told, which nothing comes before.
  static Array told(const Signature& callback, const std::string& id) {
    Value value = callback.clone({Value(id)}).to_value();
    value.if_object()->set("immutable", Value(true));
    return Array{value};
  }
};

TEST_F(WorkflowCallbacks, OnCompleteHangsAtBothEndsOfAChain) {
  const auto result = chain(add_.s(1, 2), neg_.s()).on_complete(oops_).delay();
  const Value first = embed_of(sent().at(0));
  EXPECT_EQ(callbacks_of(first, "callbacks"), Array{});
  EXPECT_EQ(callbacks_of(first, "errbacks"), told(oops_, result.id()));
  const Value last{wire::canvas_options(first.find("chain")->if_array()->at(0))};
  EXPECT_EQ(callbacks_of(last, "link"), told(oops_, result.id()));
  EXPECT_EQ(callbacks_of(last, "link_error"), told(oops_, result.id()));
}

TEST_F(WorkflowCallbacks, AGroupWithSomeIsSentAsAChordThatHandsItsListOn) {
  const auto result = group(add_.s(1, 2), neg_.s(3)).on_complete(oops_).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_THAT(result.results(), SizeIs(2));
  for (const auto& message : sent()) {
    EXPECT_EQ(message.group_id, result.id());
    const Value body = *embed_of(message).find("chord");
    EXPECT_EQ(*body.find("task"), Value("celery.accumulate"));
    EXPECT_EQ(callbacks_of(Value(wire::canvas_options(body)), "link"), told(oops_, result.id()));
    EXPECT_EQ(callbacks_of(Value(wire::canvas_options(body)), "link_error"), told(oops_, result.id()));
  }
  chunks(add_, {{1, 1}, {2, 2}}, 1).on_success(oops_).delay();
  ASSERT_THAT(sent(), SizeIs(4));
  const Value body{wire::canvas_options(*embed_of(sent()[3]).find("chord"))};
  EXPECT_EQ(callbacks_of(body, "link"), Array{oops_.to_value()});
  EXPECT_EQ(callbacks_of(body, "link_error"), Array{});
}

TEST_F(WorkflowCallbacks, AGroupWithoutMembersHasSucceeded) {
  const GroupSignature none(detail::make_group({}));
  auto flow = chain(std::vector<Signature>{add_.s(1, 2), none}).on_success(oops_);
  static_cast<void>(GroupSignature(flow).delay());
  ASSERT_THAT(sent(), SizeIs(1));
  const Value rest = embed_of(sent()[0]).find("chain")->if_array()->at(0);
  EXPECT_EQ(wire::canvas_kind(rest), wire::CanvasKind::chord);
}

// --- Options keep the type -------------------------------------------------------------------------------

TEST_F(WorkflowTest, AGroupStaysAGroupWhenItIsChanged) {
  auto both = group(add_.s(1, 2), neg_.s(3));
  const GroupResult<std::vector<int>> result = both.set({.queue = "fast"}).on_error(oops_).stamp({{"n", 1}}).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_THAT(result.results(), SizeIs(2));
  for (const auto& message : sent()) {
    EXPECT_EQ(message.routing_key, "fast");
    EXPECT_THAT(*embed_of(message).find("errbacks")->if_array(), SizeIs(1));
  }
}

TEST_F(WorkflowTest, WhatHangsAtAWorkflowThatRunsHereIsSent) {
  auto joined = chord(group(add_.s(1, 2), neg_.s(3)), total_.s());
  EXPECT_EQ(joined.link(neg_.s()).on_error(oops_).apply().get(), 0);
  ASSERT_THAT(sent(), SizeIs(1));
  EXPECT_EQ(sent()[0].task, "neg");
  EXPECT_EQ(sent()[0].argsrepr, "(0,)");

  auto boom = app_.task("boom", [](int) -> int { throw std::invalid_argument("boom"); });
  auto both = group(neg_.s(1), boom.s(2));
  const auto result = both.on_error(oops_).apply();
  ASSERT_THAT(sent(), SizeIs(2));
  EXPECT_EQ(sent()[1].task, "oops");
  EXPECT_EQ(from_json(sent()[1].body).if_array()->at(0), Value(Array{result.results()[1].id()}));
}

// --- Results ---------------------------------------------------------------------------------------------

TEST_F(WorkflowTest, ResultsComeInTheOrderInWhichTheyAreReady) {
  const auto result = group(add_.s(1, 2), neg_.s(3), neg_.s(4)).delay();
  const auto members = result.results();
  store(members[2].id(), "SUCCESS", -4);
  std::vector<std::string> seen;
  result.iterate(
      [&](const ResultHandle& ready) {
        seen.push_back(ready.id());
        if (seen.size() == 1) store(members[1].id(), "FAILURE", Object{{"exc_type", "ValueError"}});
        if (seen.size() == 2) store(members[0].id(), "SUCCESS", 3);
      },
      10s);
  EXPECT_THAT(seen, ElementsAre(members[2].id(), members[1].id(), members[0].id()));
}

TEST_F(WorkflowTest, IteratingEndsInTime) {
  const auto result = group(add_.s(1, 2), neg_.s(3)).delay();
  store(result.results()[1].id(), "SUCCESS", -3);
  int seen = 0;
  EXPECT_THAT([&] { result.iterate([&](const ResultHandle&) { ++seen; }, 50ms); },
              ThrowsMessage<Timeout>(HasSubstr("1 results of the group " + result.id())));
  EXPECT_EQ(seen, 1);
}

TEST_F(WorkflowTest, IteratingHereAndNow) {
  std::vector<Value> seen;
  group(add_.s(1, 2), neg_.s(3)).apply().iterate([&](const ResultHandle& ready) { seen.push_back(ready.result()); });
  EXPECT_THAT(seen, ElementsAre(Value(3), Value(-3)));
}

TEST_F(WorkflowTest, JoinNativeIsJoin) {
  const auto result = group(add_.s(1, 2), neg_.s(3)).delay();
  store(result.results()[0].id(), "SUCCESS", 3);
  EXPECT_THROW(static_cast<void>(result.join_native(20ms)), Timeout);
  store(result.results()[1].id(), "SUCCESS", -3);
  EXPECT_EQ(result.join_native(1s), (Array{3, -3}));
}

TEST_F(WorkflowTest, AGraphIsAValueToo) {
  const auto result = chain(chord(group(add_.s(1, 2), chain(neg_.s(3), neg_.s())), total_.s()), neg_.s()).delay();
  ASSERT_THAT(sent(), SizeIs(2));
  store(result.id(), "SUCCESS", 0);
  const Value graph = to_graph(result);
  const Array& nodes = *graph.find("nodes")->if_array();
  ASSERT_THAT(nodes, SizeIs(5));
  EXPECT_EQ(nodes.back(), Value(Object{{"id", result.id()}, {"state", "SUCCESS"}}));
  const Value& header = graph.find("groups")->if_array()->at(0);
  const std::string body = result.parent().value().id();
  EXPECT_EQ(*header.find("id"), Value(sent()[0].group_id.value()));
  EXPECT_THAT(*header.find("members")->if_array(), SizeIs(2));
  const Array& edges = *graph.find("edges")->if_array();
  EXPECT_THAT(edges, SizeIs(3)) << to_json(graph);
  EXPECT_THAT(edges, testing::Contains(Value(Array{*header.find("id"), body})));
  EXPECT_THAT(edges, testing::Contains(Value(Array{body, result.id()})));
  const std::string dot = to_dot(result);
  EXPECT_THAT(dot, HasSubstr("-> \"" + body + "\" [ltail=cluster_0]"));
}

TEST_F(WorkflowTest, AnEmptyGroupIsAStepOrAHeader) {
  const auto none = group(std::vector<TypedSignature<int()>>{});
  EXPECT_TRUE(none.delay().ready()) << "alone it is done at once";
  EXPECT_EQ(chord(none, total_.s()).apply().get(), 0);
  chain(neg_.s(1), none, total_.s()).delay();
  ASSERT_THAT(sent(), SizeIs(1));
  EXPECT_THAT(*embed_of(sent()[0]).find("chain")->if_array(), SizeIs(1));
}

}  // namespace
}  // namespace lovage
