// What a settlement does, and that it does it once.
#include "contract/contract.hpp"

#include <lovage/states.hpp>

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using broker::Disposal;
using broker::Settlement;
using broker::SettleStatus;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class Settling : public ContractTest {
 protected:
  broker::QueueInfo info(const std::string& queue = "q") {
    auto infos = store->broker()->queues(std::vector<std::string>{queue}, patience());
    if (!infos) throw std::runtime_error(infos.error().message);
    return infos->front();
  }
  std::optional<std::string> stored(const std::string& id) {
    auto meta = store->backend()->get(id, patience());
    if (!meta) throw std::runtime_error(meta.error().message);
    return *meta;
  }
  static Settlement settlement(const broker::Delivery& delivery, Disposal disposal = Disposal::acknowledge) {
    Settlement made;
    made.token = delivery.token;
    made.disposal = disposal;
    return made;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, Settling, testing::ValuesIn(engines()), engine_name);

broker::StoreResult result(const std::string& id, std::string_view state, const std::string& text) {
  return {id, std::string(state),
          R"({"status": ")" + std::string(state) + R"(", "result": ")" + text + R"(", "task_id": ")" + id + "\"}"};
}

TEST_P(Settling, AnAcknowledgedMessageIsGone) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  EXPECT_EQ(info().reserved, 1U);
  EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
  EXPECT_EQ(info().reserved + info().ready, 0U);
}

TEST_P(Settling, ASecondSettlementIsFenced) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
  auto again = settlement(delivery);
  again.results.push_back(result("1", states::success, "x"));
  again.sends.push_back(message("2"));
  EXPECT_EQ(worker.settle(std::move(again)), SettleStatus::fenced);
  EXPECT_EQ(stored("1"), std::nullopt);
  EXPECT_EQ(info().ready, 0U);
}

TEST_P(Settling, ReturnedToTheHeadItComesFirst) {
  publish(*store->broker(), {message("1"), message("2"), message("3")});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  EXPECT_EQ(worker.settle(delivery.token, Disposal::return_head), SettleStatus::settled);
  worker.credit(3);
  EXPECT_THAT(ids_of(worker.take(3)), ElementsAre("1", "2", "3"));
}

TEST_P(Settling, ReturnedToTheTailItComesLast) {
  publish(*store->broker(), {message("1"), message("2"), message("3")});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  EXPECT_EQ(worker.settle(delivery.token, Disposal::return_tail), SettleStatus::settled);
  worker.credit(3);
  EXPECT_THAT(ids_of(worker.take(3)), ElementsAre("2", "3", "1"));
}

TEST_P(Settling, AReplacementAndItsMarksComeBack) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  auto back = settlement(worker.take_one(), Disposal::return_head);
  auto edited = message("1");
  edited.retries = 7;
  back.replacement = edited;
  back.marks = broker::Marks{true, 2, 1500ms};
  EXPECT_EQ(worker.settle(std::move(back)), SettleStatus::settled);
  const auto again = worker.take_one();
  EXPECT_EQ(envelope_of(again), wire::encode_envelope(edited));
  EXPECT_TRUE(again.suspect);
  EXPECT_EQ(again.strikes, 2);
  EXPECT_EQ(again.waited_unknown, 1500ms);
}

TEST_P(Settling, AScheduledMessageComesWhenItIsDueAndNotBefore) {
  publish(*store->broker(), {message("1"), message("2")});
  Worker worker(*store);
  worker.credit(2);
  const auto deliveries = worker.take(2);
  auto later = settlement(deliveries[0], Disposal::schedule);
  later.due.delay = 400ms;
  auto sooner = settlement(deliveries[1], Disposal::schedule);
  sooner.due.at = Clock::system().now() + 150ms;
  const auto before = Clock::system().now();
  EXPECT_EQ(worker.settle(std::move(later)), SettleStatus::settled);
  EXPECT_EQ(worker.settle(std::move(sooner)), SettleStatus::settled);
  EXPECT_EQ(info().scheduled, 2U);
  worker.credit(2);
  EXPECT_EQ(id_of(worker.take(1).front()), "2");
  EXPECT_GE(Clock::system().now() - before, 150ms);
  EXPECT_EQ(id_of(worker.take(1).front()), "1");
  EXPECT_GE(Clock::system().now() - before, 400ms);
  EXPECT_LT(Clock::system().now() - before, 2500ms) << "found by a look, not by its time";
}

TEST_P(Settling, ADelayIsNoShorterThanAskedFor) {
  Worker worker(*store);
  for (int i = 0; i < 20; ++i) {
    publish(*store->broker(), {message(std::to_string(i))});
    auto later = settlement(worker.take_one(), Disposal::schedule);
    later.due.delay = 1h;
    const auto before = Clock::system().now();
    EXPECT_EQ(worker.settle(std::move(later)), SettleStatus::settled);
    std::vector<Timestamp> dues;
    const auto note = [&](const broker::Sighting& one) { dues.push_back(one.due.value()); };
    ASSERT_TRUE(store->broker()->survey(note, kPatience));
    ASSERT_THAT(dues, testing::SizeIs(1));
    EXPECT_GE(dues[0], before + 1h);
    EXPECT_LT(dues[0], Clock::system().now() + 1h + 2ms);
    ASSERT_TRUE(store->broker()->release(broker::Broker::Scheduled::all, patience()));
    ASSERT_EQ(store->broker()->purge("q", patience()).value(), 1U);
  }
}

TEST_P(Settling, WhatIsDueInThousandsOfYearsHoldsUpNobody) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  auto far = settlement(worker.take_one(), Disposal::schedule);
  far.due.at = std::chrono::sys_days(std::chrono::year(9999) / 12 / 31);
  EXPECT_EQ(worker.settle(std::move(far)), SettleStatus::settled);
  worker.credit(1);
  publish(*store->broker(), {message("2")});
  EXPECT_EQ(id_of(worker.take(1).front()), "2");
  EXPECT_EQ(info().scheduled, 1U);
}

TEST_P(Settling, WhatIsOverdueComesAtOnce) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  auto overdue = settlement(worker.take_one(), Disposal::schedule);
  overdue.due.at = Clock::system().now() - std::chrono::hours(1);
  EXPECT_EQ(worker.settle(std::move(overdue)), SettleStatus::settled);
  EXPECT_EQ(id_of(worker.take_one()), "1");
}

TEST_P(Settling, ResultsAreStoredInTheSameStep) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  auto done = settlement(worker.take_one());
  const auto success = result("1", states::success, "5");
  done.results.push_back(success);
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  EXPECT_THAT(stored("1"), Optional(success.meta));
}

TEST_P(Settling, SuccessorsAreSentInTheSameStep) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  auto done = settlement(worker.take_one());
  done.sends.push_back(message("link-1"));
  done.sends.push_back(message("link-2"));
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  worker.credit(2);
  EXPECT_THAT(ids_of(worker.take(2)), ElementsAre("link-1", "link-2"));
}

TEST_P(Settling, ASuccessorWithoutAQueueFailsTheSettlementWhole) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  auto done = settlement(delivery);
  done.results.push_back(result("1", states::success, "5"));
  done.sends.push_back(message("link"));
  done.sends.back().exchange = "nowhere";
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::failed);
  EXPECT_EQ(stored("1"), std::nullopt);
  EXPECT_EQ(info().reserved, 1U) << "still this worker's";
  EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
}

broker::Settlement::Undeliverable becomes_a_dead_letter(std::size_t send, const std::string& id) {
  broker::Settlement instead;
  instead.dead_letter = {.task_id = id, .task = "t", .reason = "unroutable", .detail = "no queue is bound"};
  instead.results.push_back(result(id, states::failure, "no queue"));
  return {send, std::move(instead)};
}

TEST_P(Settling, ASuccessorWithoutAQueueBecomesADeadLetterAlone) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  auto done = settlement(worker.take_one());
  done.results.push_back(result("1", states::success, "5"));
  done.sends = {message("link-1"), message("lost"), message("link-2"), message("lost too")};
  done.sends[1].exchange = done.sends[3].exchange = "nowhere";
  done.undeliverable = {becomes_a_dead_letter(1, "lost"), becomes_a_dead_letter(3, "lost too")};
  // Its errbacks: one that arrives, one that has no queue either.
  auto& instead = done.undeliverable[0].instead;
  instead.sends = {message("errback"), message("lost errback")};
  instead.sends[1].exchange = "nowhere else";
  instead.undeliverable = {becomes_a_dead_letter(1, "lost errback")};
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  EXPECT_EQ(info().reserved, 0U);
  for (const std::string id : {"1", "lost", "lost too", "lost errback"}) EXPECT_NE(stored(id), std::nullopt) << id;
  worker.credit(3);
  EXPECT_THAT(ids_of(worker.take(3)), testing::UnorderedElementsAre("link-1", "link-2", "errback"));
  const auto letters = store->broker()->dead_letters(10, patience());
  ASSERT_TRUE(letters);
  std::vector<std::string> ids;
  for (const auto& entry : *letters) {
    const auto buried = wire::decode_envelope(entry.bytes);
    ASSERT_TRUE(buried);
    EXPECT_EQ(entry.letter.task_id, buried->id);
    EXPECT_EQ(entry.letter.reason, "unroutable");
    EXPECT_EQ(entry.letter.detail, "no queue is bound");
    ids.push_back(buried->id);
  }
  EXPECT_THAT(ids, testing::UnorderedElementsAre("lost", "lost too", "lost errback"));
}

TEST_P(Settling, MessagesAreBuriedWithoutASettlement) {
  const std::vector<broker::BuriedMessage> buried{{message("1"), {"1", "t", "unroutable", "why"}},
                                                  {message("2"), {"2", "t", "unroutable", "why"}}};
  ASSERT_TRUE(store->broker()->bury(buried, patience()));
  const auto letter = store->broker()->dead_letter("2", patience());
  ASSERT_TRUE(letter && *letter);
  EXPECT_EQ(wire::decode_envelope((*letter)->bytes)->id, "2");
  EXPECT_EQ(store->broker()->dead_letters(10, patience())->size(), 2U);
}

std::vector<std::string> known_queues(Store& store) {
  const auto infos = store.broker()->queues({}, patience());
  if (!infos) throw std::runtime_error(infos.error().message);
  std::vector<std::string> names;
  for (const auto& each : *infos) names.push_back(each.name);
  return names;
}

TEST_P(Settling, ASuccessorsQueueIsKnownFromThenOn) {
  publish(*store->broker(), {message("1")});
  Worker worker(*store);
  auto done = settlement(worker.take_one());
  done.declares.push_back(queue_named("fresh"));
  done.sends.push_back(message("link", "fresh"));
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  EXPECT_EQ(info("fresh").ready, 1U);
  ASSERT_TRUE(store->broker()->purge("fresh", patience()));
  EXPECT_THAT(known_queues(*store), testing::Contains("fresh")) << "with nothing in it";
}

TEST_P(Settling, ASuccessorReachesAQueueThatIsBoundWithIt) {
  publish(*store->broker(), {message("1"), message("2")});
  Worker worker(*store);
  auto done = settlement(worker.take_one());
  done.declares.push_back({"deep", "animals", wire::ExchangeType::topic, "cat.*"});
  done.sends.push_back(message("link-1", "cat.small"));
  done.sends.back().exchange = "animals";
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  EXPECT_EQ(info("deep").ready, 1U);
  // A second queue of an exchange that the worker has read already.
  auto more = settlement(worker.take_one());
  more.declares.push_back({"big", "animals", wire::ExchangeType::topic, "*.big"});
  more.sends.push_back(message("link-2", "cat.big"));
  more.sends.back().exchange = "animals";
  EXPECT_EQ(worker.settle(std::move(more)), SettleStatus::settled);
  EXPECT_EQ(info("deep").ready, 2U);
  EXPECT_EQ(info("big").ready, 1U);
}

TEST_P(Settling, AQueueThatSomebodyElseBoundALittleLaterIsFound) {
  ASSERT_TRUE(store->broker()->declare(
      std::vector<wire::QueueDeclaration>{{"deep", "animals", wire::ExchangeType::topic, "cat.*"}}, patience()));
  publish(*store->broker(), {message("1"), message("2")});
  Worker worker(*store);
  auto done = settlement(worker.take_one());
  done.sends.push_back(message("link-1", "cat.small"));
  done.sends.back().exchange = "animals";
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  ASSERT_TRUE(store->broker()->declare(
      std::vector<wire::QueueDeclaration>{{"dogs", "animals", wire::ExchangeType::topic, "dog.*"}}, patience()));
  auto more = settlement(worker.take_one());
  more.sends.push_back(message("link-2", "dog.small"));
  more.sends.back().exchange = "animals";
  EXPECT_EQ(worker.settle(std::move(more)), SettleStatus::settled);
  EXPECT_EQ(info("dogs").ready, 1U);
}

TEST_P(Settling, FailureDoesNotReplaceSuccess) {
  publish(*store->broker(), {message("1"), message("1")});
  Worker worker(*store);
  worker.credit(2);
  const auto deliveries = worker.take(2);
  auto first = settlement(deliveries[0]);
  const auto success = result("1", states::success, "5");
  first.results.push_back(success);
  EXPECT_EQ(worker.settle(std::move(first)), SettleStatus::settled);
  auto second = settlement(deliveries[1]);
  second.results.push_back(result("1", states::failure, "no"));
  EXPECT_EQ(worker.settle(std::move(second)), SettleStatus::settled);
  EXPECT_THAT(stored("1"), Optional(success.meta));
}

TEST_P(Settling, StatesAreStoredButReplaceNoReadyOne) {
  publish(*store->broker(), {message("1"), message("2")});
  Worker worker(*store);
  worker.credit(2);
  const auto deliveries = worker.take(2);
  const auto started = result("1", states::started, "");
  worker.store_state(deliveries[0].token, started);
  // Settled in order: once this is answered, the state before it has been stored.
  EXPECT_EQ(worker.record_start(deliveries[0].token), SettleStatus::settled);
  EXPECT_THAT(stored("1"), Optional(started.meta));

  auto done = settlement(deliveries[0]);
  const auto success = result("1", states::success, "5");
  done.results.push_back(success);
  EXPECT_EQ(worker.settle(std::move(done)), SettleStatus::settled);
  worker.store_state(deliveries[1].token, result("1", states::started, "again"));
  EXPECT_EQ(worker.settle(deliveries[1].token), SettleStatus::settled);
  EXPECT_THAT(stored("1"), Optional(success.meta));
}

TEST_P(Settling, AStateOfAMessageThatIsNotHeldIsNotStored) {
  publish(*store->broker(), {message("1"), message("2")});
  Worker worker(*store);
  worker.credit(2);
  const auto deliveries = worker.take(2);
  EXPECT_EQ(worker.settle(deliveries[0].token), SettleStatus::settled);
  worker.store_state(deliveries[0].token, result("1", "PROGRESS", "late"));
  EXPECT_EQ(worker.settle(deliveries[1].token), SettleStatus::settled);
  EXPECT_EQ(stored("1"), std::nullopt);
}

TEST_P(Settling, ManySettlementsOfOneTurnHaveEachItsAnswer) {
  std::vector<wire::TaskMessage> messages;
  for (int i = 0; i < 300; ++i) messages.push_back(message(std::to_string(i)));
  publish(*store->broker(), messages);
  Worker worker(*store);
  worker.credit(300);
  const auto deliveries = worker.take(300);
  worker.on_loop([&](broker::Consumer& consumer) {
    for (std::size_t i = 1; i < deliveries.size(); ++i) consumer.settle(settlement(deliveries[i]));
    consumer.settle(settlement(deliveries[1]));
  });
  EXPECT_EQ(worker.settle(deliveries[0].token), SettleStatus::settled);
  EXPECT_EQ(info().reserved + info().ready, 0U);
}

TEST_P(Settling, DeadLettersAreListedShownRetriedAndPurged) {
  auto broker = store->broker();
  publish(*broker, {message("1", "q", 3), message("2")});
  Worker worker(*store);
  worker.credit(2);
  for (const auto& delivery : worker.take(2)) {
    auto dead = settlement(delivery, Disposal::dead_letter);
    dead.dead_letter = {id_of(delivery), "tasks.add", "poison", "signal 11"};
    dead.results.push_back(result(id_of(delivery), states::failure, "poison"));
    EXPECT_EQ(worker.settle(std::move(dead)), SettleStatus::settled);
  }
  EXPECT_NE(stored("1"), std::nullopt) << "nobody waits for ever";
  EXPECT_EQ(info().reserved + info().ready, 0U);

  auto letters = broker->dead_letters(10, patience());
  ASSERT_TRUE(letters);
  ASSERT_THAT(*letters, testing::SizeIs(2));
  const auto& first = letters->front();
  EXPECT_EQ(first.letter.task_id, "2") << "the higher priority was served first";
  auto shown = broker->dead_letter("1", patience());
  ASSERT_TRUE(shown && *shown);
  EXPECT_EQ((*shown)->letter.task, "tasks.add");
  EXPECT_EQ((*shown)->letter.reason, "poison");
  EXPECT_EQ((*shown)->letter.detail, "signal 11");
  EXPECT_EQ((*shown)->queue, "q");
  EXPECT_EQ((*shown)->step, 3);
  EXPECT_EQ((*shown)->bytes, wire::encode_envelope(message("1", "q", 3)));
  auto by_key = broker->dead_letter((*shown)->key, patience());
  ASSERT_TRUE(by_key && *by_key);
  EXPECT_EQ((*by_key)->letter.task_id, "1");
  auto unknown = broker->dead_letter("no such", patience());
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(*unknown);

  ASSERT_TRUE(broker->retry_dead_letter((*shown)->key, message("1"), patience()));
  EXPECT_EQ(id_of(worker.take_one()), "1");
  const auto again = broker->retry_dead_letter((*shown)->key, message("1"), patience());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::not_found);
  EXPECT_EQ(info().ready, 0U) << "sent once";

  EXPECT_EQ(broker->purge_dead_letters("no such", patience()).value_or(99), 0U);
  EXPECT_EQ(broker->purge_dead_letters(std::nullopt, patience()).value_or(99), 1U);
  EXPECT_THAT(broker->dead_letters(10, patience()).value(), IsEmpty());
}

TEST_P(Settling, PurgeTakesWhatWaitsAndNothingElse) {
  publish(*store->broker(), {message("1"), message("2"), message("3", "q", 9), message("4", "other")});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  EXPECT_EQ(store->broker()->purge("q", patience()).value_or(99), 2U);
  EXPECT_EQ(store->broker()->purge("no such", patience()).value_or(99), 0U);
  EXPECT_EQ(info("other").ready, 1U);
  EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
}

TEST_P(Settling, QueuesAreListedByName) {
  ASSERT_TRUE(store->broker()->declare(std::vector{queue_named("empty")}, patience()));
  publish(*store->broker(), {message("1", "b"), message("2", "a"), message("3", "a", 9)});
  const auto infos = store->broker()->queues({}, patience());
  ASSERT_TRUE(infos);
  std::vector<std::pair<std::string, std::uint64_t>> seen;
  for (const auto& each : *infos) seen.emplace_back(each.name, each.ready);
  EXPECT_THAT(seen, ElementsAre(testing::Pair("a", 2U), testing::Pair("b", 1U), testing::Pair("empty", 0U)));
}

}  // namespace
}  // namespace lovage::contract
