// Tasks that put another workflow in their place, or add to their chord, on every engine. Celery:
// t/integration/test_canvas.py, the cases named ..._replaced.
#include "component/canvas/workflow_rig.hpp"

namespace lovage::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

class ReplacedFlows : public WorkflowOn {
 protected:
  Task<std::int64_t(std::int64_t, std::int64_t)> add_replaced =
      app.task("add_replaced",
               [this](Context& self, std::int64_t x, std::int64_t y) -> std::int64_t { self.replace(add.s(x, y)); });
  // What replaces it says so once it is done.
  Task<Value(Value)> by_chain = app.task("by_chain", [this](Context& self, const Value& value) -> Value {
    self.replace(chain(identity.s(value), identity.s()).link(note.si("inner callback")));
  });
  Task<Value(Value)> by_failing_chain =
      app.task("by_failing_chain", [this](Context& self, const Value& value) -> Value {
        self.replace(chain(identity.s(value), app.signature("boom")).link_error(note.si("inner errback")));
      });
  Task<Value(Value)> by_empty_chain = app.task("by_empty_chain", [](Context& self, const Value&) -> Value {
    self.replace(Signature::from_value(nullptr, Value(Object{{"task", "celery.chain"},
                                                             {"args", Array{}},
                                                             {"kwargs", Object{{"tasks", Array{}}}},
                                                             {"options", Object{}},
                                                             {"subtask_type", "chain"},
                                                             {"immutable", false}})));
  });
  Task<Value()> by_failure = app.task("by_failure", [this](Context& self) -> Value { self.replace(boom.si(1)); });
  Task<Numbers(Numbers, std::int64_t)> add_to_all =
      app.task("add_to_all", [this](Context& self, const Numbers& numbers, std::int64_t value) -> Numbers {
        std::vector<Signature> sums;
        for (const auto number : numbers) sums.push_back(add.s(number, value));
        self.replace(group(sums));
      });
  Task<std::int64_t(Numbers, std::int64_t)> add_all_to_chord =
      app.task("add_all_to_chord", [this](Context& self, const Numbers& numbers, std::int64_t value) {
        for (const auto number : numbers) self.add_to_chord(add.s(number, value));
        return std::int64_t{0};
      });
  Task<std::int64_t(Numbers, std::int64_t)> add_chord_to_chord =
      app.task("add_chord_to_chord", [this](Context& self, const Numbers& numbers, std::int64_t value) {
        std::vector<Signature> sums;
        for (const auto number : numbers) sums.push_back(add.s(number, value));
        self.add_to_chord(chord(sums, total.s()));
        return std::int64_t{0};
      });
  Task<Value(std::string)> outer = app.task("outer", [this](Context& self, const std::string& state) -> Value {
    notes.add(state + " outer");
    if (state == "in") self.replace(chain(app.signature("inner", {"in"}), outer.si("out")));
    return state;
  });
  Task<Value(std::string)> inner = app.task("inner", [this](Context& self, const std::string& state) -> Value {
    notes.add(state + " inner");
    if (state == "in") self.replace(chain(note.s("innermost"), inner.si("out")));
    return state;
  });
};
INSTANTIATE_TEST_SUITE_P(Engines, ReplacedFlows, engines(), engine_name);

// --- In chains -------------------------------------------------------------------------------------------

TEST_P(ReplacedFlows, ByAChainAloneAndInEveryPlaceOfAChain) {
  EXPECT_EQ(by_chain.si(42).delay().get(10s), Value(42));
  EXPECT_EQ(chain(by_chain.si(42), identity.s()).delay().get(10s), Value(42));
  EXPECT_EQ(chain(identity.s(42), by_chain.s(), identity.s()).delay().get(10s), Value(42));
  EXPECT_EQ(chain(identity.s(42), by_chain.s()).delay().get(10s), Value(42));
  EXPECT_THAT(all_notes(4), SizeIs(4));
}

TEST_P(ReplacedFlows, InALongChainThatEndsInAGroup) {
  const auto flow = add.s(2, 2) | chain(add.s(4), add_replaced.s(8), add.s(16), add.s(32)) |
                    group(add.s(0), add.s(1), add.s(2), add.s(3));
  EXPECT_EQ(flow.delay().get(10s), (Numbers{64, 65, 66, 67}));
}

TEST_P(ReplacedFlows, CallbacksOfTheReplacementAndOfTheChainAreCalled) {
  auto flow = chain(identity.s("Hello "), by_chain.s(), note.s());
  flow.link(note.si("outer callback"));
  EXPECT_EQ(flow.delay().get(10s), "Hello ");
  EXPECT_THAT(all_notes(3), UnorderedElementsAre("inner callback", "Hello ", "outer callback"));
}

TEST_P(ReplacedFlows, ErrbacksOfTheReplacementAndOfTheChainAreCalled) {
  const auto plain = chain(identity.s(1), by_failing_chain.s(), identity.s()).delay();
  EXPECT_THAT([&] { plain.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT(all_notes(1), ElementsAre("inner errback"));
  auto flow = chain(identity.s(1), by_failing_chain.s(), identity.s());
  flow.link_error(note.si("outer errback"));
  const auto linked = flow.delay();
  EXPECT_THAT([&] { linked.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT(all_notes(3), UnorderedElementsAre("inner errback", "inner errback", "outer errback"));
}

TEST_P(ReplacedFlows, ByAnEmptyChainIsAnErrorThatSaysSo) {
  const auto result = chain(identity.s(1), by_empty_chain.s()).delay();
  EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("empty chain")));
}

TEST_P(ReplacedFlows, AChainsCallbackAndErrbackWhereAStepIsReplaced) {
  auto good = chain(add_replaced.si(42, 1337), same.s());
  good.link(note.si("called"));
  EXPECT_EQ(good.delay().get(10s), 42 + 1337);
  auto bad = chain(add_replaced.si(42, 1337), boom.s());
  bad.link_error(note.si("told"));
  EXPECT_THROW(bad.delay().get(10s), TaskFailed);
  EXPECT_THAT(all_notes(2), UnorderedElementsAre("called", "told"));
}

TEST_P(ReplacedFlows, AStepsCallbackAndErrbackGoToItsReplacement) {
  EXPECT_EQ(chain(add_replaced.si(42, 1337).link(note.si("called")), same.s()).delay().get(10s), 42 + 1337);
  EXPECT_THROW(chain(by_failure.si().link_error(note.si("told")), identity.si(42)).delay().get(10s), TaskFailed);
  EXPECT_THAT(all_notes(2), UnorderedElementsAre("called", "told"));
}

TEST_P(ReplacedFlows, SecondOrder) {
  outer.delay("in").get(10s);
  EXPECT_THAT(notes.lines(5), ElementsAre("in outer", "in inner", "innermost", "out inner", "out outer"));
}

// --- In groups -------------------------------------------------------------------------------------------

TEST_P(ReplacedFlows, ByAChainInEveryPlaceOfAGroup) {
  EXPECT_EQ(group(by_chain.si(42), identity.s(1337)).delay().join(10s), (Array{42, 1337}));
  EXPECT_EQ(group(identity.s(42), by_chain.s(1337), identity.s(31'337)).delay().join(10s), (Array{42, 1337, 31'337}));
  EXPECT_EQ(group(identity.s(42), by_chain.s(1337)).delay().join(10s), (Array{42, 1337}));
}

TEST_P(ReplacedFlows, ByGroupsKeepsTheGroupsOrder) {
  std::vector<Signature> members;
  Array expected;
  for (int i = 0; i < 10; ++i) {
    members.push_back(add_to_all.s(Numbers{2, 1}, 1));
    members.push_back(add_to_all.s(Numbers{4, 3}, 1));
    expected.insert(expected.end(), {Array{3, 2}, Array{5, 4}});
  }
  EXPECT_EQ(group(members).delay().join(20s), expected);
}

TEST_P(ReplacedFlows, AGroupsCallbackAndErrbackWhereAMemberIsReplaced) {
  auto good = group(add_replaced.si(42, 1337), same.si(31'337));
  good.link(note.si("called"));
  EXPECT_EQ(good.delay().get(10s), (Numbers{42 + 1337, 31'337}));
  auto bad = group(add_replaced.si(42, 1337), boom.s(1));
  bad.link_error(note.si("told"));
  const auto result = bad.delay();
  EXPECT_THROW(result.get(10s), TaskFailed);
  EXPECT_THAT(all_notes(2), UnorderedElementsAre("called", "told"));
}

TEST_P(ReplacedFlows, AMembersCallbackAndErrbackGoToItsReplacement) {
  const auto good = group(add_replaced.si(42, 1337).link(note.si("called")), same.si(31'337));
  EXPECT_EQ(good.delay().join(10s), (Array{42 + 1337, 31'337}));
  const auto bad = group(by_failure.si().link_error(note.si("told")), identity.si(42)).delay();
  EXPECT_THROW(static_cast<void>(bad.join(10s)), TaskFailed);
  EXPECT_THAT(all_notes(2), UnorderedElementsAre("called", "told"));
}

// --- In chords -------------------------------------------------------------------------------------------

TEST_P(ReplacedFlows, ByAChainInEveryPlaceOfAHeader) {
  EXPECT_EQ(chord(group(by_chain.si(42)), identity.s()).delay().get(10s), Value(Array{42}));
  EXPECT_EQ(chord(group(by_chain.si(42), identity.s(1337)), identity.s()).delay().get(10s), Value(Array{42, 1337}));
  EXPECT_EQ(chord(group(identity.s(42), by_chain.s(1337), identity.s(31'337)), identity.s()).delay().get(10s),
            Value(Array{42, 1337, 31'337}));
  EXPECT_EQ(chord(group(identity.s(42), by_chain.s(1337)), identity.s()).delay().get(10s), Value(Array{42, 1337}));
}

TEST_P(ReplacedFlows, ByAChainInEveryPlaceOfABody) {
  const auto header = group(identity.s(42));
  const Value expected(Array{42});
  EXPECT_EQ(chord(header, by_chain.s()).delay().get(10s), expected);
  EXPECT_EQ(chord(header, chain(by_chain.s(), identity.s())).delay().get(10s), expected);
  EXPECT_EQ(chord(header, chain(identity.s(), by_chain.s(), identity.s())).delay().get(10s), expected);
  EXPECT_EQ(chord(header, chain(identity.s(), by_chain.s())).delay().get(10s), expected);
}

TEST_P(ReplacedFlows, InNestedChords) {
  const auto first = chord(group(add.s(1, 2), add_replaced.s(3, 4)), add_to_all.s(5)) | total.s();
  const auto second = chord(group(add_replaced.s(6, 7), add.s(0, 0)), add_to_all.s(8)) | total.s();
  EXPECT_EQ(chord(group(first, second), add_to_all.s(9)).delay().get(10s), (Numbers{29, 38}));
}

TEST_P(ReplacedFlows, TheBodyThatFollowsAGroup) {
  const auto numbers = group(add.s(0), add.s(1), add.s(2), add.s(3));
  EXPECT_EQ((add.s(2, 2) | numbers | add_to_all.s(8)).delay().get(10s), (Numbers{12, 13, 14, 15}));
  EXPECT_EQ((group(add.s(2, 5)) | add_to_all.s(9)).delay().get(10s), (Numbers{16}));
  EXPECT_EQ(chord(group(add.s(2, 5)), add_to_all.s(9)).delay().get(10s), (Numbers{16}));
}

TEST_P(ReplacedFlows, TheBodyOfAnEmptyHeader) {
  const std::vector<TypedSignature<std::int64_t()>> none;
  EXPECT_EQ(chord(none, add_to_all.s(9)).delay().get(10s), (Numbers{}));
  EXPECT_EQ((group(none) | add_to_all.s(9)).delay().get(10s), (Numbers{}));
}

TEST_P(ReplacedFlows, TasksAreAddedToTheirChord) {
  const auto flow = group(add_all_to_chord.s(Numbers{1, 2, 3}, 4)) | list.s();
  EXPECT_THAT(flow.delay().get(10s), UnorderedElementsAre(0, 5, 6, 7));
}

TEST_P(ReplacedFlows, AChordIsAddedToItsChord) {
  const auto flow = group(add_chord_to_chord.s(Numbers{1, 2, 3}, 4)) | list.s();
  EXPECT_THAT(flow.delay().get(10s), UnorderedElementsAre(0, 5 + 6 + 7));
}

}  // namespace
}  // namespace lovage::worker
