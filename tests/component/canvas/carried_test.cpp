// What signatures carry from program to program: nested workflows as results, and stamps, on every engine. Celery:
// t/integration/test_canvas.py, test_signature_serialization and test_stamping_mechanism.
#include "component/canvas/workflow_rig.hpp"

#include <array>

namespace lovage::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class CarriedFlows : public WorkflowOn {
 protected:
  // Starts the workflow that came as a value, and tells of it.
  Task<Value(Value)> start = app.task("start", [this](const Value& value) {
    const Signature flow = Signature::from_value(app.signature("start").core(), value);
    return flow.subtask_type() == "group" ? GroupSignature(flow).delay().as_tuple() : flow.delay().as_tuple();
  });
  // The results of the workflow of that tuple, as lists in each other.
  Value results_of(const Value& tuple) {
    const Array& pair = *tuple.if_array();
    if (pair[1].if_array() == nullptr) return app.result(*pair[0].if_array()->at(0).if_string()).get(10s);
    Array results;
    for (const auto& member : *pair[1].if_array()) results.push_back(results_of(member));
    return Value(std::move(results));
  }
  Value sent_and_started(const Signature& flow) {
    return results_of(chain(identity.s(flow.to_value()), start.s()).delay().get(10s));
  }

  // Writes down the stamp of the message that is run.
  Task<Value(Value)> stamped = app.task("stamped", [this](Context& self, const Value& value) {
    const Object& stamps = self.request().stamps;
    notes.add(stamps.find("stamp") != nullptr ? to_json(*stamps.find("stamp")) : "no stamp");
    return value;
  });
  Task<Value(Value)> stamped_retry = app.task(
      "stamped_retry",
      [this](Context& self, const Value& value) {
        notes.add(to_json(Value(self.request().stamps)));
        if (self.request().retries == 0) self.retry({.countdown = 0s});
        return value;
      },
      TaskOptions{.max_retries = 1});
};
INSTANTIATE_TEST_SUITE_P(Engines, CarriedFlows, engines(), engine_name);

// --- Nested workflows as values --------------------------------------------------------------------------

TEST_P(CarriedFlows, ChainsOfEveryFormTravelAsResults) {
  EXPECT_EQ(sent_and_started(chain(chain(same.s(1)))), Value(1));
  EXPECT_EQ(sent_and_started(chain(chord(group(same.s(1)), list.s()))), Value(Array{1}));
}

TEST_P(CarriedFlows, GroupsOfEveryFormTravelAsResults) {
  EXPECT_EQ(sent_and_started(group(chain(same.s(1)))), Value(Array{1}));
  EXPECT_EQ(sent_and_started(group(group(same.s(1)))), Value(Array{1}));
  EXPECT_EQ(sent_and_started(group(chord(group(same.s(1)), list.s()))), Value(Array{Value(Array{1})}));
}

TEST_P(CarriedFlows, ChordsOfEveryFormTravelAsResults) {
  EXPECT_EQ(sent_and_started(chord(group(chain(same.s(1))), list.s())), Value(Array{1}));
  EXPECT_EQ(sent_and_started(chord(group(group(same.s(1))), identity.s())), Value(Array{1}));
  EXPECT_EQ(sent_and_started(chord(group(chord(group(same.s(1)), list.s())), identity.s())),
            Value(Array{Value(Array{1})}));
}

// --- Stamps ----------------------------------------------------------------------------------------------

TEST_P(CarriedFlows, EachTaskOfAWorkflowSeesItsStamps) {
  const auto one = stamped.s(1);
  const auto next = stamped.s();
  auto flow = chord(group(one | next, chord(group(one, one), next)), chain(next, group(next, next), next));
  flow.link(next).stamp({{"stamp", 42}}).delay();
  EXPECT_EQ(all_notes(10), std::vector<std::string>(10, "42"));
}

TEST_P(CarriedFlows, AGroupThatAGroupFollowsIsStampedAsAWhole) {
  auto flow = group(add.s(1, 2) | add.s(3), add.s(4, 5) | add.s(6), same.si(21)) | group(total.s(), total.s());
  flow.link(stamped.si("link")).link_error(stamped.si("error")).stamp({{"stamp", 42}});
  EXPECT_EQ(flow.delay().get(10s), (Numbers{42, 42}));
  EXPECT_THAT(all_notes(1), ElementsAre("42"));
}

TEST_P(CarriedFlows, CallbacksAndErrbacksAreStampedWhenTheyHangThere) {
  stamped.s(1).link(stamped.si(2)).stamp({{"stamp", 1}}).delay();
  boom.si(1).link_error(stamped.si(3)).stamp({{"stamp", 2}}).delay();
  auto late = stamped.s(1);
  late.stamp({{"stamp", 3}});
  late.link(stamped.si(2)).stamp({{"stamp", 4}}).delay();  // what was stamped before keeps its stamp
  EXPECT_THAT(all_notes(5), UnorderedElementsAre("1", "1", "2", "3", "4"));
}

TEST_P(CarriedFlows, AStampMayBeAList) {
  stamped.si(1).stamp({{"stamp", Array{4, 2}}}).delay();
  EXPECT_THAT(all_notes(1), ElementsAre("[4, 2]"));
}

TEST_P(CarriedFlows, StampsRemainOnARetry) {
  stamped_retry.si(1).stamp({{"stamp", 42}}).delay().get(10s);
  EXPECT_THAT(all_notes(2), ElementsAre("{\"stamp\": 42}", "{\"stamp\": 42}"));
}

}  // namespace
}  // namespace lovage::worker
