// What becomes of a chord when a task of its header or of its body fails, and who is told, on every engine. Celery:
// t/integration/test_canvas.py, the errors among test_chord.
#include "component/canvas/workflow_rig.hpp"

#include <algorithm>
#include <array>

namespace lovage::worker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

class ChordErrors : public WorkflowOn {
 protected:
  // Both styles of errbacks: one that is sent the id, and one that the worker tells all.
  static constexpr std::array<const char*, 2> kErrbacks = {"note_id", "note_all"};
  static std::string told(const std::string& errback, const std::string& id, const std::string& type) {
    return errback == "note_id" ? "failed " + id : id + " " + type;
  }

  TypedWorkflow<std::int64_t> chain_that_fails_early() { return chain(same.si(42), boom.s(), same.si(42)); }
  TypedWorkflow<std::int64_t> chain_that_fails_at_its_end() { return chain(same.si(42), boom.s()); }

  // A header of `member`, which fails: so does the body, and each errback of the chord is told once, of the body.
  void expect_a_failed_header(const Signature& member);
  // A body that fails: the errbacks are told once, of the task that failed, so many results before the last.
  void expect_a_failed_body(const Signature& body, int results_before_the_last);

  // What was noted since the last look, once there is so much of it and nothing else is to come.
  std::vector<std::string> new_notes(std::size_t count) {
    auto all = all_notes(seen_ + count);
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(seen_));
    seen_ += all.size();
    return all;
  }

 private:
  std::size_t seen_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Engines, ChordErrors, engines(), engine_name);

void ChordErrors::expect_a_failed_header(const Signature& member) {
  for (const std::string errback : kErrbacks) {
    auto flow = chord(group(member), identity.s());
    flow.link_error(app.signature(errback));
    const auto result = flow.delay();
    EXPECT_THAT([&] { result.get(10s); },
                ThrowsMessage<TaskFailed>(AllOf(HasSubstr("ChordError"), HasSubstr("ValueError('boom')"))));
    EXPECT_THAT(new_notes(1), ElementsAre(told(errback, result.id(), "ChordError"))) << errback;
  }
}

void ChordErrors::expect_a_failed_body(const Signature& body, int results_before_the_last) {
  for (const std::string errback : kErrbacks) {
    auto flow = chord(group(same.si(42)), body);
    flow.link_error(app.signature(errback));
    const auto result = flow.delay();
    EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
    ResultHandle failed = result;
    for (int i = 0; i < results_before_the_last; ++i) failed = failed.parent().value();
    EXPECT_THAT(new_notes(1), ElementsAre(told(errback, failed.id(), "ValueError"))) << errback;
  }
}

TEST_P(ChordErrors, OfASimpleHeaderTask) {
  expect_a_failed_header(boom.si(1));
}
TEST_P(ChordErrors, OfASimpleBody) {
  expect_a_failed_body(boom.si(1), 0);
}
TEST_P(ChordErrors, OfAChainInTheHeaderBeforeItsEnd) {
  expect_a_failed_header(chain_that_fails_early());
}
TEST_P(ChordErrors, OfABodyThatIsAChainBeforeItsEnd) {
  expect_a_failed_body(chain_that_fails_early(), 1);
}
TEST_P(ChordErrors, OfAChainInTheHeaderAtItsEnd) {
  expect_a_failed_header(chain_that_fails_at_its_end());
}
TEST_P(ChordErrors, OfABodyThatIsAChainAtItsEnd) {
  expect_a_failed_body(chain_that_fails_at_its_end(), 0);
}
TEST_P(ChordErrors, OfAGroupInTheHeader) {
  expect_a_failed_header(group(same.si(42), boom.si(1)));
}

TEST_P(ChordErrors, OfAGroupAtTheEndOfAChainInTheHeader) {
  expect_a_failed_header(chain(same.si(42), group(same.s(), boom.s())));
}

TEST_P(ChordErrors, OfABodyThatIsAGroup) {
  for (const std::string errback : kErrbacks) {
    auto flow = chord(group(same.si(42)), group(same.si(42), boom.si(1)));
    flow.link_error(app.signature(errback));
    const auto result = flow.delay();
    EXPECT_THAT([&] { result.get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
    EXPECT_THAT(new_notes(1), ElementsAre(told(errback, result.results()[1].id(), "ValueError"))) << errback;
  }
}

TEST_P(ChordErrors, ManyFailuresInTheHeaderAreToldOnce) {
  std::vector<Signature> members(8, same.si(42));
  members.insert(members.end(), 20, boom.si(1));
  expect_a_failed_header(group(members));
}

TEST_P(ChordErrors, EachFailureInABodyThatIsAGroupIsTold) {
  std::vector<Signature> members(8, same.si(42));
  members.insert(members.end(), 20, boom.si(1));
  for (const std::string errback : kErrbacks) {
    auto flow = chord(group(same.si(42)), group(members));
    flow.link_error(app.signature(errback));
    const auto result = flow.delay();
    EXPECT_THROW(static_cast<void>(result.join(10s)), TaskFailed);
    EXPECT_THAT(result.join(10s, {.propagate = false}), SizeIs(28));
    std::vector<std::string> expected;
    for (std::size_t i = 8; i < 28; ++i) expected.push_back(told(errback, result.results()[i].id(), "ValueError"));
    EXPECT_THAT(new_notes(expected.size()), ::testing::UnorderedElementsAreArray(expected)) << errback;
  }
}

TEST_P(ChordErrors, OfANestedChordsHeaderAreToldOnceAndTheBodyDoesNotRun) {
  const auto inner = chord(group(same.si(1), boom.si(1)), same.si(2));
  auto flow = chord(group(same.si(3), inner), note.si("the body"));
  flow.link_error(note_id.s());
  const auto result = flow.delay();
  EXPECT_THROW(result.get(10s), TaskFailed);
  EXPECT_THAT(new_notes(1), ElementsAre("failed " + result.id()));
}

TEST_P(ChordErrors, HeaderTasksMayHaveErrbacksOfTheirOwn) {
  const auto member = boom.si(1).link_error(note.si("header"));
  const auto flow = chord(group(member, same.si(42), member), note.si("the body").link_error(note.si("body")));
  EXPECT_THROW(flow.delay().get(10s), TaskFailed);
  EXPECT_THAT(new_notes(3), UnorderedElementsAre("header", "header", "body"));
}

// --- Bodies of every form, and nested ones ---------------------------------------------------------------

TEST_P(ChordErrors, ReachBodiesOfEveryForm) {
  const auto header = group(add.si(15, 7), boom.si(1));
  EXPECT_THROW((header | add.si(9, 7)).delay().get(10s), TaskFailed);
  EXPECT_THROW((header | chain(add.si(9, 7), add.si(5, 7))).delay().get(10s), TaskFailed);
  EXPECT_THROW((header | chord(group(add.si(1, 1), add.si(2, 2)), add.si(10, 10))).delay().get(10s), TaskFailed);
  const auto several = (header | group(add.si(9, 7), add.si(5, 7))).delay();
  EXPECT_THROW(several.get(10s), TaskFailed);
  for (const auto& one : several.results()) EXPECT_EQ(one.state(), "FAILURE");
}

TEST_P(ChordErrors, InANestedChainEndTheOuterOne) {
  const auto flow = chain(chain(group(add.si(1, 1), boom.si(1)), identity.s()), identity.s());
  EXPECT_THAT([&] { flow.delay().get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
}

TEST_P(ChordErrors, OfAChainWithAChordInTheHeaderReachTheBody) {
  const auto member = chain(boom.si(1), group(same.si(2), same.si(3)), same.si(4));
  const auto flow = chain(group(same.si(1), member), identity.s());
  EXPECT_THAT([&] { flow.delay().get(10s); }, ThrowsMessage<TaskFailed>(HasSubstr("boom")));
}

// --- task_allow_error_cb_on_chord_header -----------------------------------------------------------------

class ChordErrbacksOnHeaders : public ChordErrors {
 protected:
  ChordErrbacksOnHeaders() { app.config().task_allow_error_cb_on_chord_header = true; }

  // Headers of `failures` tasks that fail and some that do not, as Celery's test has them.
  struct Row {
    std::vector<Signature> header;
    std::size_t failures;
  };
  std::vector<Row> rows() {
    const Signature bad = boom.si(1);
    const Signature good = same.si(42);
    return {{{bad}, 1},
            {{bad, bad, bad}, 3},
            {{bad, good}, 1},
            {{bad, good, good}, 1},
            {{bad, good, bad}, 2},
            {{bad, good, bad, good}, 2},
            {{bad, good, bad, good, bad}, 3}};
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, ChordErrbacksOnHeaders, engines(), engine_name);

TEST_P(ChordErrbacksOnHeaders, AreToldOfEachHeaderTaskThatFailsAndOfTheBody) {
  for (const auto& [header, failures] : rows()) {
    auto flow = chord(header, note.si("the body"));
    flow.link_error(note_id.s());
    const auto result = flow.delay();
    EXPECT_THROW(result.get(10s), TaskFailed);
    const auto found = new_notes(failures + 1);
    EXPECT_THAT(found, SizeIs(failures + 1));
    EXPECT_EQ(std::count(found.begin(), found.end(), "failed " + result.id()), 1);
  }
}

TEST_P(ChordErrbacksOnHeaders, AreToldOfAGroupThatAChainMadeAHeader) {
  for (const auto& [header, failures] : rows()) {
    auto flow = chain(group(header), note.si("the body"));
    flow.link_error(note_id.s());
    EXPECT_THROW(flow.delay().get(10s), TaskFailed);
    EXPECT_THAT(new_notes(failures + 1), SizeIs(failures + 1));
  }
}

TEST_P(ChordErrbacksOnHeaders, AreToldInTheMiddleOfAChain) {
  auto flow = chain(same.si(42), group(boom.si(1), boom.si(1)), note.si("the body"));
  flow.on_error(note_id.s());
  EXPECT_THROW(flow.delay().get(10s), TaskFailed);
  EXPECT_THAT(new_notes(3), SizeIs(3));
}

class ChordErrbacksOnBodiesAlone : public ChordErrbacksOnHeaders {
 protected:
  ChordErrbacksOnBodiesAlone() { app.config().task_allow_error_cb_on_chord_header = false; }
};
INSTANTIATE_TEST_SUITE_P(Engines, ChordErrbacksOnBodiesAlone, engines(), engine_name);

TEST_P(ChordErrbacksOnBodiesAlone, AreToldOnceWhateverFailsInTheHeader) {
  for (const auto& [header, failures] : rows()) {
    auto flow = chord(header, note.si("the body"));
    flow.link_error(note_id.s());
    const auto result = flow.delay();
    EXPECT_THROW(result.get(10s), TaskFailed);
    EXPECT_THAT(new_notes(1), ElementsAre("failed " + result.id())) << failures;
  }
}

}  // namespace
}  // namespace lovage::worker
