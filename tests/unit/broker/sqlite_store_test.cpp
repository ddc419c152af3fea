// What the contract suite cannot move: the clock, and layouts of other versions.
#include <gmock/gmock.h>

#include <lovage/states.hpp>

#include "broker/sqlite/schema.hpp"
#include "broker/sqlite/store.hpp"
#include "support/manual_clock.hpp"

namespace lovage::broker::sqlite {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class SqliteStoreTest : public testing::Test {
 protected:
  StoreResult result(const std::string& id, std::string_view state = states::success) {
    return {id, std::string(state), "meta of " + id};
  }
  std::int64_t rows() { return count("SELECT count(*) FROM results"); }
  std::int64_t count(const char* sql) {
    auto row = store->db().query(sql);
    EXPECT_TRUE(row.step().value_or(false));
    return row.integer(0);
  }
  test::ManualClock clock;
  std::unique_ptr<Store> store = Store::open({":memory:", false}, {60s, &clock}, Deadline::never()).value();
};

TEST_F(SqliteStoreTest, AResultCanBeReadUntilItExpires) {
  ASSERT_TRUE(store->put_result(result("a")));
  clock.advance(59s);
  EXPECT_TRUE(store->result("a").value());
  clock.advance(1s);
  EXPECT_FALSE(store->result("a").value());
}

TEST_F(SqliteStoreTest, AnExpiredSuccessIsReplacedByAnything) {
  ASSERT_TRUE(store->put_result(result("a")));
  clock.advance(61s);
  ASSERT_TRUE(store->put_result(result("a", states::started)));
  EXPECT_EQ(store->result("a").value()->state, states::started);
}

TEST_F(SqliteStoreTest, NewResultsPushOutTheExpiredOnes) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store->put_result(result("old-" + std::to_string(i))));
  clock.advance(61s);
  for (int i = 0; i < 90; ++i) ASSERT_TRUE(store->put_result(result("new-" + std::to_string(i))));
  EXPECT_EQ(rows(), 90);
}

TEST_F(SqliteStoreTest, ResultsThatNeverExpireStay) {
  store = Store::open({":memory:", false}, {0s, &clock}, Deadline::never()).value();
  ASSERT_TRUE(store->put_result(result("a")));
  clock.advance(std::chrono::hours(100'000));
  EXPECT_EQ(store->expire_results(10).value(), 0);
  EXPECT_TRUE(store->result("a").value());
}

TEST_F(SqliteStoreTest, TheSweeperIsReplacedWhenItsTimeIsUp) {
  const IncarnationId a("a");
  const IncarnationId b("b");
  ASSERT_TRUE(store->become_sweeper(a, 15s));
  EXPECT_FALSE(store->is_other_sweeper(a, 15s).value());
  EXPECT_TRUE(store->is_other_sweeper(b, 15s).value());
  clock.advance(15s);
  EXPECT_FALSE(store->is_other_sweeper(b, 15s).value());
}

TEST_F(SqliteStoreTest, ASweeperFromBeforeTheClockWasPutBackDoesNotCount) {
  ASSERT_TRUE(store->become_sweeper(IncarnationId("a"), 15s));
  clock.advance(-std::chrono::hours(1));
  EXPECT_FALSE(store->is_other_sweeper(IncarnationId("b"), 15s).value());
}

TEST_F(SqliteStoreTest, AWorkerThatRenewedMeanwhileIsNotSwept) {
  const IncarnationId a("a");
  ASSERT_TRUE(store->add_worker(a, "celery@a"));
  const DeadIncarnation seen{a, 0};
  ASSERT_TRUE(store->renew(a).value());
  EXPECT_FALSE(store->sweep(seen).value());
  EXPECT_TRUE(store->sweep({a, 1}).value());
  EXPECT_FALSE(store->renew(a).value());
}

TEST_F(SqliteStoreTest, TheIdOfARemovedWorkerIsNotGivenAgain) {
  const OwnerId first = store->add_worker(IncarnationId("a"), "celery@a").value();
  ASSERT_TRUE(store->remove_worker(first));
  EXPECT_NE(store->add_worker(IncarnationId("b"), "celery@b").value(), first);
}

TEST_F(SqliteStoreTest, AtMostAHundredDueMessagesMoveAtOnce) {
  const std::vector<std::string> queues{"q"};
  ASSERT_TRUE(
      store->db().execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)"
                          " INSERT INTO messages(queue, step, place, due, bytes) SELECT 'q', 0, 2, 1, 'm' FROM n"));
  ASSERT_TRUE(store->move_due(queues));
  EXPECT_EQ(store->queue("q").value().ready, 100U);
  ASSERT_TRUE(store->move_due(queues));
  EXPECT_EQ(store->queue("q").value().ready, 150U);
}

// What is said of chords is in the contract suite: here is what stays in the tables.
TEST_F(SqliteStoreTest, OfChordsAndGroupsThatHaveExpiredOrEndedNoRowIsLeft) {
  const ChordCount counts{.group_id = "no size", .parts = {{0, "a", "text"}, {1, "b", "text"}}, .continuation = {}};
  ASSERT_TRUE(store->count_parts(counts));
  ASSERT_TRUE(store->save_group("saved", "text"));
  ASSERT_TRUE(store->start_chord({"lives", 2}));
  ASSERT_TRUE(store->count_parts({.group_id = "lives", .parts = {{0, "a", "text"}}, .continuation = {}}));
  clock.advance(59s);
  EXPECT_EQ(store->expire_chords(10).value() + store->expire_groups(10).value(), 0);
  clock.advance(1s);
  EXPECT_EQ(store->expire_chords(10).value(), 1);
  EXPECT_EQ(store->expire_groups(10).value(), 1);
  EXPECT_EQ(count("SELECT count(*) FROM saved_groups"), 0);
  EXPECT_EQ(count("SELECT count(*) FROM chords"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM chord_parts"), 1);
  ASSERT_TRUE(store->end_chord({"lives", {"a"}}));
  EXPECT_EQ(count("SELECT (SELECT count(*) FROM chords) + (SELECT count(*) FROM chord_parts)"), 0);
}

TEST_F(SqliteStoreTest, PagesOfPartsBeginBehindTheLastPartWhateverCameBeforeItMeanwhile) {
  const auto add = [&](const std::string& id, std::int64_t index) {
    ASSERT_TRUE(store->count_parts({.group_id = "g", .parts = {{index, id, id}}, .continuation = {}}));
  };
  for (const std::int64_t index : {-1, 3, 4, 5, 5, 6})
    add("p" + std::to_string(count("SELECT count(*) FROM chord_parts")), index);
  const auto first = store->chord_parts("g", "", 2).value();
  EXPECT_THAT(first.texts, testing::ElementsAre("p0", "p1"));
  add("late", 0);
  const auto second = store->chord_parts("g", first.next, 2).value();
  EXPECT_THAT(second.texts, testing::ElementsAre("p2", "p3"));
  const auto third = store->chord_parts("g", second.next, 3).value();
  EXPECT_THAT(third.texts, testing::ElementsAre("p4", "p5"));
  EXPECT_EQ(third.next, "");
}

TEST_F(SqliteStoreTest, OneWithoutASizeExpiresCountedFromTheLastWord) {
  ASSERT_TRUE(store->count_parts({.group_id = "g", .parts = {{0, "a", "text"}}, .continuation = {}}));
  clock.advance(50s);
  ASSERT_TRUE(store->extend_chord("g"));
  clock.advance(59s);
  EXPECT_EQ(store->chord_parts("g", "", 10)->texts.size(), 1U);
  clock.advance(1s);
  EXPECT_EQ(store->chord_parts("g", "", 10)->texts.size(), 0U);
  ASSERT_TRUE(store->start_chord({"g", 1}));
  EXPECT_EQ(store->chord_parts("g", "", 10)->texts.size(), 0U) << "it begins anew";
}

TEST_F(SqliteStoreTest, AnotherLayoutIsRefused) {
  ASSERT_TRUE(store->db().execute("UPDATE store SET layout = 99"));
  const auto again = prepare_schema(store->db(), Deadline::never());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::misconfigured);
  EXPECT_THAT(again.error().message, HasSubstr("layout 99"));
}

TEST_F(SqliteStoreTest, AnotherProgramsDatabaseIsRefused) {
  auto db = client::SqliteDb::open({":memory:", false}, Deadline::never()).value();
  ASSERT_TRUE(db->execute("CREATE TABLE invoices(id)"));
  const auto prepared = prepare_schema(*db, Deadline::never());
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Errc::misconfigured);
  EXPECT_THAT(prepared.error().message, HasSubstr("another program"));
}

}  // namespace
}  // namespace lovage::broker::sqlite
