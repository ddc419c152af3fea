// Graphs of workflows: stored once, read by pages, removed with their last holder.
#include <chrono>

#include "contract/contract.hpp"

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using broker::GraphUse;
using broker::Settlement;
using broker::SettleStatus;

class Graphs : public ContractTest {
 protected:
  void SetUp() override {
    ContractTest::SetUp();
    broker = store->broker();
  }
  void keep(const std::string& id, std::uint64_t holders, std::vector<std::string> pages = {"[1]"}) {
    const auto stored = broker->store_graph({.id = id, .pages = std::move(pages), .holders = holders}, patience());
    ASSERT_TRUE(stored) << stored.error().message;
  }
  void use(const GraphUse& graph) { ASSERT_TRUE(broker->use_graph(graph, patience())); }
  std::optional<std::string> page(const std::string& id, std::uint64_t number = 0) {
    auto text = broker->graph_page(id, number, patience());
    if (text) return std::move(*text);
    EXPECT_EQ(text.error().code, Errc::not_found) << text.error().message;
    return std::nullopt;
  }
  bool is_there(const std::string& id) { return page(id).has_value(); }
  SettleStatus settle(Worker& worker, const GraphUse& graph, const std::vector<wire::TaskMessage>& sends = {}) {
    publish(*broker, {message("1")});
    Settlement settlement;
    settlement.token = worker.take_one().token;
    settlement.graph = graph;
    settlement.sends = sends;
    return worker.settle(std::move(settlement));
  }

  std::shared_ptr<broker::Broker> broker;
};
INSTANTIATE_TEST_SUITE_P(Engines, Graphs, testing::ValuesIn(engines()), engine_name);

TEST_P(Graphs, PagesAreReadOneByOne) {
  const std::string large(std::size_t{700} << 10U, 'x');
  keep("g", 1, {"[1]", large, large, "[4,\"\u00e9\\n\"]"});
  EXPECT_EQ(page("g", 0), "[1]");
  EXPECT_EQ(page("g", 1), large);
  EXPECT_EQ(page("g", 2), large);
  EXPECT_EQ(page("g", 3), "[4,\"\u00e9\\n\"]");
  EXPECT_EQ(page("g", 4), std::nullopt);
  EXPECT_EQ(page("other"), std::nullopt);
}

TEST_P(Graphs, OneGoesWithItsLastHolder) {
  keep("g", 2, {"[1]", "[2]"});
  keep("other", 1);
  use({"g", 0, 1});
  EXPECT_TRUE(is_there("g"));
  use({"g", 2, 1});
  use({"g", 0, 1});
  EXPECT_TRUE(is_there("g"));
  use({"g", 0, 1});
  EXPECT_EQ(page("g", 0), std::nullopt);
  EXPECT_EQ(page("g", 1), std::nullopt);
  EXPECT_TRUE(is_there("other"));
}

TEST_P(Graphs, WhatIsNotThereIsNotMade) {
  use({"g", 1, 0});
  EXPECT_FALSE(is_there("g"));
  keep("g", 1);
  use({"g", 0, 1});
  EXPECT_FALSE(is_there("g"));
}

TEST_P(Graphs, SettlementsCountTheirUse) {
  keep("g", 1);
  Worker worker(*store);
  EXPECT_EQ(settle(worker, {"g", 3, 1}), SettleStatus::settled);
  EXPECT_EQ(settle(worker, {"g", 0, 2}), SettleStatus::settled);
  EXPECT_TRUE(is_there("g"));
  EXPECT_EQ(settle(worker, {"g", 1, 1}, {message("2", "elsewhere")}), SettleStatus::settled);
  EXPECT_TRUE(is_there("g"));
  EXPECT_EQ(settle(worker, {"g", 0, 1}), SettleStatus::settled);
  EXPECT_FALSE(is_there("g"));
  EXPECT_EQ(settle(worker, {"g", 1, 0}), SettleStatus::settled);
  EXPECT_FALSE(is_there("g"));
}

TEST_P(Graphs, AContinuationHoldsIt) {
  keep("g", 1);
  publish(*broker, {message("1")});
  Worker worker(*store);
  Settlement settlement;
  settlement.token = worker.take_one().token;
  settlement.disposal = broker::Disposal::carry_on;
  settlement.continuation = "text";
  settlement.graph = GraphUse{"g", 2, 0};
  const Token token = settlement.token;
  EXPECT_EQ(worker.settle(settlement), SettleStatus::carries_on);
  EXPECT_TRUE(is_there("g"));
  Settlement last;
  last.token = token;
  last.graph = GraphUse{"g", 0, 3};
  EXPECT_EQ(worker.settle(last), SettleStatus::settled);
  EXPECT_FALSE(is_there("g"));
}

TEST_P(Graphs, AFencedSettlementCountsNothing) {
  keep("g", 1);
  publish(*broker, {message("1")});
  Worker worker(*store);
  Settlement settlement;
  settlement.token = worker.take_one().token;
  EXPECT_EQ(worker.settle(settlement), SettleStatus::settled);
  settlement.graph = GraphUse{"g", 0, 1};
  EXPECT_EQ(worker.settle(settlement), SettleStatus::fenced);
  EXPECT_TRUE(is_there("g"));
}

TEST_P(Graphs, AFailedSettlementCountsNothing) {
  keep("g", 1);
  Worker worker(*store);
  wire::TaskMessage nowhere = message("2");
  nowhere.exchange = "bound to nothing";
  EXPECT_EQ(settle(worker, {"g", 0, 1}, {nowhere}), SettleStatus::failed);
  EXPECT_TRUE(is_there("g"));
}

}  // namespace
}  // namespace lovage::contract
