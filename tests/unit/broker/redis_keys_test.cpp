#include "broker/redis/keys.hpp"

#include <gmock/gmock.h>

#include "broker/redis/script.hpp"
#include "broker/redis/server_info.hpp"
#include "broker/redis/unacked.hpp"

namespace lovage::broker::redis {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(RedisKeys, ThePrefixIsLiteral) {
  const Keys keys("pre:");
  EXPECT_EQ(keys.list("q"), "pre:q");
  EXPECT_EQ(keys.binding("celery"), "pre:_kombu.binding.celery");
  EXPECT_EQ(keys.reserved(IncarnationId("i")), "pre:lovage:1:reserved:i");
  EXPECT_EQ(keys.inbox(IncarnationId("i"), "q"), "pre:lovage:1:inbox:i:q");
}

TEST(RedisKeys, TheResultPrefixGetsAnUnderscoreUnlessItEndsInASeparator) {
  EXPECT_EQ(result_prefix(""), "");
  EXPECT_EQ(result_prefix("rpfx"), "rpfx_");
  for (const char* prefix : {"a:", "a_", "a-", "a."}) EXPECT_EQ(result_prefix(prefix), prefix);
}

TEST(RedisKeys, ReservationFieldsTellTokenAndList) {
  Reservation reservation;
  ASSERT_TRUE(parse_reservation_field(reservation_field(Token(42),
                                                        "a:b\x06\x16"
                                                        "3"),
                                      reservation));
  EXPECT_EQ(reservation.token, Token(42));
  EXPECT_EQ(reservation.list_name,
            "a:b\x06\x16"
            "3");
  EXPECT_FALSE(parse_reservation_field("x:q", reservation));
  EXPECT_FALSE(parse_reservation_field("42", reservation));
}

TEST(RedisKeys, ListNamesTellQueueAndStep) {
  EXPECT_EQ(parse_list_name("q").step, 0);
  EXPECT_EQ(parse_list_name("q\x06\x16"
                            "6")
                .queue,
            "q");
  EXPECT_EQ(parse_list_name("q\x06\x16"
                            "6")
                .step,
            6);
}

TEST(RedisKeys, ListNamesFollowTheLayout) {
  const Keys keys("p:", {{0, 5}, ":"});
  EXPECT_EQ(keys.list_name("q", 0), "q");
  EXPECT_EQ(keys.list_name("q", 5), "q:5");
  EXPECT_EQ(keys.binding_row({"q", {}, wire::ExchangeType::direct, {}}), "q::q");
  const auto parsed = parse_list_name("q:5", keys.layout());
  EXPECT_EQ(parsed.queue, "q");
  EXPECT_EQ(parsed.step, 5);
  EXPECT_EQ(parse_list_name("app:6", keys.layout()).queue, "app:6") << "6 is no step";
}

// Captured from Celery 5.2.6: what a worker had not acknowledged yet.
constexpr const char* kRecord =
    R"~([{"body": "W1swLjFdLCB7fSwgeyJjYWxsYmFja3MiOiBudWxsLCAiZXJyYmFja3MiOiBudWxsLCAiY2hhaW4iOiBudWxsL)~"
    R"~(CAiY2hvcmQiOiBudWxsfV0=", "content-encoding": "utf-8", "content-type": "application/json", "head)~"
    R"~(ers": {"lang": "py", "task": "wireapp.nap", "id": "9a9f0c29-cdbe-4ff5-812f-fdda454a9c47", "shado)~"
    R"~(w": null, "eta": null, "expires": null, "group": null, "group_index": null, "retries": 0, "timel)~"
    R"~(imit": [null, null], "root_id": "9a9f0c29-cdbe-4ff5-812f-fdda454a9c47", "parent_id": null, "args)~"
    R"~(repr": "(0.1,)", "kwargsrepr": "{}", "origin": "gen22506@host", "ignore_result": false}, "properti)~"
    R"~(es": {"correlation_id": "9a9f0c29-cdbe-4ff5-812f-fdda454a9c47", "reply_to": "7d6def58-0a12-37ee-)~"
    R"~(85c8-f846de4d65f4", "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery)~"
    R"~("}, "priority": 0, "body_encoding": "base64", "delivery_tag": "bf64bf54-f0b2-408d-8883-ffe6d1227)~"
    R"~(190"}}, "", "celery"])~";
// What kombu puts back of it.
constexpr const char* kRestored =
    R"~({"body": "W1swLjFdLCB7fSwgeyJjYWxsYmFja3MiOiBudWxsLCAiZXJyYmFja3MiOiBudWxsLCAiY2hhaW4iOiBudWxsLC)~"
    R"~(AiY2hvcmQiOiBudWxsfV0=", "content-encoding": "utf-8", "content-type": "application/json", "heade)~"
    R"~(rs": {"lang": "py", "task": "wireapp.nap", "id": "9a9f0c29-cdbe-4ff5-812f-fdda454a9c47", "shadow)~"
    R"~(": null, "eta": null, "expires": null, "group": null, "group_index": null, "retries": 0, "timeli)~"
    R"~(mit": [null, null], "root_id": "9a9f0c29-cdbe-4ff5-812f-fdda454a9c47", "parent_id": null, "argsr)~"
    R"~(epr": "(0.1,)", "kwargsrepr": "{}", "origin": "gen22506@host", "ignore_result": false, "redelivere)~"
    R"~(d": true}, "properties": {"correlation_id": "9a9f0c29-cdbe-4ff5-812f-fdda454a9c47", "reply_to": )~"
    R"~("7d6def58-0a12-37ee-85c8-f846de4d65f4", "delivery_mode": 2, "delivery_info": {"exchange": "", "r)~"
    R"~(outing_key": "celery", "redelivered": true}, "priority": 0, "body_encoding": "base64", "delivery)~"
    R"~(_tag": "bf64bf54-f0b2-408d-8883-ffe6d1227190"}})~";

TEST(RedisUnackedRecord, IsPutBackAsKombuDoes) {
  const auto restored = restore_record(kRecord);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->exchange, "");
  EXPECT_EQ(restored->routing_key, "celery");
  EXPECT_EQ(restored->priority, 0);
  EXPECT_EQ(restored->message, kRestored);
}

TEST(RedisScript, TheShaIsTheServersOwn) {
  EXPECT_EQ(Script({"return", " 1"}).sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

constexpr std::string_view kGood =
    "# "
    "Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\ncluster_enabled:"
    "0\r\n";

std::string with(std::string_view from, std::string_view to) {
  std::string info(kGood);
  return info.replace(info.find(from), from.size(), to);
}

TEST(RedisServerInfo, AGoodServerHasNoWarnings) {
  EXPECT_EQ(info_field(kGood, "run_id"), "abc");
  EXPECT_EQ(info_field(kGood, "id"), "");
  EXPECT_THAT(judge_server(kGood, "").value().warnings, IsEmpty());
  EXPECT_EQ(judge_server(kGood, "")->refusal, "");
}

TEST(RedisServerInfo, OldServersAndClustersAreRefused) {
  EXPECT_THAT(judge_server(with("7.0.15", "6.0.16"), "").error().message, HasSubstr("6.2"));
  EXPECT_TRUE(judge_server(with("7.0.15", "6.2.0"), ""));
  EXPECT_TRUE(judge_server(with("redis_version:7.0.15", "valkey_version:8.0.0"), ""));
  EXPECT_THAT(judge_server(with("cluster_enabled:0", "cluster_enabled:1"), "").error().message, HasSubstr("slots"));
}

TEST(RedisServerInfo, SettingsThatLoseMessagesAreToldOf) {
  const auto report = [](std::string_view from, std::string_view to, std::string_view save = "") {
    return judge_server(with(from, to), save).value();
  };
  EXPECT_THAT(report("noeviction", "allkeys-lru").refusal,
              AllOf(HasSubstr("MESSAGES CAN BE LOST: maxmemory-policy is allkeys-lru: when its memory is full"),
                    HasSubstr("CONFIG SET maxmemory-policy noeviction"), HasSubstr("allow_eviction")));
  EXPECT_THAT(report("noeviction", "allkeys-lfu\r\nmaxmemory:0").refusal, HasSubstr("once it has a maxmemory"));
  EXPECT_EQ(report("noeviction", "volatile-ttl").refusal, "");
  EXPECT_THAT(report("noeviction", "volatile-ttl").warnings,
              ElementsAre(HasSubstr("RESULTS CAN BE LOST: maxmemory-policy is volatile-ttl")));
  EXPECT_THAT(report("aof_enabled:1", "aof_enabled:1\r\naof_last_write_status:err").warnings,
              ElementsAre(HasSubstr("cannot write its append-only file")));
  EXPECT_THAT(report("aof_enabled:1", "aof_enabled:0").warnings, ElementsAre(HasSubstr("nothing on disk")));
  EXPECT_THAT(report("aof_enabled:1", "aof_enabled:0", "60 1").warnings, ElementsAre(HasSubstr("snapshots")));
}

}  // namespace
}  // namespace lovage::broker::redis
