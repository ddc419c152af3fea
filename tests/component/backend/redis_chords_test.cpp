// Chords and groups through the backend: under Celery's keys, in Celery's forms.
#include <gmock/gmock.h>

#include <fmt/format.h>

#include "backend/redis/redis_backend.hpp"
#include "support/redis_server.hpp"

namespace lovage::backend::redis {
namespace {

using broker::ChordPart;
using testing::AllOf;
using testing::ElementsAre;
using testing::Gt;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

constexpr std::int64_t kHour = 3'600;
constexpr std::int64_t kNever = -1;

ChordPart part(const std::string& id, std::int64_t index) {
  return {index, id, fmt::format(R"([1, "{}", "SUCCESS", {}])", id, index)};
}

broker::ChordCount count(std::vector<ChordPart> parts) {
  return {.group_id = "g", .parts = std::move(parts), .continuation = {}};
}

class RedisBackendChords : public testing::Test {
 protected:
  RedisBackend backend_with(std::chrono::seconds expires) {
    RedisBackendOptions options;
    options.redis = client::redis_options_from_url(server.url()).value();
    options.redis.global_keyprefix = "res";
    options.expires = expires;
    return RedisBackend(std::move(options));
  }
  static Deadline soon() { return Deadline::after(std::chrono::seconds(20)); }
  static std::string key(const std::string& suffix) { return "res_celery-taskset-meta-g" + suffix; }
  std::int64_t ttl(const std::string& key) { return server.command({"TTL", key}).integer; }
  std::string value(const std::string& key) { return server.command({"GET", key}).text; }
  std::vector<std::string> parts(RedisBackend& from) { return from.chord_parts("g", "", 100, soon()).value().texts; }

  test::RedisServer server;
  RedisBackend backend{backend_with(std::chrono::hours(1))};
};

TEST_F(RedisBackendChords, StartingSaysTheSizeAndSaysItAgain) {
  ASSERT_TRUE(backend.start_chord({"g", 3}, soon()));
  EXPECT_EQ(value(key(".s")), "3");
  EXPECT_EQ(ttl(key(".s")), kNever);
  EXPECT_FALSE(backend.count_parts(count({part("a", 0)}), soon()).value());
  ASSERT_TRUE(backend.start_chord({"g", 2}, soon()));
  EXPECT_EQ(value(key(".s")), "2");
  EXPECT_THAT(parts(backend), SizeIs(1));
}

TEST_F(RedisBackendChords, PartsAreCompleteForWhoeverAsksUntilTheChordEnds) {
  ASSERT_TRUE(backend.start_chord({"g", 2}, soon()));
  EXPECT_FALSE(backend.count_parts(count({part("b", 1)}), soon()).value());
  EXPECT_FALSE(backend.count_parts(count({part("b", 1)}), soon()).value());
  EXPECT_TRUE(backend.count_parts(count({part("a", 0)}), soon()).value());
  EXPECT_TRUE(backend.count_parts(count({part("a", 0)}), soon()).value());
  EXPECT_THAT(parts(backend), ElementsAre(part("a", 0).text, part("b", 1).text));
  for (int twice = 0; twice < 2; ++twice) ASSERT_TRUE(backend.end_chord({"g", {"a", "b"}}, soon()));
  EXPECT_THAT(server.command({"KEYS", "*"}).items, IsEmpty());
  EXPECT_FALSE(backend.count_parts(count({part("a", 0)}), soon()).value());
  EXPECT_THAT(ttl(key(".j")), AllOf(Gt(0), Le(kHour)));
}

// As captured from Celery 5.6.3 in the middle of a chord of three.
TEST_F(RedisBackendChords, WhatPythonWorkersAndProducersWroteGoesOn) {
  const std::string theirs = R"([1, "7088d77f-8586-4c49-83cb-3971dad88c08", "SUCCESS", 1])";
  server.command({"SETEX", key(".s"), "86400", "3"});
  server.command({"ZADD", key(".j"), "0", theirs});
  server.command({"EXPIRE", key(".j"), "86400"});
  EXPECT_FALSE(
      backend.count_parts(count({{0, "7088d77f-8586-4c49-83cb-3971dad88c08", "of a second run"}}), soon()).value());
  EXPECT_FALSE(backend.count_parts(count({part("b", 1)}), soon()).value());
  EXPECT_EQ(ttl(key(".j")), kNever);
  EXPECT_EQ(ttl(key(".s")), kNever);
  EXPECT_TRUE(backend.count_parts(count({part("c", 2)}), soon()).value());
  EXPECT_THAT(parts(backend), ElementsAre(theirs, part("b", 1).text, part("c", 2).text));
}

TEST_F(RedisBackendChords, ExtendingBeforeOrAfterTheSizeWaitsForOneMore) {
  ASSERT_TRUE(backend.extend_chord("g", soon()));
  EXPECT_THAT(ttl(key(".t")), AllOf(Gt(0), Le(kHour)));
  ASSERT_TRUE(backend.start_chord({"g", 1}, soon()));
  EXPECT_EQ(ttl(key(".t")), kNever);
  ASSERT_TRUE(backend.extend_chord("g", soon()));
  EXPECT_EQ(value(key(".t")), "2");
  EXPECT_EQ(ttl(key(".t")), kNever);
  EXPECT_FALSE(backend.count_parts(count({part("a", 0), part("b", 0)}), soon()).value());
  EXPECT_TRUE(backend.count_parts(count({part("c", 0)}), soon()).value());
}

TEST_F(RedisBackendChords, WithoutAnOrderTheFirstPartBeginsAListAndTheOthersFollowWhatIsThere) {
  RedisBackendOptions options;
  options.redis = client::redis_options_from_url(server.url()).value();
  options.redis.global_keyprefix = "res";
  options.ordered_chords = false;
  RedisBackend unordered(std::move(options));
  ASSERT_TRUE(backend.start_chord({"g", 2}, soon()));
  EXPECT_FALSE(unordered.count_parts(count({part("b", 1)}), soon()).value());
  EXPECT_EQ(server.command({"TYPE", key(".j")}).text, "list");
  EXPECT_FALSE(unordered.count_parts(count({part("b", 1)}), soon()).value());
  EXPECT_TRUE(backend.count_parts(count({part("a", 0)}), soon()).value()) << "told otherwise, but it looks";
  EXPECT_THAT(parts(unordered), ElementsAre(part("b", 1).text, part("a", 0).text));
  ASSERT_TRUE(unordered.end_chord({"g", {"a", "b"}}, soon()));
  EXPECT_FALSE(backend.count_parts(count({part("c", 0)}), soon()).value());
  EXPECT_FALSE(unordered.count_parts(count({part("d", 1)}), soon()).value());
  EXPECT_EQ(server.command({"TYPE", key(".j")}).text, "zset");
  EXPECT_THAT(parts(unordered), ElementsAre(part("c", 0).text, part("d", 1).text));
}

TEST_F(RedisBackendChords, WhatATaskAddsIsExpectedOnce) {
  ASSERT_TRUE(backend.start_chord({"g", 1}, soon()));
  auto adding = count({part("a", 0)});
  adding.added = 1;
  for (int twice = 0; twice < 2; ++twice) EXPECT_FALSE(backend.count_parts(adding, soon()).value());
  EXPECT_EQ(value(key(".t")), "1");
  EXPECT_TRUE(backend.count_parts(count({part("added", 0)}), soon()).value());
}

TEST_F(RedisBackendChords, PartsAreReadPageByPageInTheOrderOfTheirIndices) {
  for (int i = 12; i-- > 0;) {
    ASSERT_TRUE(backend.count_parts(count({part(fmt::format("{}", i), i)}), soon()));
  }
  ASSERT_TRUE(backend.count_parts(count({{{}, "last", R"([1, "last", "FAILURE", {}])"}}), soon()));
  EXPECT_THAT(backend.chord_parts("g", "0", 2, soon()).value().texts,
              ElementsAre(part("0", 0).text, part("1", 1).text));
  EXPECT_THAT(backend.chord_parts("g", "9", 3, soon()).value().texts,
              ElementsAre(part("9", 9).text, part("10", 10).text, part("11", 11).text));
  EXPECT_THAT(backend.chord_parts("g", "12", 100, soon()).value().texts, ElementsAre(R"([1, "last", "FAILURE", {}])"));
  EXPECT_THAT(backend.chord_parts("g", "13", 100, soon()).value().texts, IsEmpty());
  EXPECT_THAT(backend.chord_parts("g", "0", 0, soon()).value().texts, IsEmpty());
}

TEST_F(RedisBackendChords, ResultsOfTheHeaderStayWhileTheChordLives) {
  const broker::StoreResult results[] = {{"a", "SUCCESS", R"({"status": "SUCCESS"})"}};
  ASSERT_TRUE(backend.store(results, soon()).front());
  ASSERT_TRUE(backend.start_chord({"g", 1}, soon()));
  EXPECT_THAT(ttl("res_celery-task-meta-a"), Le(kHour));
  ASSERT_TRUE(backend.count_parts(count({part("a", 0)}), soon()).value());
  EXPECT_GT(ttl("res_celery-task-meta-a"), 24 * kHour);
  ASSERT_TRUE(backend.end_chord({"g", {"a"}}, soon()));
  EXPECT_THAT(ttl("res_celery-task-meta-a"), AllOf(Gt(0), Le(kHour)));
}

TEST_F(RedisBackendChords, NothingExpiresWhereResultsNeverDo) {
  RedisBackend eternal = backend_with(std::chrono::seconds(0));
  const broker::StoreResult results[] = {{"a", "SUCCESS", R"({"status": "SUCCESS"})"}};
  ASSERT_TRUE(eternal.store(results, soon()).front());
  ASSERT_TRUE(eternal.extend_chord("g", soon()));
  ASSERT_TRUE(eternal.count_parts(count({part("a", 0)}), soon()));
  ASSERT_TRUE(eternal.save_group("g", "{}", soon()));
  for (const auto& name : {key(".j"), key(".t"), key(""), std::string("res_celery-task-meta-a")}) {
    EXPECT_EQ(ttl(name), kNever) << name;
  }
  ASSERT_TRUE(eternal.end_chord({"g", {"a"}}, soon()));
  EXPECT_EQ(ttl("res_celery-task-meta-a"), kNever);
}

TEST_F(RedisBackendChords, ASizeThatIsNoNumberIsSaid) {
  server.command({"SET", key(".s"), "many"});
  const auto counted = backend.count_parts(count({part("a", 0)}), soon());
  ASSERT_FALSE(counted);
  EXPECT_THAT(counted.error().message, testing::HasSubstr("size of a chord"));
  EXPECT_THAT(parts(backend), IsEmpty());
}

TEST_F(RedisBackendChords, GroupsAreFoundByTheirId) {
  EXPECT_EQ(backend.restore_group("g", soon()).value(), std::nullopt);
  ASSERT_TRUE(backend.save_group("g", R"({"result": [["g", null], []]})", soon()));
  EXPECT_EQ(value(key("")), R"({"result": [["g", null], []]})");
  EXPECT_THAT(ttl(key("")), AllOf(Gt(0), Le(kHour)));
  EXPECT_EQ(backend.restore_group("g", soon()).value(), R"({"result": [["g", null], []]})");
  ASSERT_TRUE(backend.forget_group("g", soon()));
  EXPECT_EQ(backend.restore_group("g", soon()).value(), std::nullopt);
}

}  // namespace
}  // namespace lovage::backend::redis
