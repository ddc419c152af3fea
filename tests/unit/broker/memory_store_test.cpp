// What the contract suite cannot move or see: the clock, what the store holds, who is woken.
#include <gmock/gmock.h>

#include <lovage/states.hpp>

#include "broker/memory/store.hpp"
#include "support/manual_clock.hpp"

namespace lovage::broker::memory {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

wire::TaskMessage message(const std::string& id, const std::string& queue = "q") {
  wire::TaskMessage message;
  message.task = "tasks.add";
  message.id = id;
  message.routing_key = queue;
  return message;
}

std::vector<std::string> ids_of(const std::vector<Delivery>& deliveries) {
  std::vector<std::string> ids;
  for (const auto& delivery : deliveries) ids.push_back(delivery.message->id);
  return ids;
}

class MemoryStoreTest : public testing::Test {
 protected:
  // A worker whose bell is counted.
  struct Worker {
    WorkerId id;
    std::shared_ptr<Bell> bell;
    std::shared_ptr<int> rings = std::make_shared<int>(0);
  };
  Worker add_worker(const std::string& incarnation = "one") {
    Worker worker;
    worker.bell = std::make_shared<Bell>(loop, [rings = worker.rings] { ++*rings; });
    worker.id = store.add_worker(IncarnationId(incarnation), "celery@test", worker.bell);
    wire::QueueDeclaration queue;
    queue.name = "q";
    store.add_queue(worker.id, queue);
    return worker;
  }
  Reserved reserve(const Worker& worker, std::size_t messages = 10) {
    return store.reserve(worker.id, {.messages = messages, .bytes = 1u << 20});
  }
  SettleStatus settle(const Worker& worker, Settlement settlement) {
    std::vector<Work> works;
    works.emplace_back(std::move(settlement));
    return store.carry_out(worker.id, works).front();
  }
  SettleStatus schedule(const Worker& worker, const Delivery& delivery, std::chrono::milliseconds delay) {
    Settlement later;
    later.token = delivery.token;
    later.disposal = Disposal::schedule;
    later.due.delay = delay;
    return settle(worker, std::move(later));
  }
  void publish(const std::vector<wire::TaskMessage>& messages) {
    for (const auto& outcome : store.publish(messages)) ASSERT_TRUE(outcome) << outcome.error().message;
  }
  std::vector<std::string> queue_names() {
    std::vector<std::string> names;
    for (const auto& info : store.queues({})) names.push_back(info.name);
    return names;
  }
  // What was posted is called.
  void turn_loop() {
    loop.post([this] { loop.stop(); });
    loop.run();
  }

  test::ManualClock clock;
  net::Loop loop;
  Store store{"test", {60s, &clock}};
};

TEST_F(MemoryStoreTest, ABellRingsOnceForWhoWaitsAndNotForOthers) {
  const Worker waiting = add_worker("waiting");
  const Worker busy = add_worker("busy");
  EXPECT_THAT(reserve(waiting).deliveries, IsEmpty());
  publish({message("elsewhere", "other")});
  turn_loop();
  EXPECT_EQ(*waiting.rings, 0);
  publish({message("1"), message("2")});
  publish({message("3")});
  turn_loop();
  EXPECT_EQ(*waiting.rings, 1);
  EXPECT_EQ(*busy.rings, 0) << "it did not look, so it looks when it has room";
  EXPECT_THAT(ids_of(reserve(waiting).deliveries), ElementsAre("1", "2", "3"));
}

TEST_F(MemoryStoreTest, ABellThatIsSilentIsNotAnswered) {
  const Worker worker = add_worker();
  reserve(worker);
  publish({message("1")});
  worker.bell->silence();
  turn_loop();
  publish({message("2")});
  turn_loop();
  EXPECT_EQ(*worker.rings, 0);
}

TEST_F(MemoryStoreTest, WhatIsDueComesWhenTheClockSaysSo) {
  const Worker worker = add_worker();
  publish({message("1")});
  const auto delivery = reserve(worker).deliveries.at(0);
  EXPECT_EQ(schedule(worker, delivery, 1h), SettleStatus::settled);
  const auto nothing = reserve(worker);
  EXPECT_THAT(nothing.deliveries, IsEmpty());
  EXPECT_EQ(nothing.next_due, clock.now() + 1h);
  clock.advance(1h - 1ms);
  EXPECT_THAT(reserve(worker).deliveries, IsEmpty());
  clock.advance(1ms);
  store.clock_moved();
  turn_loop();
  EXPECT_EQ(*worker.rings, 1);
  EXPECT_THAT(ids_of(reserve(worker).deliveries), ElementsAre("1"));
}

TEST_F(MemoryStoreTest, ALostWorkerIsWokenToLearnIt) {
  const Worker lost = add_worker("lost");
  publish({message("1")});
  const auto delivery = reserve(lost).deliveries.at(0);
  const Worker sweeper = add_worker("sweeper");
  reserve(sweeper);
  EXPECT_FALSE(store.sweep({IncarnationId("lost"), 1})) << "its counter has moved on";
  ASSERT_TRUE(store.sweep({IncarnationId("lost"), 0}));
  turn_loop();
  EXPECT_EQ(*lost.rings, 1);
  EXPECT_EQ(*sweeper.rings, 1) << "there is a message for it";
  EXPECT_TRUE(reserve(lost).lost);
  Settlement late;
  late.token = delivery.token;
  EXPECT_EQ(settle(lost, std::move(late)), SettleStatus::fenced);
}

TEST_F(MemoryStoreTest, AContinuationWakesWhoDoesNotListenAndGoesToNoneThatIsToTakeNothing) {
  const Worker leaving = add_worker("leaving");
  const Worker busy = add_worker("busy");
  publish({message("1")});
  Settlement carries_on;
  carries_on.token = reserve(leaving).deliveries.at(0).token;
  carries_on.disposal = Disposal::carry_on;
  carries_on.continuation = "text";
  ASSERT_EQ(settle(leaving, std::move(carries_on)), SettleStatus::carries_on);
  store.remove_worker(leaving.id);
  turn_loop();
  EXPECT_EQ(*busy.rings, 1);
  EXPECT_THAT(store.reserve(busy.id, {.messages = 1, .bytes = 100}).deliveries, IsEmpty());
  const auto adopted = store.reserve(busy.id, {.adopts = true}).deliveries;
  ASSERT_THAT(adopted, SizeIs(1));
  EXPECT_EQ(adopted[0].bytes, "text");
  EXPECT_FALSE(store.wait_until_idle(Deadline::after(0ms))) << "it is held";
}

TEST_F(MemoryStoreTest, ManyReturnedMessagesStandWhereTheyStood) {
  std::vector<wire::TaskMessage> messages;
  std::vector<std::string> ids;
  for (int i = 100; i < 200; ++i) {
    ids.push_back(std::to_string(i));
    messages.push_back(message(ids.back()));
  }
  publish(messages);
  const Worker one = add_worker("one");
  const Worker two = add_worker("two");
  for (int i = 0; i < 20; ++i) {
    reserve(one, 3);
    reserve(two, 2);
  }
  store.remove_worker(two.id);
  store.remove_worker(one.id);
  EXPECT_EQ(ids_of(reserve(add_worker("three"), 100).deliveries), ids);
}

TEST_F(MemoryStoreTest, AnUndeclaredQueueIsForgottenWithItsLastMessage) {
  publish({message("1", "fresh"), message("2", "purged")});
  EXPECT_THAT(queue_names(), ElementsAre("fresh", "purged"));
  EXPECT_EQ(store.purge("purged"), 1U);
  EXPECT_EQ(store.purge("fresh"), 1U);
  EXPECT_THAT(queue_names(), IsEmpty());
  add_worker();
  EXPECT_THAT(queue_names(), ElementsAre("q")) << "declared";
}

TEST_F(MemoryStoreTest, ACreditsFirstMessageComesWhateverItsSizeAndNoOther) {
  publish({message("1"), message("2")});
  const Worker worker = add_worker();
  EXPECT_THAT(store.reserve(worker.id, {.messages = 5, .bytes = 1}).deliveries, SizeIs(1));
  EXPECT_THAT(store.reserve(worker.id, {.messages = 4, .bytes = 0, .used = true}).deliveries, IsEmpty());
  EXPECT_THAT(store.reserve(worker.id, {.messages = 4, .bytes = 0}).deliveries, SizeIs(1));
}

TEST_F(MemoryStoreTest, TheSweeperIsReplacedWhenItsTimeIsUp) {
  const IncarnationId first("first");
  const IncarnationId second("second");
  EXPECT_TRUE(store.look_as_sweeper(first, 15s));
  EXPECT_FALSE(store.look_as_sweeper(second, 15s));
  clock.advance(10s);
  EXPECT_TRUE(store.look_as_sweeper(first, 15s)) << "its time starts again";
  clock.advance(14s);
  EXPECT_FALSE(store.look_as_sweeper(second, 15s));
  clock.advance(1s);
  EXPECT_TRUE(store.look_as_sweeper(second, 15s));
  EXPECT_FALSE(store.look_as_sweeper(first, 15s));
}

TEST_F(MemoryStoreTest, OneNameIsOneStoreAsLongAsItIsUsed) {
  auto one = open_store("shared", {});
  EXPECT_EQ(one, open_store("shared", {}));
  EXPECT_NE(one, open_store("other", {}));
  ASSERT_TRUE(one->publish(std::vector{message("1")}).front());
  one.reset();
  EXPECT_THAT(open_store("shared", {})->queues({}), IsEmpty());
}

class ResultTableTest : public testing::Test {
 protected:
  static StoreResult result(const std::string& id, std::string_view state = states::success) {
    return {id, std::string(state), "meta of " + id};
  }
  const Timestamp start{std::chrono::hours(24 * 365 * 50)};
  ResultTable table{60s};
};

TEST_F(ResultTableTest, AResultCanBeReadUntilItExpires) {
  EXPECT_TRUE(table.put(result("a"), start));
  EXPECT_NE(table.find("a", start + 59s), nullptr);
  EXPECT_EQ(table.find("a", start + 60s), nullptr);
}

TEST_F(ResultTableTest, AnExpiredSuccessIsReplacedByAnything) {
  table.put(result("other"), start);
  table.put(result("another"), start);
  table.put(result("a"), start);
  EXPECT_FALSE(table.put(result("a", states::started), start + 1s));
  EXPECT_TRUE(table.put(result("a", states::started), start + 61s));
  EXPECT_EQ(table.find("a", start + 61s)->state, states::started);
}

TEST_F(ResultTableTest, AReplacedResultExpiresAnew) {
  table.put(result("a", states::started), start);
  table.put(result("b"), start + 10s);
  EXPECT_TRUE(table.put(result("a"), start + 30s));
  EXPECT_EQ(table.expire(start + 70s, 10), 1U);
  EXPECT_NE(table.find("a", start + 70s), nullptr);
  EXPECT_EQ(table.find("b", start + 70s), nullptr);
}

TEST_F(ResultTableTest, NewResultsPushOutTheExpiredOnes) {
  for (int i = 0; i < 100; ++i) table.put(result("old-" + std::to_string(i)), start);
  for (int i = 0; i < 50; ++i) table.put(result("new-" + std::to_string(i)), start + 61s);
  EXPECT_EQ(table.size(), 50U);
}

TEST_F(ResultTableTest, StatesThatFollowOneAnotherTakeNoMoreRoom) {
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(table.put(result("a", "PROGRESS"), start));
  EXPECT_EQ(table.size(), 1U);
  table.forget("a");
  EXPECT_EQ(table.size(), 0U);
}

TEST_F(ResultTableTest, AKeptResultExpiresCountedFromWhenItIsLetGo) {
  table.put(result("a"), start);
  table.put(result("b"), start);
  table.keep("a", start);
  table.keep("a", start);
  table.keep("no such", start);
  EXPECT_EQ(table.expire(start + 100s, 10), 1U);
  EXPECT_NE(table.find("a", start + 100s), nullptr);
  EXPECT_FALSE(table.put(result("a", states::started), start + 100s)) << "it is still a success";
  table.let_go("a", start + 200s);
  table.let_go("no such", start + 200s);
  EXPECT_NE(table.find("a", start + 259s), nullptr);
  EXPECT_EQ(table.expire(start + 260s, 10), 1U);
  EXPECT_EQ(table.size(), 0U);
}

TEST_F(ResultTableTest, AKeptResultThatNobodyLetsGoExpiresAtLast) {
  table.put(result("a"), start);
  table.keep("a", start + 10s);
  EXPECT_NE(table.find("a", start + kChordLasts + 69s), nullptr);
  EXPECT_EQ(table.find("a", start + kChordLasts + 70s), nullptr);
  EXPECT_EQ(table.expire(start + kChordLasts + 70s, 10), 1U);
  EXPECT_EQ(table.size(), 0U);
}

TEST_F(ResultTableTest, AKeptResultThatIsStoredAnewExpires) {
  table.put(result("a", states::started), start);
  table.keep("a", start);
  EXPECT_TRUE(table.put(result("a"), start + 100s));
  EXPECT_EQ(table.find("a", start + 160s), nullptr);
  table.keep("a", start + 150s);
  table.forget("a");
  EXPECT_EQ(table.size(), 0U);
}

TEST_F(ResultTableTest, WhatIsLetGoTwiceExpiresCountedFromTheLastTime) {
  table.put(result("a"), start);
  table.let_go("a", start + 30s);
  table.let_go("a", start + 50s);
  EXPECT_NE(table.find("a", start + 109s), nullptr);
  EXPECT_EQ(table.find("a", start + 110s), nullptr);
}

// What is said of chords is in the contract suite: here is what becomes of what has expired.
TEST(ChordTableTest, WhatHasExpiredIsRemovedAndWhatLivesIsNot) {
  const Timestamp start{std::chrono::hours(24 * 365 * 50)};
  ChordTable table{60s};
  for (int i = 0; i < 10; ++i) {
    table.extend("without a size " + std::to_string(i), start);
    table.save_group("saved " + std::to_string(i), "text", start);
  }
  table.start({"lives", 2}, start);
  table.save_group("lives", "text", start);
  EXPECT_EQ(table.size(), 22U);
  table.expire(start + 60s);
  EXPECT_EQ(table.size(), 2U);
  table.end("lives", start + 100s);
  EXPECT_EQ(table.size(), 1U);
  table.expire(start + 160s);
  EXPECT_EQ(table.size(), 0U);
}

TEST(ChordTableTest, OneWithoutASizeExpiresCountedFromTheLastWord) {
  const Timestamp start{std::chrono::hours(24 * 365 * 50)};
  ChordTable table{60s};
  table.count({.group_id = "g", .parts = {{0, "a", "text of a"}}, .continuation = {}}, start);
  table.extend("g", start + 50s);
  EXPECT_THAT(table.parts("g", "", 10, start + 109s).texts, SizeIs(1));
  EXPECT_THAT(table.parts("g", "", 10, start + 110s).texts, IsEmpty());
}

TEST_F(ResultTableTest, ResultsThatNeverExpireStay) {
  ResultTable forever{0s};
  forever.put(result("a"), start);
  EXPECT_EQ(forever.expire(start + std::chrono::hours(100'000), 10), 0U);
  EXPECT_NE(forever.find("a", start + std::chrono::hours(100'000)), nullptr);
}

}  // namespace
}  // namespace lovage::broker::memory
