// Chords that are counted, and continuations that are left, in the step that settles.
#include <lovage/states.hpp>

#include <fmt/format.h>

#include "component/broker/redis_rig.hpp"

namespace lovage::test {
namespace {

using broker::ChordEnd;
using broker::ChordPart;
using broker::Disposal;
using broker::Settlement;
using broker::SettleStatus;
using contract::message;
using contract::patience;
using contract::publish;
using contract::Worker;
using testing::AllOf;
using testing::ElementsAre;
using testing::Gt;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

constexpr std::int64_t kNever = -1;

ChordPart part(const std::string& id, std::optional<std::int64_t> index, const std::string& result = "1") {
  return {index, id, fmt::format(R"([1, "{}", "SUCCESS", {}])", id, result)};
}

class RedisChords : public RedisRig {
 protected:
  client::RedisReply results(std::initializer_list<std::string_view> words) { return server.command(words, kResultDb); }
  static std::string key(const std::string& suffix, const std::string& group = "g") {
    return "celery-taskset-meta-" + group + suffix;
  }
  std::int64_t ttl(const std::string& key) { return results({"TTL", key}).integer; }
  std::string size(const std::string& group = "g") { return results({"GET", key(".s", group)}).text; }
  std::vector<std::string> parts(const std::string& group = "g") {
    return direct.backend()->chord_parts(group, "", 100, patience()).value().texts;
  }
  void start(std::uint64_t size, const std::string& group = "g") {
    ASSERT_TRUE(direct.backend()->start_chord({group, size}, patience()));
  }
  // The token of a message that the worker has reserved.
  Token reserved(Worker& worker, const std::string& id) {
    publish(*direct.broker(), {message(id)});
    return worker.take_one().token;
  }
  // A header task that ended well.
  static Settlement ended(Token token, ChordPart part, const std::string& group = "g") {
    Settlement settlement;
    settlement.token = token;
    settlement.results.push_back({part.task_id, std::string(states::success), R"({"status": "SUCCESS"})"});
    settlement.counts =
        broker::ChordCount{.group_id = group, .parts = {std::move(part)}, .continuation = "join " + group};
    return settlement;
  }
  SettleStatus end(Worker& worker, ChordPart part, const std::string& group = "g") {
    const Token token = reserved(worker, part.task_id);
    return worker.settle(ended(token, std::move(part), group));
  }
  std::string held(Worker& worker, Token token) {
    return redis({"HGET", key_of("reserved", worker.incarnation()), std::to_string(token.get()) + ":q"}).text;
  }
};

TEST_F(RedisChords, APartCountsOnceByItsTasksId) {
  Worker worker(direct);
  start(3);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("a", 0, R"("run again")")), SettleStatus::settled);
  EXPECT_THAT(parts(), ElementsAre(R"([1, "a", "SUCCESS", 1])"));
  // Escaped as another writer would, and packed as a worker with another serializer does.
  EXPECT_EQ(end(worker, {1, "\xc3\xa9", R"([1,"\u00e9","FAILURE",{}])"}), SettleStatus::settled);
  EXPECT_EQ(end(worker, {1, "\xc3\xa9", "[1, \"\xc3\xa9\", \"SUCCESS\", 1]"}), SettleStatus::settled);
  EXPECT_THAT(parts(), SizeIs(2));
  results({"ZADD", key(".j"), "2", "\x94\x01\xa1p\xa7SUCCESS\x05"});
  EXPECT_EQ(end(worker, {2, "p", R"([1, "p", "SUCCESS", 6])"}), SettleStatus::carries_on) << "a Python worker died";
  EXPECT_THAT(parts(), SizeIs(3));
}

// As header tasks mostly end: many in one batch, some of them twice, between parts of before.
TEST_F(RedisChords, PartsOfOneBatchCountOnceEachAndOneMessageIsLeftForTheJoin) {
  Worker worker(direct);
  start(5);
  EXPECT_EQ(end(worker, part("b", 1, R"("before")")), SettleStatus::settled);
  const std::vector<ChordPart> ending{part("a", 0),      part("b", 1), part("c", 2),
                                      part("a", 0, "2"), part("d", 3), part("e", 4)};
  std::vector<Token> tokens;
  for (const auto& each : ending) tokens.push_back(reserved(worker, each.task_id));
  worker.on_loop([&](broker::Consumer& consumer) {
    for (std::size_t i = 0; i < ending.size(); ++i) consumer.settle(ended(tokens[i], ending[i]));
  });
  ASSERT_TRUE(until([&] { return info().reserved == 1; }));
  EXPECT_THAT(parts(),
              ElementsAre(R"([1, "a", "SUCCESS", 1])", R"([1, "b", "SUCCESS", "before"])", R"([1, "c", "SUCCESS", 1])",
                          R"([1, "d", "SUCCESS", 1])", R"([1, "e", "SUCCESS", 1])"));
  EXPECT_EQ(held(worker, tokens.back()), "\1join g");
  EXPECT_EQ(size(), "") << "taken by whoever joins";
  for (const auto& each : ending) EXPECT_GT(ttl("celery-task-meta-" + each.task_id), 29 * 86'400);
}

TEST_F(RedisChords, TasksOfOneIndexAreTwoPartsAndSoAreThoseWithout) {
  Worker worker(direct);
  start(5);
  for (const auto index : {std::optional<std::int64_t>(0), std::optional<std::int64_t>()}) {
    EXPECT_EQ(end(worker, part(index ? "a" : "c", index)), SettleStatus::settled);
    EXPECT_EQ(end(worker, part(index ? "b" : "d", index)), SettleStatus::settled);
    EXPECT_EQ(end(worker, part(index ? "b" : "d", index, "3")), SettleStatus::settled) << "counted";
  }
  EXPECT_EQ(end(worker, part("z", 7)), SettleStatus::carries_on);
  EXPECT_THAT(parts(), SizeIs(5));
}

TEST_F(RedisChords, WhatAPythonWorkerMadeExpireStaysOnceMore) {
  Worker worker(direct);
  start(3);
  ASSERT_TRUE(direct.backend()->extend_chord("g", patience()));
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  for (const char* suffix : {".j", ".s", ".t"}) results({"EXPIRE", key(suffix), "100"});
  EXPECT_EQ(end(worker, part("b", 1)), SettleStatus::settled);
  for (const char* suffix : {".j", ".s", ".t"}) EXPECT_EQ(ttl(key(suffix)), kNever) << suffix;
}

// Python workers send the body when parts and size agree: without the size they never do.
TEST_F(RedisChords, WhoHoldsTheContinuationTakesTheSizeAway) {
  Worker worker(direct);
  start(1);
  const Token last = reserved(worker, "a");
  EXPECT_EQ(worker.settle(ended(last, part("a", 0))), SettleStatus::carries_on);
  EXPECT_EQ(held(worker, last), "\x01join g");
  EXPECT_EQ(results({"EXISTS", key(".s")}).integer, 0);
  EXPECT_EQ(end(worker, part("a", 0)), SettleStatus::settled);
  EXPECT_EQ(ttl(key(".j")), kNever);
}

TEST_F(RedisChords, WhatCannotLeaveIsNotCounted) {
  Worker worker(direct);
  start(2);
  const Token token = reserved(worker, "a");
  redis({"ACL", "SETUSER", "default", "-hdel"});
  EXPECT_EQ(worker.settle(ended(token, part("a", 0))), SettleStatus::failed);
  redis({"ACL", "SETUSER", "default", "+hdel"});
  EXPECT_THAT(parts(), IsEmpty());
  EXPECT_EQ(info().reserved, 1U);
}

TEST_F(RedisChords, ALastPartWhoseReplyWasCutCountsOnceAndIsToldAgain) {
  Worker worker(gated);
  start(1);
  const Token token = reserved(worker, "a");
  gate.truncate(TcpGate::Direction::to_client, 0);
  EXPECT_EQ(worker.settle(ended(token, part("a", 0))), SettleStatus::carries_on);
  EXPECT_EQ(gate.cuts(), 1U);
  EXPECT_THAT(parts(), SizeIs(1));
  EXPECT_EQ(worker.settle(token), SettleStatus::settled) << "its own continuation was not delivered to it once more";
  EXPECT_EQ(info().reserved, 0U);
}

TEST_F(RedisChords, AFullMemoryStopsNoLastPart) {
  Worker worker(direct);
  start(1);
  const Token token = reserved(worker, "a");
  redis({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(worker.settle(ended(token, part("a", 0))), SettleStatus::carries_on);
  redis({"CONFIG", "SET", "maxmemory", "0"});
}

// Every write there is: ends a chord that was joined, counts the last part of another, starts a third.
class RedisFailingChords : public RedisChords, public testing::WithParamInterface<std::string> {
 protected:
  static Settlement everything(Token token) {
    auto settlement = ended(token, part("a", 0));
    settlement.sends.push_back(message("link", "links"));
    settlement.counts->added = 1;
    settlement.chords.push_back({"new", 4});
    settlement.chords.push_back({"restarted", 5});
    settlement.ended_chord = ChordEnd{"old", {"x"}};
    return settlement;
  }
};

INSTANTIATE_TEST_SUITE_P(Commands, RedisFailingChords,
                         testing::Values("set", "publish", "zadd", "incrby", "expire", "persist", "unlink", "hset",
                                         "lpush"),
                         [](const auto& at) { return at.param; });

TEST_P(RedisFailingChords, TheMessageStaysReservedAndTheChordsAreAsTheyWere) {
  Worker worker(direct);
  start(0);
  start(1, "old");
  start(3, "restarted");
  ASSERT_TRUE(
      direct.backend()->count_parts({.group_id = "old", .parts = {part("x", 0)}, .continuation = {}}, patience()));
  results({"EXPIRE", key(".s"), "1000"});
  results({"EXPIRE", key(".s", "restarted"), "1000"});
  const Token token = reserved(worker, "a");
  const std::string bytes = held(worker, token);

  redis({"ACL", "SETUSER", "default", "-" + GetParam()});
  EXPECT_EQ(worker.settle(everything(token)), SettleStatus::failed);
  redis({"ACL", "SETUSER", "default", "+" + GetParam()});
  EXPECT_EQ(held(worker, token), bytes);
  EXPECT_EQ(info().reserved, 1U);
  EXPECT_EQ(info("links").ready, 0U);
  EXPECT_EQ(size(), "0");
  EXPECT_THAT(ttl(key(".s")), AllOf(Gt(0), Le(1'000)));
  EXPECT_EQ(results({"EXISTS", key(".t")}).integer, 0);
  EXPECT_THAT(parts(), IsEmpty());
  EXPECT_EQ(results({"EXISTS", key(".s", "new")}).integer, 0);
  EXPECT_EQ(size("restarted"), "3");
  EXPECT_THAT(ttl(key(".s", "restarted")), AllOf(Gt(0), Le(1'000)));
  EXPECT_EQ(size("old"), "1");
  EXPECT_THAT(parts("old"), SizeIs(1));

  EXPECT_EQ(worker.settle(everything(token)), SettleStatus::carries_on);
  EXPECT_EQ(held(worker, token), "\x01join g");
  EXPECT_EQ(info("links").ready, 1U);
  EXPECT_EQ(size("new"), "4");
  EXPECT_EQ(size("restarted"), "5");
  EXPECT_THAT(parts("old"), IsEmpty());
}

TEST_F(RedisChords, KeysOfAWrongTypeAreFoundBeforeAnythingIsWritten) {
  Worker worker(direct);
  const Token token = reserved(worker, "a");
  auto settlement = ended(token, part("a", 0));
  settlement.chords.push_back({"new", 4});
  for (const std::string& wrong : {key(".j"), key(".s"), key(".t"), key(".s", "new")}) {
    results({"SADD", wrong, "x"});
    EXPECT_EQ(worker.settle(settlement), SettleStatus::failed) << wrong;
    results({"DEL", wrong});
    EXPECT_THAT(results({"KEYS", "*"}).items, IsEmpty()) << wrong;
    EXPECT_EQ(info().reserved, 1U);
  }
  results({"SET", key(".s"), "many"});
  EXPECT_EQ(worker.settle(settlement), SettleStatus::failed);
  EXPECT_THAT(parts(), IsEmpty());
  results({"SET", key(".s"), "1"});
  EXPECT_EQ(worker.settle(settlement), SettleStatus::carries_on);
}

TEST_F(RedisChords, PartsThatPythonWorkersKeepInAListAreCountedThere) {
  Worker worker(direct);
  start(4);
  const std::string theirs = part("theirs", 2).text;
  results({"RPUSH", key(".j"), theirs});
  results({"EXPIRE", key(".j"), "100"});
  EXPECT_EQ(end(worker, part("b", 1)), SettleStatus::settled);
  EXPECT_EQ(ttl(key(".j")), kNever);
  EXPECT_EQ(end(worker, part("b", 1, R"("run again")")), SettleStatus::settled);
  EXPECT_EQ(end(worker, part("theirs", 2, R"("run again")")), SettleStatus::settled);
  EXPECT_THAT(parts(), ElementsAre(theirs, part("b", 1).text));

  const Token token = reserved(worker, "a");
  auto undone = ended(token, part("a", 0));
  undone.chords.push_back({"new", 4});
  redis({"ACL", "SETUSER", "default", "-expire"});
  EXPECT_EQ(worker.settle(undone), SettleStatus::failed);
  redis({"ACL", "SETUSER", "default", "+expire"});
  EXPECT_THAT(parts(), SizeIs(2));

  EXPECT_EQ(worker.settle(undone), SettleStatus::settled);
  const Token last = reserved(worker, "c");
  EXPECT_EQ(worker.settle(ended(last, part("c", 3))), SettleStatus::carries_on);
  EXPECT_THAT(parts(), ElementsAre(theirs, part("b", 1).text, part("a", 0).text, part("c", 3).text));
  Settlement join;
  join.token = last;
  join.ended_chord = ChordEnd{"g", {"a"}};
  EXPECT_EQ(worker.settle(join), SettleStatus::settled);
  EXPECT_EQ(results({"EXISTS", key(".j")}).integer, 0);
}

// What fails of one settlement is as if it had never come, for those behind it in the batch.
TEST_F(RedisChords, APartThatCannotBeSettledDoesNotCountForTheOthersOfItsBatch) {
  Worker worker(direct);
  start(2);
  publish(*direct.broker(), {message("a"), message("b"), message("c")});
  worker.credit(3);
  const auto deliveries = worker.take(3);
  results({"SADD", "celery-task-meta-a", "no result"});
  worker.on_loop([&](broker::Consumer& consumer) {
    consumer.settle(ended(deliveries[0].token, part("a", 0)));
    consumer.settle(ended(deliveries[1].token, part("b", 1)));
  });
  EXPECT_EQ(worker.settle(ended(deliveries[2].token, part("c", 2))), SettleStatus::carries_on);
  EXPECT_THAT(parts(), ElementsAre(part("b", 1).text, part("c", 2).text));
  EXPECT_EQ(info().reserved, 2U) << "the one that failed, and the continuation";
}

}  // namespace
}  // namespace lovage::test
