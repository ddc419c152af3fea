// Envelopes and bodies: what is written, what is tolerated, what is refused, and that nothing crashes.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "wire/body.hpp"
#include "wire/json.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {
namespace {

const std::array<std::string, 2> kAccept{"application/json", "application/x-msgpack"};

TaskMessage plain() {
  TaskMessage m;
  m.task = "tasks.add";
  m.id = "4d1d0b3a-52e5-4473-a695-1112e8f54db2";
  m.root_id = m.id;
  m.argsrepr = "(2, 3)";
  m.kwargsrepr = "{}";
  m.origin = "gen1@host";
  m.ignore_result = false;
  m.reply_to = "bcc7a09b-82df-31c3-a184-15463c4f2f21";
  m.routing_key = "celery";
  m.delivery_tag = "c0343293-6242-40a9-b83b-7903274db5d9";
  EXPECT_TRUE(encode_body(m, {{2, 3}, {}, {}}, {}));
  return m;
}

// The plain message as JSON with one place changed.
std::string changed(std::string_view part, std::string_view name, Value value) {
  Value envelope = from_json(encode_envelope(plain()));
  Object* at = envelope.if_object();
  if (part == "delivery_info") {
    at = at->find("properties")->if_object()->find("delivery_info")->if_object();
  } else if (!part.empty()) {
    at = at->find(part)->if_object();
  }
  at->set(std::string(name), std::move(value));
  return to_json(envelope);
}

std::string reason(const tl::expected<TaskMessage, BadMessage>& message) {
  return message ? "" : message.error().reason;
}

TEST(Envelope, IsWrittenAsCelerysTextToTheByte) {
  EXPECT_EQ(
      encode_envelope(plain()),
      R"j({"body": "W1syLCAzXSwge30sIHsiY2FsbGJhY2tzIjogbnVsbCwgImVycmJhY2tzIjogbnVsbCwgImNoYWluIjogbnVsbCwgImNob3JkIjogbnVsbH1d", )j"
      R"j("content-encoding": "utf-8", "content-type": "application/json", "headers": {"lang": "py", "task": "tasks.add", )j"
      R"j("id": "4d1d0b3a-52e5-4473-a695-1112e8f54db2", "shadow": null, "eta": null, "expires": null, "group": null, )j"
      R"j("group_index": null, "retries": 0, "timelimit": [null, null], "root_id": "4d1d0b3a-52e5-4473-a695-1112e8f54db2", )j"
      R"j("parent_id": null, "argsrepr": "(2, 3)", "kwargsrepr": "{}", "origin": "gen1@host", "ignore_result": false, )j"
      R"j("replaced_task_nesting": 0, "stamped_headers": null, "stamps": {}}, "properties": )j"
      R"j({"correlation_id": "4d1d0b3a-52e5-4473-a695-1112e8f54db2", "reply_to": "bcc7a09b-82df-31c3-a184-15463c4f2f21", )j"
      R"j("delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"}, "priority": 0, )j"
      R"j("body_encoding": "base64", "delivery_tag": "c0343293-6242-40a9-b83b-7903274db5d9"}})j");
}

TEST(Envelope, EveryFieldComesBack) {
  TaskMessage m = plain();
  m.shadow = "sh\"adow";
  m.eta = parse_wire_time("2030-01-02T03:04:05+02:00").value();
  m.expires = parse_wire_time("2030-01-02T03:04:05").value();
  m.group_id = "g";
  m.group_index = 7;
  m.retries = 3;
  m.timelimit = {10.0, 2.5};
  m.root_id = "r";
  m.parent_id = "p";
  m.ignore_result = true;
  m.replaced_task_nesting = 2;
  m.stamped_headers = Array{"color"};
  m.stamps = {{"color", Array{"red"}}};
  m.custom_headers = {{"x-my", Object{{"n", Array{1, 2.5}}}}, {"when", DateTime{"2024-01-02T03:04:05"}}};
  m.priority = 255;
  m.delivery_mode = 1;
  m.expiration = "60000";
  m.exchange = "tex";
  m.routing_key = "a.b";
  m.redelivered = true;
  ASSERT_TRUE(encode_body(m, {{Bytes{"\xff"}}, {{"k", 1}}, {}}, {Serializer::msgpack, Compression::zstd, {}}));

  const auto back = decode_envelope(encode_envelope(m));
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_EQ(encode_envelope(*back), encode_envelope(m));
  EXPECT_EQ(back->display_name(), "sh\"adow");
  EXPECT_EQ(back->eta->text, "2030-01-02T03:04:05+02:00");
  EXPECT_EQ(back->expires->at, m.expires->at);
  EXPECT_EQ(back->group_id, "g");
  EXPECT_EQ(back->group_index, 7);
  EXPECT_EQ(back->retries, 3);
  EXPECT_EQ(back->timelimit.hard, 10.0);
  EXPECT_EQ(back->timelimit.soft, 2.5);
  EXPECT_EQ(back->root_id, "r");
  EXPECT_EQ(back->parent_id, "p");
  EXPECT_EQ(back->ignore_result, true);
  EXPECT_EQ(back->replaced_task_nesting, 2);
  EXPECT_EQ(back->stamped_headers, m.stamped_headers);
  EXPECT_EQ(back->stamps, m.stamps);
  EXPECT_EQ(back->custom_headers, m.custom_headers);
  EXPECT_EQ(back->compression, "application/zstd");
  EXPECT_EQ(back->priority, 255);
  EXPECT_EQ(back->delivery_mode, 1);
  EXPECT_EQ(back->expiration, "60000");
  EXPECT_EQ(back->exchange, "tex");
  EXPECT_EQ(back->routing_key, "a.b");
  EXPECT_TRUE(back->redelivered);
  EXPECT_EQ(back->body, m.body);
}

TEST(Envelope, ToleratesWhatCeleryTolerates) {
  const auto read = [](std::string_view part, std::string_view name, Value value) {
    auto message = decode_envelope(changed(part, name, std::move(value)));
    EXPECT_TRUE(message) << part << "." << name << ": " << reason(message);
    return message ? *message : TaskMessage();
  };
  EXPECT_EQ(read("properties", "priority", "3").priority, 3);
  EXPECT_EQ(read("properties", "priority", nullptr).priority, 0);
  EXPECT_EQ(read("properties", "priority", "high").priority, 0);
  EXPECT_EQ(read("properties", "reply_to", nullptr).reply_to, "");
  EXPECT_EQ(read("headers", "retries", nullptr).retries, 0);
  EXPECT_FALSE(read("headers", "timelimit", nullptr).timelimit.hard);
  EXPECT_FALSE(read("headers", "timelimit", Array{0, nullptr}).timelimit.hard);
  EXPECT_EQ(read("headers", "argsrepr", 5).argsrepr, "");
  EXPECT_TRUE(read("headers", "redelivered", true).redelivered);
  EXPECT_TRUE(read("delivery_info", "redelivered", true).redelivered);
  EXPECT_EQ(*read("headers", "x", Object{{"y", Array{1}}}).custom_headers.find("x"), Value(Object{{"y", Array{1}}}));
  EXPECT_EQ(read("", "more", Array{Object{}}).task, "tasks.add");
}

TEST(Envelope, RefusesWithAReasonAndTheIdentity) {
  struct Row {
    const char* part;
    const char* name;
    Value value;
    const char* reason;
  };
  const Row rows[] = {
      {"headers", "id", 12345, "bad-header"},
      {"headers", "id", nullptr, "no-id"},
      {"headers", "task", 1, "bad-header"},
      {"headers", "retries", "x", "bad-header"},
      {"headers", "retries", 1.5, "bad-header"},
      {"headers", "timelimit", Array{5}, "bad-header"},
      {"headers", "timelimit", Array{5, 6, 7}, "bad-header"},
      {"headers", "timelimit", Array{Array{5}, 6}, "bad-header"},
      {"headers", "timelimit", Array{-1, nullptr}, "bad-header"},
      {"headers", "timelimit", 5, "bad-header"},
      {"headers", "eta", 123, "bad-header"},
      {"headers", "eta", "soon", "bad-header"},
      {"headers", "expires", "", "bad-header"},
      {"headers", "group", 1, "bad-header"},
      {"headers", "group_index", "a", "bad-header"},
      {"headers", "ignore_result", "yes", "bad-header"},
      {"headers", "stamps", Array{}, "bad-header"},
      {"headers", "stamped_headers", "x", "bad-header"},
      {"headers", "root_id", Object{}, "bad-header"},
      {"properties", "delivery_tag", nullptr, "bad-envelope"},
      {"properties", "delivery_info", nullptr, "bad-envelope"},
      {"properties", "body_encoding", "utf-16", "unknown-body-encoding"},
      {"delivery_info", "exchange", 1, "bad-envelope"},
      {"", "properties", nullptr, "bad-envelope"},
      {"", "content-type", nullptr, "no-content-type"},
      {"", "body", nullptr, "bad-envelope"},
      {"", "body", Object{}, "bad-envelope"},
      {"", "body", "W10", "bad-base64"},
  };
  for (const Row& row : rows) {
    const auto message = decode_envelope(changed(row.part, row.name, row.value));
    EXPECT_EQ(reason(message), row.reason) << row.part << "." << row.name << " = " << to_json(row.value);
    if (message) continue;
    const std::string_view name = row.name;
    EXPECT_EQ(message.error().id, name == "id" ? "" : plain().id);
    EXPECT_EQ(message.error().task, name == "task" ? "" : "tasks.add");
  }
  for (const char* text : {"", "[]", "1", "null", "{", "{}", "\"x\"", "[[[[", "{\"headers\": 1}", "nonsense"}) {
    EXPECT_EQ(reason(decode_envelope(text)), "bad-envelope") << text;
  }
}

TEST(Envelope, IsBounded) {
  EXPECT_EQ(reason(decode_envelope(encode_envelope(plain()), {100, 100})), "too-large");
  Value deep;
  for (int i = 0; i < 50; ++i) deep = Array{std::move(deep)};
  const std::string text = changed("headers", "x", deep);
  EXPECT_EQ(reason(decode_envelope(text, {1U << 20U, 20})), "too-large");
  EXPECT_EQ(decode_envelope(text, {1U << 20U, 20}).error().task, "tasks.add");
  EXPECT_TRUE(decode_envelope(text));
}

TEST(Envelope, InvalidUtf8IsRefusedWithItsIdentity) {
  std::string text = encode_envelope(plain());
  text.replace(text.find("gen1"), 4, "\xff\xfe\xff\xfe");
  const auto message = decode_envelope(text);
  EXPECT_EQ(reason(message), "bad-envelope");
  EXPECT_EQ(message.error().id, plain().id);
}

TEST(Envelope, LoneSurrogatesAndRawUtf8AreRead) {
  std::string text = encode_envelope(plain());
  text.replace(text.find("gen1"), 4, "\xc3\xa9\\udce9");
  const auto message = decode_envelope(text);
  ASSERT_TRUE(message);
  EXPECT_NE(encode_envelope(*message).find(R"("origin": "\u00e9\udce9@host")"), std::string::npos);
}

TEST(Envelope, HoldsWhatMustBeEscapedInEveryText) {
  const std::string odd = "\"q\" \\ \n \xc3\xa9 \xf0\x9f\x98\x80 " + std::string(2'000, '"');
  TaskMessage m = plain();
  for (std::string* text : {&m.task, &m.id, &m.root_id, &m.argsrepr, &m.kwargsrepr, &m.origin, &m.reply_to, &m.exchange,
                            &m.routing_key, &m.delivery_tag})
    *text = odd;
  m.shadow = m.parent_id = m.group_id = odd;
  m.custom_headers = {{odd, Array{odd, Object{{odd, 1}}}}, {"after", 1.5}};
  m.stamps = {{odd, odd}};
  m.stamped_headers = Array{odd};
  m.timelimit = {1.5, 3.0};
  const auto back = decode_envelope(encode_envelope(m));
  ASSERT_TRUE(back) << back.error().detail;
  for (const std::string* text :
       {&back->task, &back->id, &back->root_id, &back->argsrepr, &back->kwargsrepr, &back->origin, &back->reply_to,
        &back->exchange, &back->routing_key, &back->delivery_tag, &*back->shadow, &*back->parent_id, &*back->group_id})
    EXPECT_EQ(*text, odd);
  EXPECT_EQ(back->custom_headers, m.custom_headers);
  EXPECT_EQ(back->stamps, m.stamps);
  EXPECT_EQ(back->timelimit.hard, 1.5);
  EXPECT_EQ(back->timelimit.soft, 3.0);
  std::string behind = "before";
  append_envelope(behind, m);
  EXPECT_EQ(behind, "before" + encode_envelope(m));
}

TEST(Envelope, CutAndFlippedBytesNeverCrash) {
  TaskMessage m = plain();
  m.custom_headers = {{"x", Object{{"n", Array{1, 2.5, Bytes{"\xff"}}}}}};
  m.stamps = {{"a", "b"}};
  const std::string text = encode_envelope(m);
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(decode_envelope(text.substr(0, length))) << length;
  }
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string copy = text;
    for (auto flips = 1 + random() % 3; flips > 0; --flips) {
      auto& flipped = copy[random() % copy.size()];
      flipped = random() % 3 == 0 ? static_cast<char>(random() % 256) : "\"{}[],:\\0n"[random() % 10];
    }
    const auto message = decode_envelope(copy);
    if (!message) {
      EXPECT_FALSE(message.error().reason.empty());
      continue;
    }
    const auto body = decode_body(*message, kAccept);
    EXPECT_TRUE(body || !body.error().reason.empty());
    EXPECT_TRUE(decode_envelope(encode_envelope(*message)));  // what we take, we can write
  }
}

TEST(Protocol1, IsTakenFromTheBody) {
  TaskMessage m = plain();
  m.body = R"({"task": "old.task", "id": "old-id", "args": [1, "x"], "kwargs": {"a": 1}, "retries": 2, "group": "g1", )"
           R"("taskset": "g2", "eta": "2030-01-02T03:04:05", "expires": null, "utc": true, "timelimit": [null, 7], )"
           R"("callbacks": [{"task": "cb"}], "errbacks": null, "chord": {"task": "body"}})";
  Value envelope = from_json(encode_envelope(m));
  envelope.if_object()->set("headers", Object{});
  const auto message = decode_envelope(to_json(envelope));
  ASSERT_TRUE(message) << message.error().detail;
  EXPECT_TRUE(message->protocol1);
  EXPECT_EQ(message->task, "old.task");
  EXPECT_EQ(message->id, "old-id");
  EXPECT_EQ(message->retries, 2);
  EXPECT_EQ(message->group_id, "g2");
  EXPECT_EQ(message->timelimit.soft, 7.0);
  EXPECT_EQ(message->argsrepr, "(1, 'x')");
  EXPECT_EQ(message->kwargsrepr, "{'a': 1}");
  const auto body = decode_body(*message, kAccept);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->args, (Array{1, "x"}));
  EXPECT_EQ(body->embed.callbacks->size(), 1U);
  EXPECT_FALSE(body->embed.chain);
  EXPECT_TRUE(body->embed.chord);
  EXPECT_FALSE(has_no_embed(*message));
}

TEST(Protocol1, HeadersOfAHybridWin) {
  TaskMessage m = plain();
  m.body = R"({"task": "old.task", "id": "x", "args": [5, 6], "kwargs": {}, "retries": 4})";
  const auto message = decode_envelope(encode_envelope(m));
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->protocol1);
  EXPECT_EQ(message->id, plain().id);
  EXPECT_EQ(message->task, "tasks.add");
  EXPECT_EQ(decode_body(*message, kAccept)->args, (Array{5, 6}));
}

TEST(Body, RoundTripsInEveryFormat) {
  const Body body{
      {1, "x", 2.5}, {{"k", Array{nullptr}}}, {Array{Object{{"task", "cb"}}}, Array{}, Array{}, Object{{"task", "b"}}}};
  for (auto serializer : {Serializer::json, Serializer::msgpack}) {
    for (auto compression : {Compression::none, Compression::zlib, Compression::bzip2, Compression::zstd}) {
      TaskMessage m = plain();
      ASSERT_TRUE(encode_body(m, body, {serializer, compression, {}}));
      const auto back = decode_body(m, kAccept);
      ASSERT_TRUE(back);
      EXPECT_EQ(back->args, body.args);
      EXPECT_EQ(back->kwargs, body.kwargs);
      EXPECT_EQ(back->embed.callbacks, body.embed.callbacks);
      EXPECT_EQ(back->embed.errbacks, body.embed.errbacks);
      EXPECT_EQ(back->embed.chain, body.embed.chain);
      EXPECT_EQ(back->embed.chord, body.embed.chord);
      EXPECT_FALSE(has_no_embed(m));
      const BodyFormat format = format_of(m, JsonTypes::celery_5_2);
      EXPECT_EQ(format.serializer, serializer);
      EXPECT_EQ(format.compression, compression);
    }
  }
  EXPECT_TRUE(has_no_embed(plain()));
}

TEST(Body, OnlyAcceptedContentIsRead) {
  const std::array<std::string, 1> json{"application/json"};
  TaskMessage m = plain();
  ASSERT_TRUE(encode_body(m, {}, {Serializer::msgpack, Compression::none, {}}));
  EXPECT_EQ(decode_body(m, json).error().reason, "refused-content-type");
  EXPECT_TRUE(decode_body(m, kAccept));
  m.compression = "application/x-brotli";
  EXPECT_EQ(decode_body(m, kAccept).error().reason, "unknown-compression");
}

TEST(Body, DecompressionIsBounded) {
  TaskMessage m = plain();
  ASSERT_TRUE(encode_body(m, {{std::string(1'000'000, 'x')}, {}, {}}, {Serializer::json, Compression::zlib, {}}));
  EXPECT_LT(m.body.size(), 10'000U);
  EXPECT_EQ(decode_body(m, kAccept, {100'000, 100}).error().reason, "too-large");
  EXPECT_TRUE(decode_body(m, kAccept));
}

TEST(Body, IsCompressedUnaskedOnlyWhereThatHelps) {
  TaskMessage m = plain();
  ASSERT_TRUE(encode_body(m, {{std::string(1'000, 'x')}, {}, {}}, {.compress_above = 500}));
  EXPECT_EQ(m.compression, "application/x-gzip");
  EXPECT_TRUE(has_no_embed(m));
  EXPECT_FALSE(has_no_embed(m, {100, 100})) << "looked at within the limit";
  ASSERT_TRUE(encode_body(m, {{std::string(1'000, 'x')}, {}, {Array{Object{{"task", "cb"}}}, {}, {}, {}}},
                          {.compress_above = 500}));
  EXPECT_FALSE(has_no_embed(m));
  std::string noise;
  for (std::uint32_t state = 1; noise.size() < 1'000; state = state * 1'664'525U + 1'013'904'223U) {
    noise += static_cast<char>(state >> 24U);
  }
  ASSERT_TRUE(encode_body(m, {{Bytes{noise}}, {}, {}}, {.serializer = Serializer::msgpack, .compress_above = 500}));
  EXPECT_EQ(m.compression, "") << "it would have become larger";
}

TEST(Body, BytesIn52sJsonAreAnErrorAtSend) {
  TaskMessage m = plain();
  const auto sent =
      encode_body(m, {{Bytes{"x"}}, {}, {}}, {Serializer::json, Compression::none, JsonTypes::celery_5_2});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Errc::bad_data);
}

}  // namespace
}  // namespace lovage::wire
