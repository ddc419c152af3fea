// Chains of every composition, on every engine. Celery: t/integration/test_canvas.py, test_chain.
#include "component/canvas/workflow_rig.hpp"

#include <algorithm>
#include <thread>

namespace lovage::worker {
namespace {

using std::chrono_literals::operator""ms;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

class ChainFlows : public WorkflowOn {
 protected:
  // Ends when its soft time limit tells it to.
  Task<std::int64_t(std::int64_t)> patient = app.task("patient", [](Context& self, std::int64_t) -> std::int64_t {
    try {
      while (true) {
        self.check();
        std::this_thread::yield();
      }
    } catch (const SoftTimeLimitExceeded&) {
      return 0;
    }
  });
  // Starts a workflow and tells of it.
  Task<Value()> start_flow = app.task("start_flow", [this] {
    const auto flow = add.s(1, 1) | add.s(2) | group(add.s(3), add.s(4)) | total.s();
    return flow.delay().as_tuple();
  });
  Task<std::int64_t(std::int64_t, std::int64_t, std::optional<std::int64_t>)> add3 = app.task(
      "add3", [](std::int64_t x, std::int64_t y, std::optional<std::int64_t> z) { return x + y + z.value_or(0); },
      params("x", "y", param("z") = Value()));
  Task<std::int64_t(std::int64_t)> priority =
      app.task("priority", [](Context& self, std::int64_t) { return std::int64_t{self.request().priority}; });
  ImmutableSignature<std::string> numbered(int number) { return note.si(std::to_string(number)); }
};
INSTANTIATE_TEST_SUITE_P(Engines, ChainFlows, engines(), engine_name);

// --- Steps and groups, in any order ----------------------------------------------------------------------

TEST_P(ChainFlows, ChainOfChainWithASingleTask) {
  EXPECT_EQ(chain(chain(same.s(42))).delay().get(10s), 42);
  EXPECT_EQ(chain(chain(same.s(), same.s())).delay(1).get(10s), 1);
}

TEST_P(ChainFlows, OfALoneGroup) {
  EXPECT_EQ(chain(group(same.s(42), same.s(42))).delay().get(10s), (Numbers{42, 42}));
}

TEST_P(ChainFlows, WithAGroupInTheMiddle) {
  EXPECT_EQ(chain(same.s(42), group(same.s(), same.s()), list.s()).delay().get(10s), (Numbers{42, 42}));
}

TEST_P(ChainFlows, WithAGroupAtTheEnd) {
  EXPECT_EQ(chain(same.s(42), group(same.s(), same.s())).delay().get(10s), (Numbers{42, 42}));
}

TEST_P(ChainFlows, AChainThatEndsInAGroupInAGroup) {
  EXPECT_EQ(group(chain(add.s(1, 2), group(add.s(1), add.s(2)))).delay().join(10s), (Array{Value(Array{4, 5})}));
}

TEST_P(ChainFlows, GroupChordGroupChain) {
  const auto before = group(note.si("before"), note.si("before"), note.si("before"));
  const auto after = group(note.si("after"), note.si("after"));
  (before | note.si("connect") | after).delay().get(10s);
  EXPECT_THAT(notes.lines(6), ElementsAre("before", "before", "before", "connect", "after", "after"));
}

TEST_P(ChainFlows, OfATaskAGroupAndAChord) {
  const auto flow = add.si(1, 0) | group(add.s(1), add.s(1)) | group(total.s(), total.s()) | total.s();
  EXPECT_EQ(flow.delay().get(10s), 8);
}

TEST_P(ChainFlows, OfChordsAndTasks) {
  const auto two_tasks =
      add.si(1, 0) | group(add.s(1), add.s(1)) | total.s() | add.s(1) | group(add.s(1), add.s(1)) | total.s();
  EXPECT_EQ(two_tasks.delay().get(10s), 12);
  const auto explicit_chord =
      add.si(1, 0) | group(add.s(1), add.s(1)) | total.s() | add.s(1) | chord(group(add.s(1), add.s(1)), total.s());
  EXPECT_EQ(explicit_chord.delay().get(10s), 12);
}

TEST_P(ChainFlows, OfAChordTasksAndAGroup) {
  const auto two = group(add.s(1), add.s(1));
  const auto begin = group(add.s(1, 1), add.s(1, 1)) | total.s();
  EXPECT_EQ((add.si(1, 0) | two | total.s() | add.s(1) | two).delay().get(10s), (Numbers{6, 6}));
  EXPECT_EQ((begin | add.s(1) | two).delay().get(10s), (Numbers{6, 6}));
  EXPECT_EQ((begin | add.s(1) | add.s(1) | two).delay().get(10s), (Numbers{7, 7}));
  EXPECT_EQ((begin | add.s(1) | add.s(1) | add.s(1) | two).delay().get(10s), (Numbers{8, 8}));
}

TEST_P(ChainFlows, OfExplicitChords) {
  const auto two = [&](std::int64_t number) { return chord(group(add.s(number), add.s(number)), total.s()); };
  const auto first = chain(chord(group(add.si(1, 0), add.si(1, 0)), total.s()), two(1), two(0));
  EXPECT_EQ((first | chain(two(10), two(0), two(1))).delay().get(10s), 178);
}

TEST_P(ChainFlows, OfNineExplicitChords) {
  const auto three = [&](std::int64_t number) {
    return chord(group(add.s(number), add.s(number), add.s(number)), total.s());
  };
  auto flow = chain(chord(group(add.si(1, 0), add.si(1, 0), add.si(1, 0)), total.s()), three(1));
  for (int i = 0; i < 6; ++i) flow = flow | three(1);
  EXPECT_EQ((flow | three(0)).delay().get(20s), 29'520);
}

TEST_P(ChainFlows, GroupInTheCenterOfAChain) {
  const auto inner = chain(total.s(), group(add.s(8), add.s(16)), total.s() | add.s(32));
  const auto middle = chord(group(total.s(), total.s()), inner);
  EXPECT_EQ(chord(group(add.s(0, 1)), middle).delay().get(10s), 60);
}

TEST_P(ChainFlows, OfTwoChords) {
  const auto flow = chain(group(same.s(1), same.s(2), same.s(3)) | total.s(),
                          chord(group(add.s(10), add.s(10), add.s(10)), total.s()));
  EXPECT_EQ(flow.delay().get(10s), 48);
}

// --- Each task of chained groups runs once ---------------------------------------------------------------

TEST_P(ChainFlows, ChainedPureGroupsRunEachTaskOnce) {
  const auto flow = chain(group(numbered(1), numbered(2), numbered(3)), group(numbered(4), numbered(5), numbered(6)),
                          group(numbered(7)), group(numbered(8)), numbered(9));
  flow.delay().get(10s);
  EXPECT_THAT(all_notes(9), UnorderedElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9"));
}

TEST_P(ChainFlows, AChordWithAGroupAsItsBodyIsFollowedOnce) {
  const auto begin = chord(group(numbered(1), numbered(2), numbered(3)), group(numbered(4), numbered(5), numbered(6)));
  chain(begin, group(numbered(7)), group(numbered(8)), numbered(9)).delay().get(10s);
  EXPECT_THAT(all_notes(9), UnorderedElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9"));
}

TEST_P(ChainFlows, MixedFormsRunEachTaskOnce) {
  const auto begin = chord(group(numbered(1), numbered(2), numbered(3)), group(numbered(4), numbered(5), numbered(6)));
  chain(begin, numbered(7), group(numbered(8)), numbered(9)).delay().get(10s);
  EXPECT_THAT(all_notes(9), UnorderedElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9"));
}

TEST_P(ChainFlows, GroupsOfDifferentSizesRunEachTaskOnce) {
  const auto begin = chain(group(numbered(1), numbered(2)), group(numbered(3), numbered(4), numbered(5)),
                           group(numbered(6), numbered(7), numbered(8), numbered(9)));
  chain(begin, note.si("done")).delay().get(10s);
  chain(begin, group(note.si("done"))).delay().get(10s);
  const auto lines = all_notes(20);
  ASSERT_THAT(lines, SizeIs(20));
  for (int i = 1; i < 10; ++i) EXPECT_EQ(std::count(lines.begin(), lines.end(), std::to_string(i)), 2) << i;
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "done"), 2);
}

TEST_P(ChainFlows, AGroupThatAGroupFollowsInAChainOfChains) {
  const auto both = group(note.si("a"), note.si("a")) | group(note.si("a"), note.si("a"));
  chain(both, note.si("a") | note.si("b")).delay().get(10s);
  EXPECT_THAT(all_notes(6), ElementsAre("a", "a", "a", "a", "a", "b"));
}

// --- What steps know -------------------------------------------------------------------------------------

TEST_P(ChainFlows, ParentIdsOfEveryStep) {
  auto flow = chain(ids.si(0), ids.si(1));
  for (std::int64_t i = 2; i < 10; ++i) flow = flow | ids.si(i);
  const auto last = flow.delay();
  last.get(10s);
  std::vector<ResultHandle> steps{last};
  while (steps.back().parent()) steps.push_back(*steps.back().parent());
  ASSERT_THAT(steps, SizeIs(10));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto parent = i + 1 < steps.size() ? steps[i + 1].id() : "";
    EXPECT_EQ(steps[i].get_value(10s), Value(Array{steps.back().id(), parent, std::to_string(9 - i)}));
  }
}

TEST_P(ChainFlows, TheIdThatIsGivenIsTheLastTasks) {
  const std::string id = new_uuid();
  const auto result = (add.s(4, 4) | add.s(2)).apply_async({.task_id = id});
  EXPECT_EQ(result.id(), id);
  EXPECT_EQ(result.get(10s), 10);
}

TEST_P(ChainFlows, AWorkflowThatATaskStartsIsKnownByItsTuple) {
  const Value tuple = start_flow.delay().get(10s);
  const std::string id = *tuple.if_array()->at(0).if_array()->at(0).if_string();
  EXPECT_EQ(AsyncResult<>(app.result(id)).get(10s), Value(15));
}

TEST_P(ChainFlows, ArgumentsByNameGoToTheFirstStepAlone) {
  const auto flow =
      app.signature("add3", {2, 2}) | group(app.signature("add3", {0}), app.signature("add3", {1})) | total.s();
  EXPECT_EQ(flow.apply_async({.kwargs = {{"z", 1}}}).get(10s), 11);
}

TEST_P(ChainFlows, EachStepHasItsPriority) {
  auto first = priority.si(0);
  first.set({.priority = 3});
  auto second = priority.s();
  second.set({.priority = 5});
  EXPECT_EQ(chain(first).delay().get(10s), 3);
  EXPECT_EQ((first | second).delay().get(10s), 5);
}

TEST_P(ChainFlows, AStepThatAnswersItsSoftTimeLimitHasAResult) {
  auto limited = patient.s(100);
  limited.set({.soft_time_limit = 50ms});
  EXPECT_EQ(chord(group(add.s(1, 2), limited), total.s()).delay().get(10s), 3);
}

// --- Callbacks and errbacks ------------------------------------------------------------------------------

TEST_P(ChainFlows, ErrorHandlerWithEta) {
  auto flow = chain(group(add.s(1, 2), add.s(3, 4)), total.s());
  flow.on_error(note_id.s());
  const auto result = flow.apply_async({.eta = std::chrono::system_clock::now() + 100ms});
  EXPECT_EQ(result.get(10s), 10);
  EXPECT_THAT(all_notes(0), ElementsAre());
}

TEST_P(ChainFlows, ChildrenWithCallbacks) {
  std::vector<Signature> steps(10, same.si(1337).link(note.si("called")));
  EXPECT_EQ(AsyncResult<>(chain(steps).delay()).get(10s), Value(1337));
  EXPECT_THAT(all_notes(10), SizeIs(10));
}

TEST_P(ChainFlows, OnlyTheErrbackOfTheStepThatFailsIsCalled) {
  std::vector<Signature> steps(10, boom.si(1).link_error(note.si("called")));
  EXPECT_THROW(AsyncResult<>(chain(steps).delay()).get(10s), TaskFailed);
  EXPECT_THAT(all_notes(1), SizeIs(1));
}

TEST_P(ChainFlows, FlatteningKeepsTheLinksOfTheInnerChain) {
  auto inner = chain(same.s(1), add.s(2));
  inner.link(note.si("link of the inner chain")).link_error(note_id.s());
  EXPECT_EQ(chain(inner, add.s(3)).delay().get(10s), 6);
  EXPECT_THAT(all_notes(1), ElementsAre("link of the inner chain"));
}

TEST_P(ChainFlows, AnErrorBeforeAGroupIsTheGroups) {
  const auto before = (add.s(1, 1) | boom.s() | group(add.s(1), add.s(1))).delay();
  EXPECT_THAT([&] { before.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  const auto within = (add.s(1, 1) | add.s(1) | group(add.s(1), boom.s())).delay();
  EXPECT_THAT([&] { within.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
}

// --- Errbacks of single tasks ----------------------------------------------------------------------------

TEST_P(ChainFlows, ErrbackOfASingleTask) {
  const auto sent = boom.s(1).link_error(note_id.s()).delay();
  EXPECT_THAT([&] { sent.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT(notes.lines(1), ElementsAre("failed " + sent.id()));
  const auto here = boom.s(1).link_error(note_id.s()).apply();
  EXPECT_THAT([&] { here.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT(notes.lines(2), ElementsAre("failed " + sent.id(), "failed " + here.id()));
}

TEST_P(ChainFlows, AnErrbackMayRetryWithoutTouchingTheFailure) {
  const auto result = boom.s(1).link_error(flaky.si(1).link(note.si("the errback is done"))).delay();
  EXPECT_THAT(notes.lines(1), ElementsAre("the errback is done"));
  EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
}

TEST_P(ChainFlows, ErrbackOfASignatureThatIsKnownByItsNameAlone) {
  auto call = app.signature("boom", {1});
  call.link_error(app.signature("note_id"));
  const auto sent = call.delay();
  EXPECT_THAT([&] { sent.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT(notes.lines(1), ElementsAre("failed " + sent.id()));
  EXPECT_THAT([&] { call.apply().get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
}

}  // namespace
}  // namespace lovage::worker
