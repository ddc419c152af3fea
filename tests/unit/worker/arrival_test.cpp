#include "worker/arrival.hpp"

#include <gtest/gtest.h>

#include "unit/worker/support.hpp"

namespace lovage::worker {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the support of these tests
using broker::Disposal;
using std::chrono::hours;
using std::chrono::seconds;

broker::Delivery delivery_of(const wire::TaskMessage& message) {
  return {.token = Token(7), .queue = "celery", .step = 0, .bytes = wire::encode_envelope(message)};
}

Arrival arrive(const World& world, broker::Delivery delivery, std::function<bool(const std::string&)> revoked = {}) {
  const Facts facts = world.facts();
  EmbedReader embeds(facts);
  return assess(std::move(delivery), facts, SettlementRules(facts), embeds, kNow, revoked);
}

broker::Settlement settled(const World& world, broker::Delivery delivery) {
  Arrival arrival = arrive(world, std::move(delivery));
  auto* const settle = std::get_if<Decided>(&arrival);
  EXPECT_NE(settle, nullptr) << "it would be run";
  return settle != nullptr ? settle->settlement : broker::Settlement{};
}

TEST(Arriving, RunsWhatItKnows) {
  const World world;
  const auto delivery = delivery_of(message_of({.args = {Value(1)}, .kwargs = {}, .embed = {}}));
  Arrival arrival = arrive(world, delivery);
  auto* const run = std::get_if<Accepted>(&arrival);
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(run->job.id(), "id-1");
  EXPECT_EQ(run->job.token, Token(7));
  EXPECT_EQ(run->job.bytes, delivery.bytes.size());
  EXPECT_EQ(run->job.embed, nullptr);
}

TEST(Arriving, TakesLimitsFromMessageTaskAndSettings) {
  World world;
  world.config.task_time_limit = seconds(30);
  world.registry.add(task_named("limited", {.soft_time_limit = seconds(5)}));
  auto message = message_of();
  message.task = "limited";
  message.timelimit.hard = 1.5;
  Arrival arrival = arrive(world, delivery_of(message));
  EXPECT_EQ(std::get<Accepted>(arrival).job.rules.time_limit, std::chrono::milliseconds(1'500));
  EXPECT_EQ(std::get<Accepted>(arrival).job.rules.soft_time_limit, seconds(5));
  message.timelimit.hard = 0;
  arrival = arrive(world, delivery_of(message));
  EXPECT_EQ(std::get<Accepted>(arrival).job.rules.time_limit, seconds(30));
  world.config.task_time_limit = std::chrono::milliseconds::max();
  EXPECT_FALSE(std::get<Accepted>(arrive(world, delivery_of(message))).job.rules.time_limit);
}

TEST(Arriving, MalformedEnvelopesBecomeDeadLetters) {
  for (const std::string bytes : {"", "not json", "[]", "{}", R"({"body": "W10=", "headers": {"task": "add"}})"}) {
    const auto settlement = settled(World(), {.token = Token(9), .queue = "celery", .step = 0, .bytes = bytes});
    EXPECT_EQ(settlement.token, Token(9)) << bytes;
    EXPECT_EQ(settlement.disposal, Disposal::dead_letter) << bytes;
    EXPECT_FALSE(settlement.dead_letter.reason.empty()) << bytes;
    EXPECT_TRUE(settlement.results.empty()) << bytes;  // no id
  }
}

TEST(Arriving, RefusedContentTypesBecomeDeadLettersWithAFailure) {
  auto message = message_of();
  message.content_type = "application/x-python-serialize";
  const auto settlement = settled(World(), delivery_of(message));
  EXPECT_EQ(settlement.disposal, Disposal::dead_letter);
  EXPECT_EQ(settlement.dead_letter.reason, "refused-content-type");
  ASSERT_EQ(settlement.results.size(), 1U);
  EXPECT_EQ(settlement.results[0].task_id, "id-1");
  EXPECT_EQ(*stored(settlement.results[0]).result.find("exc_type"), Value("ContentDisallowed"));
}

TEST(Arriving, LinesOfTheLogCannotBeFeignedByMessages) {
  auto message = message_of();
  message.id = "id\n[2026-01-01: INFO]";
  message.task = "no\x1b[2J";
  for (const std::string type : {"application/json", "text/\x1b[31m\n"}) {
    message.content_type = type;
    const Arrival arrival = arrive(World(), delivery_of(message));
    const std::string& line = std::get<Decided>(arrival).line.text;
    EXPECT_EQ(line.find_first_of("\x1b\n"), std::string::npos) << line;
    EXPECT_NE(line.find(R"(no\x1b[2J)"), std::string::npos) << line;
  }
}

TEST(Arriving, BodiesThatCannotBeReadBecomeDeadLettersWithAFailure) {
  auto message = message_of();
  message.body = "[[1, 2], {}, {\"callbacks\": [";
  const auto settlement = settled(World(), delivery_of(message));
  EXPECT_EQ(settlement.disposal, Disposal::dead_letter);
  EXPECT_EQ(settlement.results.at(0).state, "FAILURE");
}

TEST(Arriving, ExpiredOnesAreRevoked) {
  auto message = message_of();
  message.expires = wire::to_wire_time(kNow - seconds(1));
  const auto settlement = settled(World(), delivery_of(message));
  EXPECT_EQ(settlement.disposal, Disposal::acknowledge);
  EXPECT_EQ(settlement.results.at(0).state, "REVOKED");
  EXPECT_EQ(*stored(settlement.results.at(0)).result.find("exc_message"), Value(Array{Value("expired")}));
}

TEST(Arriving, RevokedOnesAreRevoked) {
  Arrival arrival = arrive(World(), delivery_of(message_of()), [](const std::string& id) { return id == "id-1"; });
  const auto& settlement = std::get<Decided>(arrival).settlement;
  EXPECT_EQ(settlement.results.at(0).state, "REVOKED");
  EXPECT_EQ(*stored(settlement.results.at(0)).result.find("exc_message"), Value(Array{Value("revoked")}));
}

TEST(Arriving, FutureEtasWaitInTheSchedule) {
  auto message = message_of();
  message.eta = wire::to_wire_time(kNow + hours(1));
  const auto settlement = settled(World(), delivery_of(message));
  EXPECT_EQ(settlement.disposal, Disposal::schedule);
  EXPECT_EQ(settlement.due.delay, hours(1));
  EXPECT_FALSE(settlement.replacement);
  message.eta = wire::to_wire_time(kNow);
  EXPECT_TRUE(std::holds_alternative<Accepted>(arrive(World(), delivery_of(message))));
}

TEST(Arriving, UnknownTasksWaitLongerAndLonger) {
  World world;
  auto message = message_of();
  message.task = "nobody.knows";
  auto delivery = delivery_of(message);
  std::vector<std::int64_t> delays;
  for (int round = 0; round < 8; ++round) {
    const auto settlement = settled(world, delivery);
    ASSERT_EQ(settlement.disposal, Disposal::schedule);
    ASSERT_TRUE(settlement.marks);
    delays.push_back(std::chrono::duration_cast<seconds>(settlement.due.delay).count());
    delivery.waited_unknown = settlement.marks->waited_unknown;
  }
  EXPECT_EQ(delays, (std::vector<std::int64_t>{1, 2, 4, 8, 16, 32, 60, 60}));
}

TEST(Arriving, UnknownTasksWaitUnderTheirName) {
  auto message = message_of();
  message.task = "no.such";
  EXPECT_EQ(settled(World(), delivery_of(message)).unknown_task, "no.such");
  message.task = "add";
  message.eta = wire::to_wire_time(kNow + seconds(10));
  EXPECT_EQ(settled(World(), delivery_of(message)).unknown_task, "");
}

TEST(Arriving, UnknownTasksDieAfterTheirTime) {
  World world;
  auto message = message_of();
  message.task = "nobody.knows";
  auto delivery = delivery_of(message);
  delivery.waited_unknown = world.config.unknown_task_ttl;
  const auto settlement = settled(world, delivery);
  EXPECT_EQ(settlement.disposal, Disposal::dead_letter);
  EXPECT_EQ(settlement.dead_letter.reason, "not-registered");
  EXPECT_EQ(to_json(stored(settlement.results.at(0)).result),
            R"({"exc_type": "NotRegistered", "exc_message": ["nobody.knows"], "exc_module": "celery.exceptions"})");
}

TEST(Arriving, TooManyStrikesArePoison) {
  auto delivery = delivery_of(message_of());
  delivery.suspect = true;
  delivery.strikes = 2;
  EXPECT_TRUE(std::get<Accepted>(arrive(World(), delivery)).job.marks.suspect);
  delivery.strikes = 3;
  const auto settlement = settled(World(), delivery);
  EXPECT_EQ(settlement.disposal, Disposal::dead_letter);
  EXPECT_EQ(settlement.dead_letter.reason, "poison");
}

}  // namespace
}  // namespace lovage::worker
