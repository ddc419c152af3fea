// Workflows that are stored once: what becomes of them, and what their messages carry.
#include <gmock/gmock.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>

#include <lovage/lovage.hpp>

#include "app/canvas_shape.hpp"
#include "app/core.hpp"
#include "app/graph_reference.hpp"
#include "app/graph_writer.hpp"
#include "app/launcher.hpp"
#include "wire/body.hpp"

namespace lovage::app {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class Writing : public ::testing::Test {
 protected:
  Writing() {
    Config& config = app.config();
    config.task_queues = {{.name = "cpp", .lovage_only = true}, {.name = "celery"}};
    config.task_routes = {{"elsewhere", {.queue = "celery"}}};
    config.task_default_queue = "cpp";
  }
  static Value frozen(const Signature& workflow) {
    Value value = workflow.to_value();
    EXPECT_TRUE(freeze(value));
    return value;
  }
  // Runs a workflow by hand, as workers do: each message's successors with 1 as its result. How many messages there
  // were, and the bytes of all their bodies.
  struct Ran {
    std::vector<std::string> ids;
    std::size_t bytes = 0;
    std::uint64_t holders = 0;  // that were added
  };
  Ran run(const broker::Graph& graph, Launch launch) {
    Ran ran;
    std::vector<wire::TaskMessage> waiting = std::move(launch.messages);
    std::vector<Value> pages;
    for (const auto& page : graph.pages) pages.push_back(from_json(page));
    std::map<std::string, std::uint64_t> chords;
    for (const auto& chord : launch.chords) chords[chord.group_id] = chord.size;
    ran.holders = launch.chords_by_reference + graph_holders(waiting);
    while (!waiting.empty()) {
      const wire::TaskMessage message = std::move(waiting.back());
      waiting.pop_back();
      ran.ids.push_back(message.id);
      ran.bytes += message.body.size();
      const std::vector<std::string> accept{"application/json"};
      auto body = wire::decode_body(message, accept, {});
      std::optional<Value> next;
      std::string graph_id;
      if (const Value* const header = message.custom_headers.find(wire::kGraphHeader)) graph_id = *header->if_string();
      if (body->embed.chain && !body->embed.chain->empty()) {
        Array steps(body->embed.chain->rbegin(), body->embed.chain->rend());
        next = wire::make_chain(std::move(steps));
      } else if (body->embed.chord && body->embed.chord->if_object() != nullptr &&
                 --chords.at(*message.group_id) == 0) {
        next = *body->embed.chord;
        graph_id = graph_of(*next).value_or("");
      }
      if (!next) continue;
      if (const auto reference = leading_reference(*next)) {
        EXPECT_TRUE(put_in_place(*next, pages.at(reference->page).if_array()->at(reference->position)));
      }
      Launcher launcher(app.core(), {"root", message.id, graph_id});
      const Value one(1);
      const auto added = launcher.add(std::move(*next), std::span(&one, 1));
      EXPECT_TRUE(added) << added.error().message;
      Launch more = launcher.take();
      for (const auto& chord : more.chords) chords[chord.group_id] = chord.size;
      ran.holders += more.chords_by_reference + graph_holders(more.messages);
      std::ranges::move(more.messages, std::back_inserter(waiting));
    }
    std::ranges::sort(ran.ids);
    return ran;
  }
  Ran run_shared(const Signature& workflow) {
    Value value = frozen(workflow);
    GraphWriter writer(app.config(), "graph");
    EXPECT_TRUE(writer.share(value));
    const broker::Graph graph = writer.take();
    stored = std::accumulate(graph.pages.begin(), graph.pages.end(), std::size_t{0},
                             [](std::size_t sum, const std::string& page) { return sum + page.size(); });
    return run(graph, launch(value, graph.pages.empty() ? "" : "graph"));
  }
  Ran run_embedded(const Signature& workflow) { return run({}, launch(frozen(workflow), "")); }
  Launch launch(Value value, const std::string& graph_id) {
    Launcher launcher(app.core(), {"", std::nullopt, graph_id},
                      {.messages = 1'000'000, .bytes = std::size_t{1} << 30U});
    const auto added = launcher.add(std::move(value), {});
    EXPECT_TRUE(added) << added.error().message;
    return launcher.take();
  }
  // The same tasks run, whether what follows is embedded or referred to. Ids are given before.
  void expect_same(const Signature& workflow) {
    const Value value = frozen(workflow);
    const Signature fixed = Signature::from_value(workflow.core(), value);
    EXPECT_EQ(run_shared(fixed).ids, run_embedded(fixed).ids);
  }

  App app{"shop", Config{}};
  std::size_t stored = 0;
  // So large that nearly everything is worth a reference.
  Signature task(const std::string& name = "task") {
    return app.signature(name, {}, {{"note", Value(std::string(600, 'x'))}});
  }
  Signature header_of(std::size_t count) {
    std::vector<Signature> tasks;
    for (std::size_t i = 0; i < count; ++i) tasks.push_back(task());
    return detail::make_group(tasks);
  }
};

TEST_F(Writing, ASmallWorkflowIsNotStored) {
  Value value = frozen(app.signature("a") | app.signature("b") | app.signature("c"));
  GraphWriter writer(app.config(), "graph");
  ASSERT_TRUE(writer.share(value));
  EXPECT_THAT(writer.take().pages, IsEmpty());
  EXPECT_EQ(graph_of(value), std::nullopt);
}

TEST_F(Writing, AChainIsStoredInOrderOfItsSize) {
  std::vector<Signature> steps;
  for (int i = 0; i < 1'000; ++i) steps.push_back(app.signature("step", {Value(i)}));
  const Ran ran = run_shared(detail::make_chain(steps));
  EXPECT_THAT(ran.ids, SizeIs(1'000));
  EXPECT_LT(ran.bytes, 2'000U * 1'000U);  // embedded: about 150 MB
  EXPECT_LT(stored, 600U * 1'000U);
}

// Celery's messages of the same take 945 MB (depth 8, as in pains.md's experiment).
TEST_F(Writing, AChordNestedEightDeepInBodiesTakesLessThanFiftyKilobytes) {
  Signature workflow = app.signature("end");
  for (int depth = 0; depth < 8; ++depth) {
    std::vector<Signature> header;
    for (int i = 0; i < 3; ++i) header.push_back(app.signature("add", {Value(i), Value(i)}));
    workflow = detail::make_chord(detail::make_group(header), workflow);
  }
  const Ran ran = run_shared(workflow);
  EXPECT_THAT(ran.ids, SizeIs(25));
  EXPECT_LT(ran.bytes + stored, 50U * 1'000U);
}

TEST_F(Writing, WhatIsStoredRunsAsWhatIsEmbedded) {
  expect_same(task() | task() | task() | task());
  expect_same(detail::make_chord(header_of(3), task()));
  expect_same(detail::make_chord(header_of(3), task() | task() | task()));
  expect_same(detail::make_chain({task(), header_of(2), task(), header_of(2), task(), task()}));
  expect_same(detail::make_chain({task(), task(), header_of(3)}));
  expect_same(header_of(4));
  const Signature inner = detail::make_chord(header_of(2), task() | task());
  expect_same(detail::make_chord(detail::make_group({inner, task() | task() | task(), task()}), task()));
  expect_same(detail::make_chord(detail::make_group({inner, inner.clone()}), inner.clone()) | task() | task());
  expect_same(detail::make_chain({inner, inner.clone(), inner.clone()}));
  expect_same(detail::make_chord(
      detail::make_group({detail::make_chain({task(), task(), header_of(2)}), header_of(2), task()}), task()));
}

TEST_F(Writing, EveryHolderIsCounted) {
  const Ran ran = run_shared(detail::make_chain({task(), task(), header_of(2), task(), task()}));
  // Two steps, the chord (its header's tasks count for nothing), the body and the step behind it.
  EXPECT_EQ(ran.ids.size(), 6U);
  EXPECT_EQ(ran.holders, 5U);
}

TEST_F(Writing, ErrbacksThatHearOfAStoredStepAreKnownWithoutReadingIt) {
  Signature next = app.signature("next", {}, {{"note", Value(std::string(1'100, 'x'))}});
  next.on_error(app.signature("errback"));
  Value value = frozen(detail::make_chain({task(), next, task()}));
  GraphWriter writer(app.config(), "graph");
  ASSERT_TRUE(writer.share(value));
  const Value& rest = wire::canvas_tasks(value)->back();
  ASSERT_TRUE(wire::graph_reference(rest));
  EXPECT_THAT(wire::reference_errbacks(rest), SizeIs(1));
}

TEST_F(Writing, OnlyWorkflowsForLovagesQueuesAreStored) {
  const auto only = [&](const Signature& workflow) {
    Value value = frozen(workflow);
    return keep_to_lovage(app.core(), value);
  };
  EXPECT_TRUE(only(task() | task()));
  EXPECT_TRUE(only(detail::make_chord(header_of(2), task() | task())));
  EXPECT_FALSE(only(task() | task("elsewhere")));
  EXPECT_FALSE(only(detail::make_chord(header_of(2), task("elsewhere"))));
  EXPECT_FALSE(only(detail::make_chord(detail::make_group({task(), task("elsewhere")}), task())));
  EXPECT_FALSE(only(task() | task().clone().set({.queue = "celery"})));
  EXPECT_TRUE(only(task() | task("elsewhere").clone().set({.queue = "cpp"})));
  Signature routed = header_of(2);
  routed.set({.queue = "celery"});
  EXPECT_FALSE(only(routed));
  EXPECT_FALSE(only(app.signature("a").set({.exchange = "ex", .routing_key = "key"}) | task()));
  app.config().task_queues.clear();
  EXPECT_FALSE(only(task() | task()));
}

// A worker that sends the later steps may route otherwise.
TEST_F(Writing, StoredStepsNameTheirQueues) {
  app.config().task_routes.insert(app.config().task_routes.begin(), {"routed", {.queue = "more"}});
  app.config().task_queues.push_back({.name = "more", .lovage_only = true});
  Value value = frozen(detail::make_chain({task(), task("routed"), header_of(1), task()}));
  ASSERT_TRUE(keep_to_lovage(app.core(), value));
  const Array& steps = *wire::canvas_tasks(value);
  EXPECT_EQ(wire::text_option(wire::canvas_options(steps[0]), "queue"), "cpp");
  EXPECT_EQ(wire::text_option(wire::canvas_options(steps[1]), "queue"), "more");
  EXPECT_EQ(wire::text_option(wire::canvas_options(wire::canvas_tasks(steps[2])->front()), "queue"), "cpp");
  const Value untouched = frozen(task() | task("elsewhere"));
  value = untouched;
  ASSERT_FALSE(keep_to_lovage(app.core(), value));
  EXPECT_EQ(value, untouched);
}

}  // namespace
}  // namespace lovage::app
