// Groups of every composition, on every engine. Celery: t/integration/test_canvas.py, test_group and test_result_set.
#include "component/canvas/workflow_rig.hpp"

#include <algorithm>

namespace lovage::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

class GroupFlows : public WorkflowOn {
 protected:
  TypedWorkflow<Value> same_chain(int steps) {
    return chain(std::vector<Signature>(static_cast<std::size_t>(steps), same.si(1337)));
  }
  static Array repeated(const Value& value, std::size_t count) { return Array(count, value); }
};
INSTANTIATE_TEST_SUITE_P(Engines, GroupFlows, engines(), engine_name);

TEST_P(GroupFlows, ALoneGroup) {
  EXPECT_EQ(group(same.s(42), same.s(42)).delay().get(10s), (Numbers{42, 42}));
  EXPECT_EQ(group(group(same.s(42), same.s(42))).delay().join(10s), (Array{42, 42}));
}

TEST_P(GroupFlows, ArgumentsGoToEachMember) {
  const auto both = group(add.s(1), chain(add.s(2), add.s(10)));
  EXPECT_EQ(both.delay(5).get(10s), (Numbers{6, 17}));
  EXPECT_EQ(both.apply(5).get(10s), (Numbers{6, 17}));
  EXPECT_EQ(group(same.s(), group(same.s())).delay(7).join(10s), (Array{7, 7}));
}

TEST_P(GroupFlows, AreReadyWithAnExceptionToo) {
  const auto result = group(add.s(1, 2), boom.s(1)).delay();
  EXPECT_THROW(result.get(10s), TaskFailed);
  EXPECT_TRUE(result.ready());
  EXPECT_FALSE(result.successful());
  EXPECT_TRUE(result.failed());
  EXPECT_TRUE(result.results()[0].successful());
  EXPECT_EQ(result.join(10s, {.propagate = false}).at(0), Value(3));
}

TEST_P(GroupFlows, ParentIdsOfTheMembers) {
  std::vector<ImmutableSignature<std::vector<std::string>>> members;
  for (std::int64_t i = 2; i < 50; ++i) members.push_back(ids.si(i));
  const auto result = (ids.si(0) | ids.si(1) | group(members)).delay();
  const auto parent = result.parent().value();
  const auto found = result.get(20s);
  ASSERT_THAT(found, SizeIs(48));
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_THAT(found[i], ElementsAre(parent.parent().value().id(), parent.id(), std::to_string(i + 2)));
}

// --- Chords in groups: what counts in them ---------------------------------------------------------------

TEST_P(GroupFlows, AChordOfOne) {
  EXPECT_EQ(group(chord(group(same.si(42)), list.s())).delay().join(10s), (Array{Value(Array{42})}));
}

TEST_P(GroupFlows, AChordOfAChain) {
  EXPECT_EQ(group(chord(group(same_chain(42)), identity.s())).delay().join(20s), (Array{Value(Array{1337})}));
}

TEST_P(GroupFlows, AChordOfAGroup) {
  const std::vector<Signature> members(42, same.si(1337));
  EXPECT_EQ(group(chord(group(group(members)), identity.s())).delay().join(10s), (Array{Value(repeated(1337, 42))}));
}

TEST_P(GroupFlows, AChordOfAChord) {
  const std::vector<Signature> members(42, same.si(1337));
  const auto inner = chord(members, same.si(31'337));
  EXPECT_EQ(group(chord(group(inner), identity.s())).delay().join(10s), (Array{Value(Array{31'337})}));
}

TEST_P(GroupFlows, AChordOfAllForms) {
  const std::vector<Signature> members(42, same.si(42));
  const auto header = group(same.si(42), chain(members), group(members), chord(members, same.si(1337)));
  Array expected = repeated(42, 44);
  expected.push_back(1337);
  EXPECT_EQ(group(chord(Signature(header), identity.s())).delay().join(20s), (Array{Value(expected)}));
}

TEST_P(GroupFlows, AChordWithAChainAsItsBody) {
  EXPECT_EQ(group(chord(group(same.si(42)), chain(list.s()))).delay().join(10s), (Array{Value(Array{42})}));
  EXPECT_EQ(group(chord(group(same.si(42)), chain(list.s(), list.s()))).delay().join(10s), (Array{Value(Array{42})}));
}

// --- Callbacks and errbacks ------------------------------------------------------------------------------

TEST_P(GroupFlows, TheCallbackIsCalledOnce) {
  auto both = group(same.si(42), same.si(1337));
  both.link(note.si("called"));
  EXPECT_EQ(both.delay().get(10s), (Numbers{42, 1337}));
  EXPECT_THAT(all_notes(1), ElementsAre("called"));
}

TEST_P(GroupFlows, TheErrbackIsCalledWhicheverMemberFails) {
  for (const bool is_first : {true, false}) {
    auto both = is_first ? group(Signature(boom.s(1)), Signature(same.s(42)))
                         : group(Signature(same.s(42)), Signature(boom.s(1)));
    both.link_error(note_id.s());
    const auto result = both.delay();
    EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
    EXPECT_THAT(notes.lines(is_first ? 1 : 2), Contains("failed " + result.results()[is_first ? 0 : 1].id()));
  }
  EXPECT_THAT(all_notes(2), SizeIs(2));
}

TEST_P(GroupFlows, AnErrbackThatTakesMoreIsToldMore) {
  auto both = group(boom.s(1), same.s(42));
  both.link_error(app.signature("note_all"));
  const auto result = both.delay();
  EXPECT_THAT(notes.lines(1), ElementsAre(result.results()[0].id() + " ValueError"));
}

TEST_P(GroupFlows, TheErrbackIsCalledForEachMemberThatFails) {
  std::vector<Signature> members(8, same.si(42));
  members.insert(members.end(), 20, boom.si(1));
  auto all = group(members);
  all.link_error(note_id.s());
  const auto result = all.delay();
  EXPECT_THROW(result.get(10s), TaskFailed);
  EXPECT_THAT(result.join(10s, {.propagate = false}), SizeIs(result.size()));
  auto told = all_notes(20);
  std::sort(told.begin(), told.end());
  std::vector<std::string> failed;
  for (std::size_t i = 8; i < members.size(); ++i) failed.push_back("failed " + result.results()[i].id());
  std::sort(failed.begin(), failed.end());
  EXPECT_EQ(told, failed);
}

TEST_P(GroupFlows, ChildrenWithCallbacks) {
  const std::vector<Signature> members(20, same.si(1337).link(note.si("called")));
  EXPECT_EQ(group(members).delay().join(10s), repeated(1337, 20));
  EXPECT_THAT(all_notes(20), SizeIs(20));
}

TEST_P(GroupFlows, ChildrenWithErrbacks) {
  const std::vector<Signature> members(20, boom.si(1).link_error(note.si("called")));
  const auto result = group(members).delay();
  EXPECT_THROW(static_cast<void>(result.join(10s)), TaskFailed);
  EXPECT_THAT(result.join(10s, {.propagate = false}), SizeIs(result.size()));
  EXPECT_THAT(all_notes(20), SizeIs(20));
}

}  // namespace
}  // namespace lovage::worker
