// on_success, on_failure and on_complete: every form, every place where it can fail, and each is called once.
#include <functional>

#include "component/canvas/workflow_rig.hpp"
#include "wire/canvas.hpp"

namespace lovage::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;
using Lines = std::vector<std::string>;

class CallbacksOn : public WorkflowOn {
 protected:
  void SetUp() override {
    app.task("done", [this](const Value& result) { notes.add("done " + to_json(result)); });
    app.task("ended", [this](const std::string& id) { notes.add("ended " + id); });
    app.task("failed", [this](const std::string& /*id*/, const std::string& whose) { notes.add(whose + " failed"); });
    WorkflowOn::SetUp();
  }
  Signature failed(const std::string& whose) { return app.signature("failed", {Value(whose)}); }
  static bool ends_in_group(const Signature& workflow) {
    const Value value = workflow.to_value();
    const Array* const tasks = wire::canvas_tasks(value);
    const bool is_chain = wire::canvas_kind(value) == wire::CanvasKind::chain;
    return wire::canvas_kind(is_chain ? tasks->back() : value) == wire::CanvasKind::group;
  }
  // What is noted of this workflow in all, once it and everything that follows from it has ended.
  Lines noted(Signature workflow, std::size_t count = 1) {
    const std::size_t before = all_notes(0).size();
    workflow.on_success(app.signature("done")).on_failure(failed("all"));
    try {
      if (ends_in_group(workflow)) {
        static_cast<void>(GroupSignature(workflow).delay().join(20s));
      } else {
        workflow.delay().get_value(20s);
      }
    } catch (const TaskFailed&) {  // is noted
    }
    const Lines all = all_notes(before + count);
    return {all.begin() + static_cast<std::ptrdiff_t>(before), all.end()};
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, CallbacksOn, engines(), engine_name);

TEST_P(CallbacksOn, SuccessIsToldOnceWithTheResult) {
  EXPECT_THAT(noted(add.s(1, 2)), ElementsAre("done 3"));
  EXPECT_THAT(noted(add.s(1, 2) | add.s(3) | add.s(4)), ElementsAre("done 10"));
  EXPECT_THAT(noted(group(add.s(1, 2), add.s(3, 4))), ElementsAre("done [3, 7]"));
  EXPECT_THAT(noted(chord(group(add.s(1, 2), add.s(3, 4)), total.s())), ElementsAre("done 10"));
  EXPECT_THAT(noted(detail::make_chain({add.s(1, 2), group(add.s(1), add.s(2))})), ElementsAre("done [4, 5]"));
  EXPECT_THAT(noted(chord(group(add.s(1, 2), same.s(3)), list.s()) | total.s() | same.s()), ElementsAre("done 6"));
}

TEST_P(CallbacksOn, FailureIsToldOnceWhateverFails) {
  EXPECT_THAT(noted(boom.s(1)), ElementsAre("all failed"));
  EXPECT_THAT(noted(boom.s(1) | same.s() | same.s()), ElementsAre("all failed"));
  EXPECT_THAT(noted(same.s(1) | boom.s() | same.s()), ElementsAre("all failed"));
  EXPECT_THAT(noted(same.s(1) | same.s() | boom.s()), ElementsAre("all failed"));
  EXPECT_THAT(noted(group(boom.s(1), same.s(1), boom.s(2), boom.s(3))), ElementsAre("all failed"));
  EXPECT_THAT(noted(chord(group(boom.s(1), boom.s(2)), total.s())), ElementsAre("all failed"));
  EXPECT_THAT(noted(chord(group(same.s(1), same.s(2)), total.s() | boom.s())), ElementsAre("all failed"));
  EXPECT_THAT(noted(detail::make_chain({same.s(1), group(boom.s(), boom.s())})), ElementsAre("all failed"));
  EXPECT_THAT(noted(detail::make_chain({boom.s(1), group(same.s(), same.s())})), ElementsAre("all failed"));
  EXPECT_THAT(noted(detail::make_chain({same.s(1), group(boom.s(), same.s()), total.s(), same.s()})),
              ElementsAre("all failed"));
  EXPECT_THAT(noted(detail::make_chain({group(same.s(1), same.s(2)), total.s(), boom.s()})), ElementsAre("all failed"));
}

TEST_P(CallbacksOn, TheNearestScopeHearsOnceThenTheWorkflow) {
  EXPECT_THAT(noted(same.s(1) | boom.s().on_failure(failed("step")) | same.s().on_failure(failed("later")), 2),
              UnorderedElementsAre("step failed", "all failed"));
  const Signature inner = chord(group(boom.s(1), boom.s(2)), total.s()).on_failure(failed("inner"));
  EXPECT_THAT(noted(chord(group(inner, same.s(1)), total.s()), 2), UnorderedElementsAre("inner failed", "all failed"));
  EXPECT_THAT(noted(inner | same.s(), 2), UnorderedElementsAre("inner failed", "all failed"));
  EXPECT_THAT(
      noted(detail::make_chain({same.s(1), group(boom.s(), boom.s()).on_failure(failed("group")), total.s()}), 2),
      UnorderedElementsAre("group failed", "all failed"));
}

TEST_P(CallbacksOn, TheEndIsToldWithTheIdEitherWay) {
  const auto ended = [&](Signature workflow) {
    const std::size_t before = all_notes(0).size();
    const auto result = workflow.on_complete(app.signature("ended")).delay();
    const Lines all = all_notes(before + 1);
    EXPECT_EQ(all.size(), before + 1);
    EXPECT_EQ(all.back(), "ended " + result.id());
  };
  ended(add.s(1, 2));
  ended(boom.s(1));
  ended(add.s(1, 2) | add.s(3));
  ended(boom.s(1) | same.s());
  ended(chord(group(same.s(1), same.s(2)), total.s()));
  ended(chord(group(same.s(1), boom.s(2)), total.s()));
  const std::size_t before = all_notes(0).size();
  const auto several = group(same.s(1), boom.s(2)).on_complete(app.signature("ended")).delay();
  EXPECT_EQ(notes.lines(before + 1).back(), "ended " + several.id());
}

TEST_P(CallbacksOn, AGroupWithCallbacksIsStillAGroup) {
  const auto result = group(add.s(1, 2), add.s(3, 4)).on_success(app.signature("done")).delay();
  EXPECT_EQ(result.get(10s), (Numbers{3, 7}));
  EXPECT_EQ(result.size(), 2U);
  EXPECT_THAT(notes.lines(1), ElementsAre("done [3, 7]"));
}

TEST_P(CallbacksOn, CallbacksMayBeWorkflowsWithCallbacks) {
  const Signature after = (app.signature("add", {Value(10)}) | app.signature("boom")).on_failure(failed("after"));
  EXPECT_EQ(add.s(1, 2).on_success(after).delay().get(10s), 3);
  EXPECT_THAT(notes.lines(1), ElementsAre("after failed"));
}

TEST_P(CallbacksOn, TaskIdNamesTheResult) {
  const std::string id = new_task_id();
  const auto result = chord(group(same.s(1), same.s(2)), total.s() | same.s()).apply_async({.task_id = id});
  EXPECT_EQ(result.id(), id);
  EXPECT_EQ(result.get(10s), 3);
  const std::string chain_id = new_task_id();
  const auto last = (same.s(1) | same.s()).apply_async({.task_id = chain_id});
  EXPECT_EQ(last.id(), chain_id);
  EXPECT_EQ(last.get(10s), 1);
}

}  // namespace
}  // namespace lovage::worker
