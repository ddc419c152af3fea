// Workflows through whole workers, on every engine: every form at least once. Where a case is one of Celery's own
// integration tests, it has its name there; docs/canvas_coverage.md lists them all.
#include "component/canvas/workflow_rig.hpp"

namespace lovage::worker {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

INSTANTIATE_TEST_SUITE_P(Engines, WorkflowOn, engines(), engine_name);

// --- Chains ----------------------------------------------------------------------------------------------

TEST_P(WorkflowOn, SimpleAndComplexChains) {
  EXPECT_EQ(chain(add.s(4, 4), add.s(8), add.s(16)).delay().get(10s), 32);
  EXPECT_EQ(chain(add.s(3, 4)).delay().get(10s), 7);
  const auto flow =
      add.s(2, 2) | chain(add.s(4), add.s(8), add.s(16), add.s(32)) | group(add.s(0), add.s(1), add.s(2), add.s(3));
  EXPECT_EQ(flow.delay().get(10s), (Numbers{64, 65, 66, 67}));
}

TEST_P(WorkflowOn, ChainInsideGroupReceivesArguments) {
  EXPECT_EQ((add.s(5, 6) | group(chain(add.s(1), add.s(2)), add.s(3))).delay().get(10s), (Numbers{14, 14}));
}

TEST_P(WorkflowOn, ParentIds) {
  const auto result = chain(ids.si(1), ids.si(2), ids.si(3)).delay();
  const auto found = result.get(10s);
  EXPECT_EQ(found[0], result.parent()->parent()->id());
  EXPECT_EQ(found[1], result.parent()->id());
}

TEST_P(WorkflowOn, ChainOfChords) {
  const auto flow =
      chain(group(add.s(1, 1), add.s(2, 2)), total.s(), group(add.s(10), add.s(20)), total.s(), add.s(1000));
  EXPECT_EQ(flow.delay().get(10s), 1042);
}

TEST_P(WorkflowOn, ChainOfNineChords) {
  auto flow = group(add.s(1, 1), add.s(1, 1)) | total.s();
  for (int i = 0; i < 8; ++i) flow = flow | group(add.s(0), add.s(0)) | total.s();
  EXPECT_EQ(flow.delay().get(20s), 4 * 256);
}

TEST_P(WorkflowOn, AnErrorInAChainStopsItAndIsToldOnce) {
  auto flow = chain(add.s(1, 2), boom.s(), add.s(4));
  flow.link_error(note_id.s());
  const auto result = flow.delay();
  EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT([&] { result.parent()->get_value(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
  EXPECT_THAT(notes.lines(1), ElementsAre("failed " + result.parent()->id()));
}

TEST_P(WorkflowOn, AnErrbackThatTakesMoreIsToldMore) {
  auto flow = chain(boom.s(1), add.s(4));
  flow.link_error(app.signature("note_all"));
  const auto result = flow.delay();
  EXPECT_THAT(notes.lines(1), ElementsAre(result.parent()->id() + " ValueError"));
}

TEST_P(WorkflowOn, LinksOfSinglesAndOfWorkflowsAreCalled) {
  auto flow = chain(note.s("first").link(note.si("after first")), note.si("second"));
  flow.link(note.si("after all"));
  flow.delay().get(10s);
  EXPECT_THAT(notes.lines(4), UnorderedElementsAre("first", "after first", "second", "after all"));
}

// One callback for either end: note_either is told the result, or the id of what failed.
TEST_P(WorkflowOn, OnCompleteIsCalledOnceForEachEnd) {
  const auto succeeded = chain(add.s(1, 2), add.s(4)).on_complete(note_either.s()).delay();
  EXPECT_EQ(succeeded.get(10s), 7);
  EXPECT_THAT(notes.lines(1), ElementsAre("7"));
  const auto failed = chain(boom.s(1), add.s(4)).on_complete(note_either.s()).delay();
  EXPECT_THAT(notes.lines(2), ElementsAre("7", "\"" + failed.parent()->id() + "\""));
  const auto joined = chord(group(same.s(1), boom.s(2), boom.s(3)), total.s()).on_complete(note_either.s()).delay();
  EXPECT_THAT(notes.lines(3), Contains("\"" + joined.id() + "\""));
  const auto each = group(same.s(5), boom.s(6)).on_complete(note_either.s()).delay();
  const auto lines = all_notes(5);
  EXPECT_THAT(lines, SizeIs(5));
  EXPECT_THAT(lines, IsSupersetOf({std::string("5"), "\"" + each.results()[1].id() + "\""}));
}

// --- Groups ----------------------------------------------------------------------------------------------

TEST_P(WorkflowOn, NestedGroup) {
  const auto result = group(add.s(1, 10), group(add.s(1, 100), group(add.s(1, 1000), add.s(1, 2000)))).delay();
  EXPECT_EQ(result.join(10s), (Array{11, 101, 1001, 2001}));
  EXPECT_TRUE(result.successful());
  EXPECT_EQ(result.completed_count(), 4U);
}

TEST_P(WorkflowOn, AGroupInAGroupsChainKeepsItsPlace) {
  const auto result = group(same.s(1), same.s(2), chain(same.si(5), group(same.si(3), same.si(4)))).delay();
  EXPECT_EQ(result.join(10s), (Array{1, 2, Array{3, 4}}));
}

TEST_P(WorkflowOn, AGroupIsFoundByItsIdFromElsewhere) {
  const auto result = group(same.s(1), same.s(2)).delay();
  result.save();
  EXPECT_EQ(app.group_result(result.id()).value().join(10s), (Array{1, 2}));
}

TEST_P(WorkflowOn, LargeGroup) {
  std::vector<TypedSignature<std::int64_t()>> members;
  for (std::int64_t i = 0; i < 300; ++i) members.push_back(same.s(i));
  const auto results = group(members).delay().get(20s);
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i], static_cast<std::int64_t>(i));
}

// --- Chords ----------------------------------------------------------------------------------------------

TEST_P(WorkflowOn, SimpleChordInTheOrderOfItsHeader) {
  std::vector<TypedSignature<std::int64_t()>> header;
  Numbers expected;
  for (std::int64_t i = 0; i < 40; ++i) {
    header.push_back(same.s(i));
    expected.push_back(i);
  }
  const auto result = chord(header, list.s()).delay();
  EXPECT_EQ(result.get(10s), expected);
  EXPECT_TRUE(parent_group(result).value().successful());
  expect_no_chords_left();
}

TEST_P(WorkflowOn, ChordsOfOneAndOfNone) {
  EXPECT_EQ(chord(group(same.s(7)), list.s()).delay().get(10s), (Numbers{7}));
  EXPECT_EQ(chord(std::vector<TypedSignature<std::int64_t()>>{}, list.s()).delay().get(10s), (Numbers{}));
}

TEST_P(WorkflowOn, ChordInChainWithArgs) {
  EXPECT_EQ(chain(same.s(3), chord(group(add.s(1), add.s(2)), total.s())).delay().get(10s), 9);
}

TEST_P(WorkflowOn, NestedChordsAndChainsInHeaders) {
  const auto inner =
      chord(group(chain(same.si(1), same.si(2)), chain(same.si(3), same.si(4))), chain(total.s(), add.s(100)));
  const auto flow = chord(group(inner, chain(same.si(5), add.s(6))), total.s());
  EXPECT_EQ(flow.delay().get(10s), 117);
}

TEST_P(WorkflowOn, ChordInAChordsHeaderAndBody) {
  const auto inner = chord(group(same.s(1), same.s(2)), total.s());
  EXPECT_EQ(chord(group(inner, same.s(10)), total.s()).delay().get(10s), 13);
  const auto body = chain(list.s(), chord(group(total.s(), total.s()), total.s()));
  EXPECT_EQ(chord(group(same.s(1), same.s(2)), body).delay().get(10s), 6);
}

TEST_P(WorkflowOn, ABodyThatIsAGroup) {
  EXPECT_EQ(chord(group(same.s(1), same.s(2)), group(total.s(), total.s())).delay().get(10s), (Numbers{3, 3}));
}

TEST_P(WorkflowOn, RetriesInAHeader) {
  EXPECT_EQ(chord(group(flaky.s(1), same.s(2)), total.s()).delay().get(20s), 3);
}

TEST_P(WorkflowOn, IgnoredResultsStillReachTheBody) {
  auto silent = same.s(5);
  silent.set({.ignore_result = true});
  EXPECT_EQ(chord(group(silent, same.s(2)), total.s()).delay().get(10s), 7);
}

TEST_P(WorkflowOn, ErrorPropagatesFromTheHeaderToTheBody) {
  const auto result = chord(group(same.s(1), boom.s(2)), total.s().link_error(note_id.s())).delay();
  EXPECT_THAT([&] { result.get(10s); },
              ThrowsMessage<TaskFailed>(AllOf(HasSubstr("ChordError"), HasSubstr("ValueError('boom')"),
                                              HasSubstr(parent_group(result)->results()[1].id()))));
  EXPECT_THAT(notes.lines(1), ElementsAre("failed " + result.id()));
}

TEST_P(WorkflowOn, AnErrorInAGroupThatIsAStepOfAChainIsToldOnce) {
  auto flow = chain(same.s(1), group(boom.s(), add.s(1)), total.s(), add.s(1));
  flow.link_error(note_id.s());
  const auto result = flow.delay();
  EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("ValueError('boom')")));
  EXPECT_THAT(all_notes(1), ElementsAre("failed " + result.id()));
}

TEST_P(WorkflowOn, ErrorPropagatesFromAChainInTheHeader) {
  const auto head = chord(group(chain(boom.s(1), same.s()), same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { head.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("ValueError('boom')")));
  const auto tail = chord(group(chain(same.s(1), boom.s()), same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { tail.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("ValueError('boom')")));
}

TEST_P(WorkflowOn, ErrorPropagatesThroughAnInnerChord) {
  const auto inner = chord(group(boom.s(1), same.s(1)), total.s());
  const auto result = chord(group(inner, same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("ChordError")));
}

TEST_P(WorkflowOn, AnExpiredOrIgnoredPartFailsTheBodyInsteadOfHangingIt) {
  auto late = same.s(1);
  late.set({.expires = std::chrono::system_clock::now() - 1s});
  const auto expired = chord(group(late, same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { expired.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("expired")));
  const auto ignored = chord(group(skip.s(1), same.s(1)), total.s()).delay();
  EXPECT_THAT([&] { ignored.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("Ignore")));
}

TEST_P(WorkflowOn, ParallelChords) {
  std::vector<TypedSignature<std::int64_t()>> chords;
  for (std::int64_t i = 0; i < 10; ++i) chords.push_back(chord(group(add.s(i, 1), add.s(i, 2)), total.s()));
  const auto sums = group(chords).delay().get(20s);
  for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i], 2 * static_cast<std::int64_t>(i) + 3);
}

TEST_P(WorkflowOn, AHeaderOfThousandsIsJoinedOnce) {
  std::vector<TypedSignature<std::int64_t()>> header;
  for (std::int64_t i = 0; i < 2'000; ++i) header.push_back(same.s(i));
  EXPECT_EQ(chord(header, total.s()).delay().get(30s), 1'999'000);
}

TEST_P(WorkflowOn, AFanOutOfThousandsIsSentInPieces) {
  std::vector<ImmutableSignature<std::int64_t>> members;
  for (std::int64_t i = 0; i < 6'000; ++i) members.push_back(same.si(i));
  app.config().workflow_max_bytes = 16U << 20U;
  EXPECT_THAT(chain(same.s(1), group(members)).delay().get(60s), SizeIs(6'000));
}

// --- Replaced and added ----------------------------------------------------------------------------------

TEST_P(WorkflowOn, ReplacedWithAChainAGroupAndInAHeader) {
  EXPECT_EQ(replace_with.s(chain(same.si(20), add.s(22)).to_value()).delay().get(10s), 42);
  const auto within = chain(same.si(1), replace_with.si(chain(same.si(40), add.s(1)).to_value()), add.s(1));
  EXPECT_EQ(within.delay().get(10s), 42);
  const auto header = chord(group(replace_with.s(chain(same.si(40), add.s(1)).to_value()), same.s(1)), total.s());
  EXPECT_EQ(header.delay().get(10s), 42);
  const auto grouped = app.signature("replace_with", {group(same.si(1), same.si(2)).to_value()});
  EXPECT_EQ(AsyncResult<Numbers>(grouped.delay()).get(10s), (Numbers{1, 2}));
}

TEST_P(WorkflowOn, ReplacedTwiceKeepsItsIdAndCallbacks) {
  auto call = replace_with.s(replace_with.s(note.si("there").to_value()).to_value());
  call.link(note.si("after"));
  const auto result = call.delay();
  EXPECT_EQ(result.get_value(10s), Value("there"));
  EXPECT_THAT(notes.lines(2), ElementsAre("there", "after"));
}

TEST_P(WorkflowOn, AddToChord) {
  EXPECT_EQ(chord(group(add_to_chord.s(same.si(100).to_value()), same.s(10)), total.s()).delay().get(10s), 111);
  EXPECT_THROW(add_to_chord.s(same.si(100).to_value()).delay().get(10s), TaskFailed);
}

// --- Map, starmap, chunks --------------------------------------------------------------------------------

TEST_P(WorkflowOn, MapStarmapAndChunks) {
  EXPECT_EQ(map(same, {1, 2}).delay().get(10s), (Numbers{1, 2}));
  EXPECT_EQ(starmap(add, {{1, 2}, {3, 4}}).delay().get(10s), (Numbers{3, 7}));
  EXPECT_EQ(chunks(add, {{1, 1}, {2, 2}, {3, 3}}, 2).delay().get(10s), (std::vector<Numbers>{{2, 4}, {6}}));
}

}  // namespace
}  // namespace lovage::worker
