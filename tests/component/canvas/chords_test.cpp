// Chords of every composition, on every engine. Celery: t/integration/test_canvas.py, test_chord.
#include "component/canvas/workflow_rig.hpp"

#include <algorithm>
#include <numeric>

namespace lovage::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::SizeIs;

class ChordFlows : public WorkflowOn {
 protected:
  Task<Array(Array, Value)> append = app.task("append", [](Array items, Value item) {
    items.push_back(std::move(item));
    return items;
  });
  Task<Array(Array, Value)> append_to_all = app.task("append_to_all", [](Array lists, const Value& item) {
    for (auto& one : lists) one.if_array()->push_back(item);
    return lists;
  });
  Task<std::int64_t(std::vector<Numbers>)> total_of_all =
      app.task("total_of_all", [](const std::vector<Numbers>& lists) {
        std::int64_t sum = 0;
        for (const auto& numbers : lists) sum = std::accumulate(numbers.begin(), numbers.end(), sum);
        return sum;
      });
  // What came before, and what it knows of itself.
  Task<Value(Value, std::int64_t)> collect =
      app.task("collect", [](Context& self, const Value& before, std::int64_t number) {
        const RequestInfo& request = self.request();
        return Value(Array{before, request.root_id, request.parent_id.value_or(""), number});
      });
  Task<std::int64_t(std::int64_t, std::int64_t, std::int64_t)> add3 = app.task(
      "add3", [](std::int64_t x, std::int64_t y, std::int64_t z) { return x + y + z; },
      params("x", "y", param("z") = 0));

  void expect_ids_of_a_chord(const AsyncResult<std::vector<std::string>>& last);
};
INSTANTIATE_TEST_SUITE_P(Engines, ChordFlows, engines(), engine_name);

TEST_P(ChordFlows, NestedChords) {
  const auto flow =
      chord(group(chord(group(add.s(1, 2), add.s(3, 4)), append.s(5)), chord(group(add.s(6, 7)), append.s(10))),
            append_to_all.s("A"));
  EXPECT_EQ(flow.delay().get(10s), (Array{Array{3, 7, 5, "A"}, Array{13, 10, "A"}}));
  const auto piped =
      group(group(add.s(1, 2), add.s(3, 4)) | append.s(5), group(add.s(6, 7)) | append.s(10)) | append_to_all.s("A");
  EXPECT_EQ(piped.delay().get(10s), (Array{Array{3, 7, 5, "A"}, Array{13, 10, "A"}}));
}

TEST_P(ChordFlows, GroupsOfOneNestedFourDeep) {
  const auto innermost = group(add.s(1, 2)) | append.s(3);
  const auto flow = group(group(group(innermost) | append.s(4)) | append.s(5)) | append.s(6);
  EXPECT_EQ(flow.delay().get(10s), (Array{Array{Array{Array{3, 3}, 4}, 5}, 6}));
}

TEST_P(ChordFlows, ChordsInChordsWithChains) {
  const auto member = chain(add.si(1, 2), chord(group(add.si(1, 2), add.si(1, 2)), add.si(1, 2)));
  EXPECT_EQ(chord(group(member, member), add.si(2, 2)).delay().get(10s), 4);
}

TEST_P(ChordFlows, ChainChordChainChord) {
  const auto inner = chain(same.si(3), chord(group(same.si(4), same.si(5)), same.si(6)));
  EXPECT_EQ(chain(same.si(1), chord(group(same.si(2), inner), same.si(7))).delay().get(10s), 7);
}

TEST_P(ChordFlows, AGroupAtTheEndOfAChainInAChain) {
  const auto inner = chain(add.si(1, 200), group(add.si(1, 1000), add.si(1, 2000)));
  const auto flow = chain(add.si(1, 0), group(Signature(add.si(1, 100)), Signature(inner)), add.si(1, 10));
  EXPECT_EQ(flow.delay().get(10s), 11);
}

TEST_P(ChordFlows, ArgumentsGoToEachHeaderTask) {
  const auto flow = chain(chord(group(same.s(), same.s()), list.s()), list.s());
  EXPECT_EQ(flow.delay(1).get(10s), (Numbers{1, 1}));
  EXPECT_EQ(flow.apply(1).get(10s), (Numbers{1, 1}));
}

TEST_P(ChordFlows, ArgumentsByNameGoToEachHeaderTask) {
  const auto added = [&](std::int64_t number) { return app.signature("add3", {number}); };
  const auto flow = (group(added(0), added(1), added(2)) | list.s()).clone({4});
  EXPECT_EQ(flow.apply_async({.kwargs = {{"z", 1}}}).get(10s), Value(Array{5, 6, 7}));
}

TEST_P(ChordFlows, AGroupInAHeaderIsFlat) {
  EXPECT_EQ(chord(group(group(same.s(42), same.s(42))), app.signature("list")).delay().get(10s), Value(Array{42, 42}));
}

TEST_P(ChordFlows, AGroupAtTheEndOfAHeadersChainIsOneList) {
  const auto flow = chord(group(chain(same.s(42), group(same.s(), same.s()))), total_of_all.s());
  EXPECT_EQ(flow.delay().get(10s), 84);
  const auto header = group(chain(same.s(1), group(add.s(10), add.s(20))), chain(same.s(2), group(add.s(0))),
                            chord(group(same.s(3)), group(list.s(), list.s())));
  EXPECT_EQ(chord(Signature(header), identity.s()).delay().get(10s),
            Value(Array{Array{11, 21}, Array{2}, Array{Array{3}, Array{3}}}));
  EXPECT_EQ(chain(same.s(1), group(same.s(), chain(same.s(), group(same.s()))), identity.s()).delay().get(10s),
            Value(Array{1, Array{1}}));
}

TEST_P(ChordFlows, ALargeHeaderInTheMiddleOfAChain) {
  const std::vector<TypedSignature<std::int64_t(std::int64_t)>> members(1'000, same.s());
  EXPECT_EQ((same.si(1) | group(members) | total.s()).delay().get(30s), 1'000);
}

// Nobody serves the default queue.
class ChordFlowsElsewhere : public ChordFlows {
 protected:
  ChordFlowsElsewhere() {
    app.config().task_default_queue = "nobody";
    options.queues = {"served"};
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, ChordFlowsElsewhere, engines(), engine_name);

TEST_P(ChordFlowsElsewhere, AGroupAtTheEndOfAHeadersChainIsListedWhereItsTasksGo) {
  const auto first = same.s(42).set({.queue = "served"});
  const auto member = same.s().set({.queue = "served"});
  const auto flow = chord(group(chain(first, group(member, member))), identity.s().set({.queue = "served"}));
  EXPECT_EQ(flow.delay().get(10s), Value(Array{Value(Array{42, 42})}));
}

// --- What tasks know of where they stand -----------------------------------------------------------------

void ChordFlows::expect_ids_of_a_chord(const AsyncResult<std::vector<std::string>>& last) {
  const auto body = last.parent().value();
  const auto header = parent_group(body).value();
  const auto second = header.parent().value();
  const auto root = second.parent().value();
  EXPECT_THAT(last.get(20s), ElementsAre(root.id(), body.id(), "51"));
  const Value collected = body.get_value(10s);
  const Array& of_body = *collected.if_array();
  EXPECT_EQ(of_body[1], Value(root.id()));
  EXPECT_EQ(of_body[3], Value(50));
  std::vector<std::string> members;
  for (const auto& member : header.results()) members.push_back(member.id());
  EXPECT_THAT(members, Contains(*of_body[2].if_string()));  // one of the header tasks has started it
  const Array& of_header = *of_body[0].if_array();
  ASSERT_THAT(of_header, SizeIs(47));
  for (std::size_t i = 0; i < of_header.size(); ++i)
    EXPECT_EQ(of_header[i], Value(Array{root.id(), second.id(), std::to_string(i + 3)}));
  EXPECT_EQ(second.get_value(10s), Value(Array{root.id(), root.id(), "2"}));
  EXPECT_EQ(root.get_value(10s), Value(Array{root.id(), "", "1"}));
}

TEST_P(ChordFlows, ParentIds) {
  std::vector<ImmutableSignature<std::vector<std::string>>> members;
  for (std::int64_t i = 3; i < 50; ++i) members.push_back(ids.si(i));
  expect_ids_of_a_chord(chain(ids.si(1), ids.si(2), chord(group(members), chain(collect.s(50), ids.si(51)))).delay());
  expect_ids_of_a_chord((ids.si(1) | ids.si(2) | group(members) | collect.s(50) | ids.si(51)).delay());
}

}  // namespace
}  // namespace lovage::worker
