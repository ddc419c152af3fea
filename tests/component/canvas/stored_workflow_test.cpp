// Workflows that are stored once, their messages referring to them, through whole workers on every engine.
#include "component/canvas/workflow_rig.hpp"

namespace lovage::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// So much beside each task that a reference to it is shorter.
const Object kLarge{{"padding", Value(std::string(700, 'x'))}};

class StoredWorkflowOn : public WorkflowOn {
 protected:
  StoredWorkflowOn() { app.config().task_queues = {{.name = "celery", .lovage_only = true}}; }
  // Nothing is left of what was stored: messages have ended, and their graph with them.
  void expect_no_graph_left(const std::string& id) {
    for (const Deadline end = Deadline::after(10s);;) {
      const auto page = app.core().broker().graph_page(id, 0, end);
      if (!page) {
        EXPECT_EQ(page.error().code, Errc::not_found);
        return;
      }
      ASSERT_FALSE(end.passed()) << "the graph is still there";
    }
  }
  std::promise<std::string> graph_id;  // of the workflow that `first` is in; empty: it is not stored
  Task<std::int64_t(std::int64_t)> first = app.task("first", [this](Context& self, std::int64_t x) {
    const Value* const header = self.request().headers.find("lovage_graph");
    graph_id.set_value(header != nullptr ? *header->if_string() : "");
    return x;
  });
};
INSTANTIATE_TEST_SUITE_P(Engines, StoredWorkflowOn, engines(), engine_name);

TEST_P(StoredWorkflowOn, ChainOfThreeHundred) {
  std::vector<Signature> steps{first.s(0)};
  for (int i = 0; i < 300; ++i) steps.push_back(add.s(1));
  const auto result = detail::make_chain(steps).delay();
  EXPECT_EQ(result.get_value(20s), Value(300));
  const std::string id = graph_id.get_future().get();
  EXPECT_NE(id, "");
  expect_no_graph_left(id);
}

TEST_P(StoredWorkflowOn, EveryFormInEveryPlace) {
  auto inner = chord(group(add.s(1), add.s(2)), total.s() | same.s() | same.s());
  auto flow = chain(first.s(1), inner, group(add.s(1), same.s() | add.s(5) | same.s(), inner.clone()), total.s(),
                    same.s(), chord(group(same.s(), same.s()), total.s()));
  flow.stamp(kLarge);
  // 1 -> 5 -> {6, 10, 13} -> 29 -> {29, 29} -> 58
  EXPECT_EQ(flow.delay().get(20s), 58);
  expect_no_graph_left(graph_id.get_future().get());
}

TEST_P(StoredWorkflowOn, StepsThatWillNeverRunAreToldSo) {
  std::vector<Signature> steps{first.s(0), boom.s()};
  for (int i = 0; i < 100; ++i) steps.push_back(same.s());
  steps.push_back(same.s().on_error(note_id.s()));
  const auto result = detail::make_chain(steps).delay();
  EXPECT_THROW(result.get_value(20s), TaskFailed);
  // Those in between, too: each has its failure by the time that the graph is gone.
  expect_no_graph_left(graph_id.get_future().get());
  std::size_t told = 0;
  for (auto step = result.parent(); step; step = step->parent()) told += step->failed() ? 1U : 0U;
  EXPECT_EQ(told, 101U);
}

TEST_P(StoredWorkflowOn, AFailedHeaderFailsAStoredBody) {
  auto flow =
      chain(first.s(1), chord(group(add.s(1), boom.s()), (total.s() | same.s() | same.s()).on_error(note_id.s())));
  flow.stamp(kLarge);
  const auto result = flow.delay();
  EXPECT_THAT([&] { result.get(20s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT(notes.lines(1), ElementsAre("failed " + result.id()));
  expect_no_graph_left(graph_id.get_future().get());
}

TEST_P(StoredWorkflowOn, ReplacedSteps) {
  const Signature two = chain(same.s(20), add.s(1));
  auto flow = chain(first.si(1), replace_with.si(two.to_value()), add.s(1), same.s(), same.s());
  flow.stamp(kLarge);
  EXPECT_EQ(flow.delay().get(20s), 22);
  expect_no_graph_left(graph_id.get_future().get());
}

TEST_P(StoredWorkflowOn, RetriedSteps) {
  auto flow = chain(first.s(1), flaky.s(), add.s(1), flaky.s(), same.s());
  flow.stamp(kLarge);
  EXPECT_EQ(flow.delay().get(20s), 2);
  expect_no_graph_left(graph_id.get_future().get());
}

}  // namespace
}  // namespace lovage::worker
