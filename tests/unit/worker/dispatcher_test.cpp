#include "worker/dispatcher.hpp"

#include <gmock/gmock.h>

#include "unit/worker/fakes.hpp"
#include "unit/worker/support.hpp"
#include "wire/canvas.hpp"

namespace lovage::worker {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the support of these tests
using broker::Disposal;
using broker::SettleStatus;
using execution::Outcome;
using ::testing::ElementsAre;
using ::testing::SizeIs;

struct Owner final : DispatcherOwner {
  int lost = 0;
  int idle = 0;
  int soft_idle = 0;
  void on_connected() override {}
  void on_disconnected(const Failure& /*why*/, std::chrono::milliseconds /*retry_in*/) override {}
  void on_incarnation_lost() override { ++lost; }
  void on_pool_broken(const Failure& /*why*/) override {}
  void on_soft_idle() override { ++soft_idle; }
  void on_idle() override { ++idle; }
};

class FixedClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override { return kNow; }
};

// What other threads hand to the loop thread: kept until the test runs it.
class Posted {
 public:
  void add(UniqueFunction<void()> work) {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    came_.notify_all();
  }
  void run_one() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(came_.wait_for(lock, std::chrono::seconds(10), [this] { return !work_.empty(); }));
    UniqueFunction<void()> work = std::move(work_.front());
    work_.erase(work_.begin());
    lock.unlock();
    work();
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<UniqueFunction<void()>> work_;
};

class DispatcherTest : public ::testing::Test {
 protected:
  void attach() {
    dispatcher.attach(consumer, settler);
    dispatcher.begin();
  }
  static broker::Delivery delivery(std::uint64_t token, const wire::TaskMessage& message = message_of()) {
    return {.token = Token(token), .queue = "celery", .step = 0, .bytes = wire::encode_envelope(message)};
  }
  void deliver(broker::Delivery one) {
    std::vector<broker::Delivery> batch;
    batch.push_back(std::move(one));
    dispatcher.on_deliveries(std::move(batch));
  }
  // The pool takes the oldest request and comes back with the outcome.
  void start_last() { dispatcher.on_started(pool.submitted.back().job, 42); }
  void end_last(Outcome outcome) {
    outcome.job = pool.submitted.back().job;
    dispatcher.on_outcomes({std::move(outcome)});
  }

  World world;
  Facts facts = world.facts();
  FixedClock clock;
  FakePool pool;
  FakeConsumer consumer;
  Journal journal;
  FakeBroker broker{journal};
  FakeBackend backend{journal};
  Posted posted;
  Outbox outbox{broker, &backend, [this](UniqueFunction<void()> work) { posted.add(std::move(work)); }};
  AtomicSettler settler{consumer};
  Owner owner;
  Dispatcher dispatcher{
      {.facts = facts, .clock = clock, .pool = pool, .outbox = outbox, .limits = {}, .is_revoked = {}}, owner};
};

TEST_F(DispatcherTest, TakesAMessageFromTheQueueToItsSettlement) {
  attach();
  EXPECT_EQ(consumer.credits.back().first, 2U);  // two slots
  deliver(delivery(1));
  ASSERT_THAT(pool.submitted, SizeIs(1));
  EXPECT_EQ(pool.submitted[0].message->id, "id-1");
  EXPECT_EQ(consumer.credits.back().first, 1U);
  start_last();
  EXPECT_TRUE(consumer.settled.empty());  // late acknowledgement
  EXPECT_EQ(dispatcher.running(), 1U);
  end_last(success());
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].token, Token(1));
  EXPECT_EQ(consumer.settled[0].results.at(0).state, "SUCCESS");
  EXPECT_EQ(consumer.credits.back().first, 2U);
  EXPECT_FALSE(dispatcher.idle());
  dispatcher.on_settled(Token(1), SettleStatus::settled);
  EXPECT_TRUE(dispatcher.idle());
}

TEST_F(DispatcherTest, SettlesWhatItDoesNotRunWithoutThePool) {
  attach();
  auto message = message_of();
  message.task = "unknown";
  deliver(delivery(1, message));
  deliver({.token = Token(2), .queue = "celery", .step = 0, .bytes = "garbage"});
  EXPECT_TRUE(pool.submitted.empty());
  ASSERT_THAT(consumer.settled, SizeIs(2));
  EXPECT_EQ(consumer.settled[0].disposal, Disposal::schedule);
  EXPECT_EQ(consumer.settled[1].disposal, Disposal::dead_letter);
}

TEST_F(DispatcherTest, AcknowledgesEarlyWhereAskedAndStoresTheResultWithoutTheFence) {
  world.config.task_acks_late = false;
  attach();
  deliver(delivery(1));
  EXPECT_TRUE(consumer.settled.empty());
  start_last();
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].disposal, Disposal::acknowledge);
  EXPECT_TRUE(consumer.settled[0].results.empty());
  end_last(success());
  EXPECT_THAT(consumer.settled, SizeIs(1));
  EXPECT_THAT(journal.lines(1), ElementsAre("store id-1 SUCCESS"));
  dispatcher.on_settled(Token(1), SettleStatus::settled);
  EXPECT_FALSE(dispatcher.idle());  // until the result is known to be stored
  posted.run_one();
  EXPECT_TRUE(dispatcher.idle());
}

TEST_F(DispatcherTest, RecordsASuspectsStartBeforeItRunsAlone) {
  attach();
  auto suspect = delivery(1);
  suspect.suspect = true;
  suspect.strikes = 1;
  deliver(std::move(suspect));
  EXPECT_TRUE(pool.submitted.empty());
  EXPECT_THAT(consumer.records, ElementsAre(Token(1)));
  dispatcher.on_start_recorded(Token(1), SettleStatus::settled);
  ASSERT_THAT(pool.submitted, SizeIs(1));
  EXPECT_TRUE(pool.submitted[0].alone);
  start_last();
  Outcome death = outcome_of(Outcome::Kind::lost);
  death.death.wait_status = 11;
  end_last(std::move(death));
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].marks->strikes, 2);
}

TEST_F(DispatcherTest, DropsASuspectThatIsNoLongerItsOwn) {
  attach();
  auto suspect = delivery(1);
  suspect.suspect = true;
  deliver(std::move(suspect));
  dispatcher.on_start_recorded(Token(1), SettleStatus::fenced);
  EXPECT_TRUE(pool.submitted.empty());
  EXPECT_TRUE(consumer.settled.empty());
  EXPECT_TRUE(dispatcher.idle());
}

TEST_F(DispatcherTest, SendsBackWithAStrikeWhatTheBrokerRefusedToSettle) {
  attach();
  deliver(delivery(1));
  end_last(success());
  dispatcher.on_settled(Token(1), SettleStatus::failed);
  EXPECT_THAT(consumer.settled, SizeIs(1));
  dispatcher.return_refused();
  ASSERT_THAT(consumer.settled, SizeIs(2));
  EXPECT_EQ(consumer.settled[1].token, Token(1));
  EXPECT_EQ(consumer.settled[1].disposal, Disposal::return_tail);
  EXPECT_EQ(consumer.settled[1].marks->strikes, 1);
  dispatcher.on_settled(Token(1), SettleStatus::failed);
  dispatcher.return_refused();
  EXPECT_EQ(consumer.settled[2].marks->strikes, 2);
  dispatcher.on_settled(Token(1), SettleStatus::settled);
  dispatcher.return_refused();
  EXPECT_THAT(consumer.settled, SizeIs(3));
  EXPECT_TRUE(dispatcher.idle());
}

TEST_F(DispatcherTest, TracksStartsAndCustomStates) {
  world.config.task_track_started = true;
  attach();
  deliver(delivery(1));
  start_last();
  dispatcher.on_state(pool.submitted[0].job, "PROGRESS", R"({"done": 1})");
  ASSERT_THAT(consumer.states, SizeIs(2));
  EXPECT_EQ(consumer.states[0].second.state, "STARTED");
  EXPECT_EQ(to_json(stored(consumer.states[0].second).result), R"({"pid": 42, "hostname": "celery@test"})");
  EXPECT_EQ(consumer.states[1].second.state, "PROGRESS");
  EXPECT_EQ(to_json(stored(consumer.states[1].second).result), R"({"done": 1})");
}

TEST_F(DispatcherTest, DrainsWhatRunsAndGivesTheRestBack) {
  attach();
  deliver(delivery(1));
  start_last();
  auto later = message_of();
  later.id = "id-2";
  deliver(delivery(2, later));
  dispatcher.drain();
  EXPECT_EQ(consumer.credits.back().first, 0U);
  EXPECT_EQ(pool.given_back, 1);
  Outcome unstarted = outcome_of(Outcome::Kind::not_started);
  unstarted.job = pool.submitted[1].job;
  dispatcher.on_outcomes({unstarted});
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].disposal, Disposal::return_head);
  dispatcher.on_settled(Token(2), SettleStatus::settled);
  deliver(delivery(3));  // was on its way
  EXPECT_EQ(consumer.settled.back().disposal, Disposal::return_head);
  dispatcher.on_settled(Token(3), SettleStatus::settled);
  EXPECT_EQ(owner.idle, 0);
  Outcome done = success();
  done.job = pool.submitted[0].job;
  dispatcher.on_outcomes({done});
  EXPECT_GE(owner.soft_idle, 1);
  EXPECT_EQ(owner.idle, 0);
  dispatcher.on_settled(Token(1), SettleStatus::settled);
  EXPECT_EQ(owner.idle, 1);
}

TEST_F(DispatcherTest, ForgetsWhatAnIncarnationHeldWhenItIsLost) {
  attach();
  deliver(delivery(1));
  start_last();
  dispatcher.on_lost();
  EXPECT_EQ(pool.killed, 1);
  EXPECT_EQ(owner.lost, 1);
  FakeConsumer next;
  AtomicSettler next_settler(next);
  dispatcher.attach(next, next_settler);
  EXPECT_EQ(next.credits.back().first, 1U);  // the old run still occupies a slot
  end_last(success());
  EXPECT_TRUE(consumer.settled.empty());
  EXPECT_TRUE(next.settled.empty());  // others run it
  EXPECT_EQ(next.credits.back().first, 2U);
  deliver(delivery(1));  // the same token means another message now
  end_last(success());
  EXPECT_THAT(next.settled, SizeIs(1));
}

// A wait of a worker that was stopped is answered together with the news that it is lost.
TEST_F(DispatcherTest, RunsNothingThatComesOnceItsIncarnationIsLost) {
  attach();
  dispatcher.on_lost();
  deliver(delivery(1));
  EXPECT_THAT(pool.submitted, SizeIs(0));
  FakeConsumer next;
  AtomicSettler next_settler(next);
  dispatcher.attach(next, next_settler);
  EXPECT_EQ(next.credits.back().first, 2U);
  deliver(delivery(2));
  EXPECT_THAT(pool.submitted, SizeIs(1));
}

TEST_F(DispatcherTest, LimitsTheBytesThatWait) {
  world.config.worker_prefetch_bytes = 1;
  Dispatcher small({.facts = facts,
                    .clock = clock,
                    .pool = pool,
                    .outbox = outbox,
                    .limits = {.prefetch_multiplier = 4, .prefetch_bytes = 1},
                    .is_revoked = {}},
                   owner);
  small.attach(consumer, settler);
  small.begin();
  EXPECT_EQ(consumer.credits.back(), (std::pair<std::size_t, std::size_t>(8, 1)));
  small.on_deliveries({delivery(1)});
  EXPECT_EQ(consumer.credits.back().first, 0U);
  small.on_started(pool.submitted.back().job, 1);
  small.on_deliveries({});
  EXPECT_EQ(consumer.credits.back().first, 7U);
}

TEST_F(DispatcherTest, OrderedSettlingStoresThenSendsThenAcknowledges) {
  OrderedSettler ordered(consumer, outbox, dispatcher);
  dispatcher.attach(consumer, ordered);
  dispatcher.begin();
  journal.fail_next(3, Errc::unavailable);
  const Object options{{"task_id", Value("cb")}, {"queue", Value("fresh")}};
  const wire::Body body{
      .args = {},
      .kwargs = {},
      .embed = {.callbacks = Array{signature("log", {}, options)}, .errbacks = {}, .chain = {}, .chord = {}}};
  deliver(delivery(1, message_of(body)));
  start_last();
  end_last(success());
  EXPECT_THAT(journal.lines(3), ElementsAre("store id-1 SUCCESS", "declare fresh", "send cb"));
  EXPECT_TRUE(consumer.settled.empty());
  posted.run_one();
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].disposal, Disposal::acknowledge);
  EXPECT_TRUE(consumer.settled[0].results.empty());
  EXPECT_TRUE(consumer.settled[0].sends.empty());
}

TEST_F(DispatcherTest, OrderedSettlingGoesOnAfterARefusal) {
  OrderedSettler ordered(consumer, outbox, dispatcher);
  dispatcher.attach(consumer, ordered);
  journal.fail_next(1, Errc::too_large);
  deliver(delivery(1));
  end_last(success());
  posted.run_one();
  EXPECT_THAT(consumer.settled, SizeIs(1));  // logged as critical: trying again cannot help
}

// --- Chords ----------------------------------------------------------------------------------------------

wire::TaskMessage header_task() {
  const Object options{{"task_id", Value("body-id")}, {"queue", Value("celery")}};
  wire::TaskMessage message =
      message_of({.args = {},
                  .kwargs = {},
                  .embed = {.callbacks = {}, .errbacks = {}, .chain = {}, .chord = signature("total", {}, options)}});
  message.group_id = "group-1";
  message.group_index = 0;
  return message;
}

TEST_F(DispatcherTest, TheLastPartOfAChordIsFollowedByItsJoinUnderTheSameToken) {
  backend.parts = {R"([1, "id-0", "SUCCESS", 4])", R"([1, "id-1", "SUCCESS", 5])"};
  attach();
  deliver(delivery(1, header_task()));
  end_last(success());
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_TRUE(consumer.settled[0].counts);
  dispatcher.drain();
  dispatcher.on_settled(Token(1), SettleStatus::carries_on);
  EXPECT_FALSE(dispatcher.idle()) << "a worker that ends joins first";
  posted.run_one();
  ASSERT_THAT(consumer.settled, SizeIs(2));
  const broker::Settlement& join = consumer.settled[1];
  EXPECT_EQ(join.token, Token(1));
  ASSERT_THAT(join.sends, SizeIs(1));
  EXPECT_EQ(join.sends[0].id, "body-id");
  EXPECT_EQ(body_of(join.sends[0]).args, (Array{Value(Array{Value(4), Value(5)})}));
  EXPECT_EQ(join.ended_chord.value().group_id, "group-1");
  dispatcher.on_settled(Token(1), SettleStatus::settled);
  EXPECT_TRUE(dispatcher.idle());
}

TEST_F(DispatcherTest, AJoinThatTheBrokerRefusesIsTriedAgain) {
  attach();
  deliver(delivery(1, header_task()));
  end_last(success());
  dispatcher.on_settled(Token(1), SettleStatus::carries_on);
  posted.run_one();
  dispatcher.on_settled(Token(1), SettleStatus::failed);
  dispatcher.return_refused();
  posted.run_one();
  ASSERT_THAT(consumer.settled, SizeIs(3));
  EXPECT_EQ(consumer.settled[2].disposal, Disposal::acknowledge);
  EXPECT_TRUE(consumer.settled[2].ended_chord);
}

TEST_F(DispatcherTest, AJoinThatAnotherWorkerLeftIsCarriedOut) {
  backend.parts = {R"([1, "id-0", "SUCCESS", 4])"};
  attach();
  const auto left = SettlementRules(facts).finished(job_of(facts, header_task()), success(), kNow);
  deliver({.token = Token(3), .queue = "celery", .bytes = left.counts.value().continuation, .is_continuation = true});
  posted.run_one();
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].token, Token(3));
  EXPECT_EQ(consumer.settled[0].sends.at(0).id, "body-id");
  EXPECT_TRUE(pool.submitted.empty());
}

TEST_F(DispatcherTest, AContinuationThatNobodyCanReadStaysWhereItIs) {
  attach();
  deliver({.token = Token(3), .queue = "celery", .bytes = R"(["join-9", {}])", .is_continuation = true});
  EXPECT_TRUE(consumer.settled.empty());
  dispatcher.drain();
  EXPECT_TRUE(dispatcher.idle());
}

TEST_F(DispatcherTest, OrderedSettlingJoinsBeforeItAcknowledges) {
  backend.are_last = true;
  backend.parts = {R"([1, "id-1", "SUCCESS", 5])"};
  OrderedSettler ordered(consumer, outbox, dispatcher);
  dispatcher.attach(consumer, ordered);
  deliver(delivery(1, header_task()));
  end_last(success());
  posted.run_one();  // counted: the last
  EXPECT_TRUE(consumer.settled.empty());
  posted.run_one();  // the parts
  posted.run_one();  // joined
  EXPECT_THAT(journal.lines(5),
              ElementsAre("store id-1 SUCCESS", "count id-1", "declare celery", "send body-id", "end group-1"));
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].disposal, Disposal::acknowledge);
  EXPECT_TRUE(consumer.settled[0].sends.empty());
}

TEST_F(DispatcherTest, AnEarlyAcknowledgedPartIsCountedAndJoinedAllTheSame) {
  world.config.task_acks_late = false;
  backend.are_last = true;
  backend.parts = {R"([1, "id-1", "SUCCESS", 5])"};
  attach();
  deliver(delivery(1, header_task()));
  start_last();
  dispatcher.on_settled(Token(1), SettleStatus::settled);
  end_last(success());
  for (int i = 0; i < 3; ++i) posted.run_one();
  EXPECT_THAT(journal.lines(5),
              ElementsAre("store id-1 SUCCESS", "count id-1", "declare celery", "send body-id", "end group-1"));
  EXPECT_TRUE(dispatcher.idle());
}

// A step of a stored workflow: what follows it is a node of the graph "g".
wire::TaskMessage stored_step() {
  wire::TaskMessage message = message_of();
  message.custom_headers.set("lovage_graph", Value("g"));
  wire::Body body;
  body.embed.chain = Array{wire::make_reference({"g", 0, 1}, "last-id", {})};
  EXPECT_TRUE(wire::encode_body(message, body, {}));
  return message;
}

TEST_F(DispatcherTest, WhatFollowsAStoredStepIsReadBeforeItRuns) {
  broker.pages = {R"([null, {"task": "next"}])"};
  attach();
  deliver(delivery(1, stored_step()));
  EXPECT_TRUE(pool.submitted.empty());
  EXPECT_FALSE(dispatcher.idle());
  posted.run_one();
  ASSERT_THAT(pool.submitted, SizeIs(1));
  end_last(success());
  ASSERT_THAT(consumer.settled, SizeIs(1));
  ASSERT_THAT(consumer.settled[0].sends, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].sends[0].task, "next");
  const broker::GraphUse use = consumer.settled[0].graph.value();
  EXPECT_EQ(std::tuple(use.graph_id, use.added, use.ended), std::tuple("g", 1U, 1U));
  // The page is known now.
  deliver(delivery(2, stored_step()));
  EXPECT_THAT(pool.submitted, SizeIs(2));
}

TEST_F(DispatcherTest, AStepWhoseGraphIsLostDoesNotRun) {
  attach();
  deliver(delivery(1, stored_step()));
  posted.run_one();
  EXPECT_TRUE(pool.submitted.empty());
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].disposal, Disposal::carry_on) << "the steps in between are still to be told";
  ASSERT_THAT(consumer.settled[0].buried, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].buried[0].letter.reason, "graph-lost");
  EXPECT_FALSE(consumer.settled[0].graph) << "a dead letter holds its graph on";
  ASSERT_THAT(consumer.settled[0].results, SizeIs(2));
  EXPECT_EQ(consumer.settled[0].results[1].task_id, "last-id");
  dispatcher.on_settled(Token(1), SettleStatus::carries_on);
  posted.run_one();
  ASSERT_THAT(consumer.settled, SizeIs(2));
  EXPECT_EQ(consumer.settled[1].disposal, Disposal::acknowledge);
}

TEST_F(DispatcherTest, AStepThatArrivesWhileItsGraphIsReadGoesBackWhenTheWorkerEnds) {
  attach();
  deliver(delivery(1, stored_step()));
  dispatcher.drain();
  EXPECT_EQ(owner.idle, 0);
  posted.run_one();
  ASSERT_THAT(consumer.settled, SizeIs(1));
  EXPECT_EQ(consumer.settled[0].disposal, Disposal::return_head);
  dispatcher.on_settled(Token(1), SettleStatus::settled);
  EXPECT_TRUE(dispatcher.idle());
}

TEST_F(DispatcherTest, OrderedSettlingHoldsAGraphBeforeItSends) {
  broker.pages = {R"([null, {"task": "next"}])"};
  OrderedSettler ordered(consumer, outbox, dispatcher);
  dispatcher.attach(consumer, ordered);
  deliver(delivery(1, stored_step()));
  posted.run_one();
  end_last(success());
  posted.run_one();
  ASSERT_THAT(consumer.settled, SizeIs(1));
  const auto lines = journal.lines(5);
  EXPECT_EQ(lines[0], "page of g");
  EXPECT_EQ(lines[3], "hold 1 g");
  EXPECT_THAT(lines[4], ::testing::StartsWith("send "));
  const broker::GraphUse use = consumer.settled[0].graph.value();
  EXPECT_EQ(std::tuple(use.added, use.ended), std::tuple(0U, 1U)) << "the hold ends with the message";
}

}  // namespace
}  // namespace lovage::worker
