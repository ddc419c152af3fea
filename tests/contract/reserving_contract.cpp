// Publishing, reserving, priorities, credit, the schedule.
#include <atomic>
#include <set>

#include "contract/contract.hpp"

namespace lovage::contract {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Reserving : public ContractTest {};
INSTANTIATE_TEST_SUITE_P(Engines, Reserving, testing::ValuesIn(engines()), engine_name);

TEST_P(Reserving, FirstInFirstOut) {
  publish(*store->broker(), {message("1"), message("2"), message("3")});
  Worker worker(*store);
  worker.credit(10);
  EXPECT_THAT(ids_of(worker.take(3)), ElementsAre("1", "2", "3"));
}

TEST_P(Reserving, TheEnvelopeArrivesAsItWasSent) {
  const auto sent = message("1", "q", 3);
  publish(*store->broker(), {sent});
  Worker worker(*store);
  const auto delivery = worker.take_one();
  EXPECT_EQ(envelope_of(delivery), wire::encode_envelope(sent));
  EXPECT_EQ(delivery.queue, "q");
  EXPECT_EQ(delivery.step, 3);
  EXPECT_FALSE(delivery.suspect);
  EXPECT_EQ(delivery.strikes, 0);
}

TEST_P(Reserving, PrioritiesGoBeforeQueues) {
  publish(*store->broker(), {message("low-a", "a", 9), message("low-b", "b", 9), message("high-b", "b", 0),
                             message("middle-a", "a", 5), message("high-a", "a", 0)});
  Worker worker(*store, {"a", "b"});
  worker.credit(5);
  auto ids = ids_of(worker.take(5));
  EXPECT_THAT(std::set<std::string>(ids.begin(), ids.begin() + 2), ElementsAre("high-a", "high-b"));
  EXPECT_EQ(ids[2], "middle-a");
  EXPECT_THAT(std::set<std::string>(ids.begin() + 3, ids.end()), ElementsAre("low-a", "low-b"));
}

TEST_P(Reserving, OtherQueuesAreLeftAlone) {
  publish(*store->broker(), {message("1", "other"), message("2", "q")});
  Worker worker(*store);
  worker.credit(5);
  EXPECT_THAT(ids_of(worker.take(1)), ElementsAre("2"));
  EXPECT_THAT(worker.stop_reserving(), IsEmpty());
}

TEST_P(Reserving, NothingComesWithoutCredit) {
  publish(*store->broker(), {message("1"), message("2"), message("3")});
  Worker worker(*store);
  worker.credit(2);
  EXPECT_THAT(worker.take(2), SizeIs(2));
  EXPECT_THAT(worker.stop_reserving(), IsEmpty()) << "the credit was used up";
}

TEST_P(Reserving, CreditThatIsSaidAgainIsNotAddedUp) {
  publish(*store->broker(), {message("1"), message("2"), message("3"), message("4"), message("5")});
  Worker worker(*store);
  worker.on_loop([](broker::Consumer& consumer) {
    for (int i = 0; i < 10; ++i) consumer.set_credit(2, 1u << 20);
  });
  worker.take(2);
  EXPECT_THAT(worker.stop_reserving(), IsEmpty());
}

TEST_P(Reserving, TheByteBudgetBoundsButOneMessageAlwaysComes) {
  publish(*store->broker(), {message("1"), message("2"), message("3")});
  Worker tight(*store);
  tight.credit(3, 1);
  const auto first = tight.take(1);
  EXPECT_THAT(ids_of(first), ElementsAre("1"));
  EXPECT_THAT(tight.stop_reserving(), IsEmpty());
  Worker roomy(*store);
  roomy.credit(3, 2 * first.front().size());
  EXPECT_THAT(ids_of(roomy.take(2)), ElementsAre("2", "3"));
}

TEST_P(Reserving, AMessageWakesAnIdleWorker) {
  Worker worker(*store);
  worker.credit(1);
  worker.await_connected();
  // Longer than any safety look would be much more than this.
  for (int i = 0; i < 20; ++i) {
    const auto before = std::chrono::steady_clock::now();
    publish(*store->broker(), {message(std::to_string(i))});
    const auto delivery = worker.take(1).front();
    EXPECT_LT(std::chrono::steady_clock::now() - before, 1s) << "found by a look, not by a wake-up";
    EXPECT_EQ(worker.settle(delivery.token), broker::SettleStatus::settled);
    worker.credit(1);
  }
}

TEST_P(Reserving, AQueueCanBeAddedAndCancelled) {
  Worker worker(*store);
  worker.on_loop([](broker::Consumer& consumer) { consumer.add_queue(queue_named("later")); });
  publish(*store->broker(), {message("1", "later")});
  EXPECT_EQ(id_of(worker.take_one()), "1");
  worker.on_loop([](broker::Consumer& consumer) { consumer.cancel_queue("later"); });
  publish(*store->broker(), {message("2", "later"), message("3", "q")});
  worker.credit(5);
  EXPECT_THAT(ids_of(worker.take(1)), ElementsAre("3"));
  EXPECT_THAT(worker.stop_reserving(), IsEmpty());
}

TEST_P(Reserving, ManyMessagesSentTogetherKeepTheirOrderInEachQueue) {
  constexpr std::size_t kMessages = 1'000;
  std::vector<wire::TaskMessage> messages;
  std::vector<std::string> of_a;
  for (std::size_t i = 0; i < kMessages; ++i) {
    messages.push_back(message(std::to_string(i), i % 3 == 0 ? "a" : "b", i % 2 == 0 ? 0 : 9));
    if (i % 3 == 0 && i % 2 == 0) of_a.push_back(std::to_string(i));
  }
  for (std::size_t i = 3; i < kMessages; i += 6) of_a.push_back(std::to_string(i));  // those of the lower priority
  publish(*store->broker(), messages);
  Worker worker(*store, {"a"});
  worker.credit(kMessages);
  EXPECT_EQ(ids_of(worker.take(of_a.size())), of_a);
}

TEST_P(Reserving, MessagesSentBitByBitArriveAsIfSentTogether) {
  const auto broker = store->broker();
  const auto publishing = broker->start_publishing(patience());
  std::vector<wire::TaskMessage> messages;
  std::vector<std::string> ids;
  for (int i = 0; i < 1'000; ++i) {
    const bool lost = i % 100 == 99;
    messages.push_back(message(std::to_string(i), i % 7 == 6 ? "other" : "q"));
    if (lost) messages.back().exchange = "nowhere";
    if (!lost && i % 7 != 6) ids.push_back(std::to_string(i));
    if (i % 90 == 0) publishing->send(messages);
  }
  publishing->send(messages);
  const auto outcomes = publishing->finish();
  ASSERT_EQ(outcomes.size(), messages.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) EXPECT_EQ(outcomes[i].has_value(), i % 100 != 99) << i;
  Worker worker(*store, {"q"});
  worker.credit(messages.size());
  EXPECT_EQ(ids_of(worker.take(ids.size())), ids);
}

TEST_P(Reserving, NothingIsSentWhereNothingIsGiven) {
  EXPECT_THAT(store->broker()->publish({}, patience()), IsEmpty());
  EXPECT_THAT(store->broker()->start_publishing(patience())->finish(), IsEmpty());
}

// An exception passed over it: what was sent may arrive or not, and the broker is as good as before.
TEST_P(Reserving, APublicationThatIsNotFinishedDisturbsNobody) {
  const auto broker = store->broker();
  std::vector<wire::TaskMessage> messages;
  for (int i = 0; i < 1'000; ++i) messages.push_back(message(std::to_string(i), "left"));
  broker->start_publishing(patience())->send(messages);
  publish(*broker, {message("1"), message("2")});
  Worker worker(*store, {"q"});
  worker.credit(2);
  EXPECT_THAT(ids_of(worker.take(2)), ElementsAre("1", "2"));
}

TEST_P(Reserving, TwoWorkersShareAQueueOfManyNoneLostNoneTwice) {
  constexpr int kMessages = 10'000;
  std::vector<wire::TaskMessage> messages;
  for (int i = 0; i < kMessages; ++i) messages.push_back(message(std::to_string(i)));
  publish(*store->broker(), messages);

  std::mutex mutex;
  std::condition_variable changed;
  std::multiset<std::string> seen;
  const auto work = [&](broker::Consumer& consumer, std::vector<broker::Delivery> deliveries) {
    const auto ids = ids_of(deliveries);
    for (const auto& delivery : deliveries) {
      broker::Settlement settlement;
      settlement.token = delivery.token;
      consumer.settle(std::move(settlement));
    }
    consumer.set_credit(64, 1u << 20);
    const std::lock_guard lock(mutex);
    seen.insert(ids.begin(), ids.end());
    changed.notify_one();
  };
  {
    Worker one(*store);
    Worker two(*store);
    for (Worker* worker : {&one, &two}) {
      worker->on_loop([&](broker::Consumer& consumer) {
        worker->handler = work;
        consumer.set_credit(64, 1u << 20);
      });
    }
    {
      std::unique_lock lock(mutex);
      EXPECT_TRUE(changed.wait_for(lock, 120s, [&] { return seen.size() >= kMessages; })) << seen.size();
    }
    one.stop_reserving();
    two.stop_reserving();
    one.close();
    two.close();
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kMessages));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), static_cast<std::size_t>(kMessages));
  const auto infos = store->broker()->queues(std::vector<std::string>{"q"}, patience());
  ASSERT_TRUE(infos);
  EXPECT_EQ(infos->front().ready + infos->front().reserved + infos->front().scheduled, 0U);
}

TEST_P(Reserving, AnUnboundExchangeRefusesTheMessageAlone) {
  auto lost = message("lost");
  lost.exchange = "nowhere";
  const auto outcomes = store->broker()->publish(std::vector{message("1"), lost, message("2")}, patience());
  ASSERT_THAT(outcomes, SizeIs(3));
  EXPECT_TRUE(outcomes[0]);
  ASSERT_FALSE(outcomes[1]);
  EXPECT_EQ(outcomes[1].error().code, Errc::not_found);
  EXPECT_TRUE(outcomes[2]);
}

TEST_P(Reserving, ATopicExchangeRoutesByPattern) {
  const std::vector<wire::QueueDeclaration> queues{{"dogs", "animals", wire::ExchangeType::topic, "dog.#"},
                                                   {"brown", "animals", wire::ExchangeType::topic, "*.brown"}};
  ASSERT_TRUE(store->broker()->declare(queues, patience()));
  auto both = message("both", "dog.brown");
  both.exchange = "animals";
  auto one = message("one", "dog.red.big");
  one.exchange = "animals";
  publish(*store->broker(), {both, one});
  Worker dogs(*store, {"dogs"});
  dogs.credit(5);
  EXPECT_THAT(ids_of(dogs.take(2)), ElementsAre("both", "one"));
  Worker brown(*store, {"brown"});
  brown.credit(5);
  EXPECT_THAT(ids_of(brown.take(1)), ElementsAre("both"));
}

TEST_P(Reserving, AFanoutExchangeIsKeptApartFromDirectOnes) {
  ASSERT_TRUE(
      store->broker()->declare(std::vector<wire::QueueDeclaration>{{"a", "shop", wire::ExchangeType::direct, "key-a"},
                                                                   {"b", "shop", wire::ExchangeType::direct, "key-b"}},
                               patience()));
  auto sent = message("1", "key-b");
  sent.exchange = "shop";
  publish(*store->broker(), {sent});
  Worker worker(*store, {"a", "b"});
  EXPECT_EQ(worker.take_one().queue, "b");
}

TEST_P(Reserving, ACountOfAQueueHoldsEachMessageOnce) {
  constexpr std::size_t kMessages = 5;
  std::vector<wire::TaskMessage> messages;
  for (std::size_t i = 0; i < kMessages; ++i)
    messages.push_back(message(std::to_string(i), "q", static_cast<int>(2 * i)));
  publish(*store->broker(), messages);
  // Messages go round: reserved, back to a queue, into the schedule and out of it, through the waits of an idle worker.
  std::atomic<std::size_t> rounds = 0;
  Worker worker(*store);
  worker.handler = [&](broker::Consumer& consumer, std::vector<broker::Delivery> deliveries) {
    for (const auto& delivery : deliveries) {
      broker::Settlement back;
      back.token = delivery.token;
      back.disposal = ++rounds % 3 == 0 ? broker::Disposal::schedule : broker::Disposal::return_tail;
      back.due.delay = 1ms;
      consumer.settle(std::move(back));
    }
    consumer.set_credit(2 + rounds % 2, 1u << 20);
  };
  worker.credit(2);
  const auto broker = store->broker();
  const auto enough = patience();
  for (int looks = 0; looks < 200 || rounds < 100; ++looks) {
    ASSERT_FALSE(enough.passed()) << "messages do not go round";
    const auto infos = broker->queues(std::vector<std::string>{"q", "nobody's"}, patience());
    ASSERT_TRUE(infos) << infos.error().message;
    const auto& [name, ready, scheduled, reserved] = infos->front();
    ASSERT_EQ(ready + scheduled + reserved, kMessages)
        << ready << " ready, " << scheduled << " scheduled, " << reserved << " reserved at look " << looks;
    ASSERT_EQ(infos->back().ready + infos->back().scheduled + infos->back().reserved, 0U);
  }
}

}  // namespace
}  // namespace lovage::contract
