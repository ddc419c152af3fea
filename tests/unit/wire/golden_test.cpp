// Every captured sample is read and written again to the same JSON.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "support/crafted_messages.hpp"
#include "unit/wire/golden.hpp"
#include "wire/base64.hpp"
#include "wire/body.hpp"
#include "wire/control_message.hpp"
#include "wire/json.hpp"
#include "wire/result_meta.hpp"
#include "wire/signature.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {
namespace {

using tests::Sample;
using tests::samples;

const std::array<std::string, 2> kAccept{"application/json", "application/x-msgpack"};

JsonTypes types_of(const Sample& sample) {
  return sample.name.starts_with("5.2.6") ? JsonTypes::celery_5_2 : JsonTypes::celery_5_6;
}

const std::string& text(const Value& from, std::string_view name) {
  return *from.find(name)->if_string();
}

// Members that Celery adds nothing by and that 5.2.6, protocol 1 or odd options leave out or add.
Object comparable(Value envelope) {
  Object members = *envelope.if_object();
  members.erase("body");  // compared decoded: compressors differ in bytes
  Object& headers = *members.find("headers")->if_object();
  for (const auto& [name, value] : std::array<Object::Member, 3>{
           {{"replaced_task_nesting", 0}, {"stamped_headers", nullptr}, {"stamps", Object()}}}) {
    if (!headers.contains(name)) headers.set(name, value);
  }
  Object& properties = *members.find("properties")->if_object();
  properties.erase("argsrepr");  // options of apply_async that Celery does not know end up here
  properties.erase("kwargsrepr");
  return members;
}

// The kinds of body that we refuse, by their content type or compression.
std::string refusal(const Value& envelope) {
  const Value* compression = envelope.find("headers")->find("compression");
  if (compression != nullptr && !compression_from_name(*compression->if_string())) return "unknown-compression";
  const std::string& type = text(envelope, "content-type");
  return std::find(kAccept.begin(), kAccept.end(), type) == kAccept.end() ? "refused-content-type" : "";
}

// NaN equals nothing: such bodies are compared as text.
void expect_same_json(const Value& left, const Value& right) {
  EXPECT_EQ(to_json(left), to_json(right));
}

void check_message(const Sample& sample, const Value& captured) {
  const std::string& raw = text(captured, "raw");
  const Value envelope = from_json(raw);
  auto message = decode_envelope(raw);
  ASSERT_TRUE(message) << message.error().reason << ": " << message.error().detail;

  if (!message->protocol1) {
    const std::string again = encode_envelope(*message);
    const Object expected = comparable(envelope);
    const Object actual = comparable(from_json(again));
    if (sample.name.starts_with("5.2.6")) {
      EXPECT_EQ(actual, expected);  // the headers that 5.3 added stand in another place
    } else {
      EXPECT_EQ(to_json(actual), to_json(expected));
    }
    EXPECT_EQ(*from_json(again).find("body"), *envelope.find("body"));
  }

  auto body = decode_body(*message, kAccept);
  const std::string refused = refusal(envelope);
  if (!refused.empty()) {
    ASSERT_FALSE(body);
    EXPECT_EQ(body.error().reason, refused);
    EXPECT_EQ(body.error().id, message->id);
    return;
  }
  ASSERT_TRUE(body) << body.error().reason << ": " << body.error().detail;
  if (message->protocol1) return;

  TaskMessage copy = *message;
  ASSERT_TRUE(encode_body(copy, *body, format_of(*message, types_of(sample))));
  EXPECT_EQ(copy.content_type, message->content_type);
  EXPECT_EQ(copy.content_encoding, message->content_encoding);
  EXPECT_EQ(copy.compression, message->compression);
  auto again = decode_body(copy, kAccept);
  ASSERT_TRUE(again);
  expect_same_json(again->args, body->args);
  expect_same_json(again->kwargs, body->kwargs);
  if (message->compression.empty() && message->content_type == "application/json") {
    EXPECT_EQ(copy.body, message->body);  // byte for byte
  }
  const Embed& embed = body->embed;
  const bool no_embed = !embed.callbacks && !embed.errbacks && !embed.chain && !embed.chord;
  if (message->compression.empty() && message->content_type == "application/json") {
    EXPECT_EQ(has_no_embed(*message), no_embed);
  }
}

TEST(Golden, TasksAreReadAndWrittenAgain) {
  std::size_t count = 0;
  for (const Sample& sample : samples("task_")) {
    for (const Value& captured : *sample.content.find("messages")->if_array()) {
      SCOPED_TRACE(sample.name);
      check_message(sample, captured);
      ++count;
    }
  }
  EXPECT_GE(count, 10U);
}

TEST(Golden, ArgsReprIsCelerys) {
  for (const Sample& sample : samples("task_")) {
    for (const Value& captured : *sample.content.find("messages")->if_array()) {
      auto message = decode_envelope(text(captured, "raw"));
      ASSERT_TRUE(message);
      auto body = decode_body(*message, kAccept);
      // Protocol 2 only; 5.2's JSON has lost the types, other samples keys that are no strings or given reprs.
      const bool lossy = sample.name.find("int_dict_keys") != std::string::npos ||
                         sample.name.find("repr_override") != std::string::npos ||
                         sample.name.find("tuple") != std::string::npos || sample.name.starts_with("5.2.6") ||
                         // Lists of tuples in Python.
                         sample.name.find("chunks") != std::string::npos ||
                         sample.name.find("starmap") != std::string::npos ||
                         // Signatures in kwargs are subclasses of dict with a repr of their own.
                         sample.name.find("xmap") != std::string::npos;
      if (!body || message->protocol1 || lossy) continue;
      SCOPED_TRACE(sample.name);
      EXPECT_EQ(args_repr(body->args), message->argsrepr);
      EXPECT_EQ(kwargs_repr(body->kwargs), message->kwargsrepr);
    }
  }
}

void check_meta(const Sample& sample, const Value& stored) {
  const std::string& raw = *stored.if_string();
  const auto meta = decode_result_meta(raw);
  ASSERT_TRUE(meta) << meta.error().message;
  const auto again = encode_result_meta(*meta, Serializer::json, types_of(sample));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, raw);  // byte for byte
  EXPECT_EQ(peek_status(raw), meta->status);
}

TEST(Golden, ResultsAreReadAndWrittenAgain) {
  std::size_t count = 0;
  for (const Sample& sample : samples("result_")) {
    SCOPED_TRACE(sample.name);
    if (const Value* values = sample.content.find("values_in_order")) {
      for (const Value& value : *values->if_array()) {
        check_meta(sample, value);
        ++count;
      }
    }
    if (const Value* keys = sample.content.find("keys")) {
      for (const auto& [key, entry] : *keys->if_object()) {
        if (!key.starts_with("celery-task-meta-")) continue;
        check_meta(sample, *entry.find("value"));
        ++count;
      }
    }
  }
  EXPECT_GE(count, 3U);
}

TEST(Golden, SignaturesAreReadAndWrittenAgain) {
  for (const Sample& sample : samples("signature_dict_forms")) {
    for (const auto& [name, form] : *sample.content.find("forms")->if_object()) {
      for (const auto& [kind, json] : *form.if_object()) {
        if (json.if_string() == nullptr) continue;
        SCOPED_TRACE(sample.name + " " + name + " " + kind);
        const Value value = from_json(*json.if_string());
        const auto signature = signature_from_value(value);
        ASSERT_TRUE(signature) << signature.error().message;
        Value again = to_value(*signature);
        EXPECT_EQ(to_json(again), *json.if_string());
      }
    }
  }
}

bool is_command(const Value& published) {
  // Some samples hold the workers' own answers and events beside.
  return published.find("channel") != nullptr && text(published, "channel").ends_with("celery.pidbox");
}

// Byte for byte, but for the expiry's last digits and the sender's delivery tag.
void check_command(const Value& published, const ControlCommand& command) {
  const Value envelope = from_json(text(published, "data"));
  const auto message = to_broadcast(command);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->body, decode_base64(text(envelope, "body")));
  const auto again = encode_envelope(*message);
  ASSERT_TRUE(again);
  Value expected = envelope;
  Value actual = from_json(*again);
  const auto expires = [](const Value& of) { return of.find("headers")->find("expires")->if_real(); };
  if (const double* const until = expires(expected)) {
    ASSERT_NE(expires(actual), nullptr);
    EXPECT_NEAR(*expires(actual), *until, 1e-5);
  }
  for (Value* side : {&expected, &actual}) {
    side->if_object()->find("headers")->if_object()->set("expires", 0);
    side->if_object()->find("properties")->if_object()->set("delivery_tag", "one");
  }
  EXPECT_EQ(to_json(actual), to_json(expected));
  const int db = std::stoi(text(published, "channel").substr(1));
  EXPECT_EQ(fanout_channel(db, message->exchange, message->routing_key), text(published, "channel"));
}

TEST(Golden, ControlCommandsAreReadAndWrittenAgain) {
  std::size_t count = 0;
  for (const Sample& sample : samples("control_")) {
    const Value* const published = sample.content.find("request_published");
    if (published == nullptr) continue;
    for (const Value& request : *published->if_array()) {
      if (!is_command(request)) continue;
      SCOPED_TRACE(sample.name);
      const auto command = decode_control(text(request, "data"), kAccept);
      ASSERT_TRUE(command) << command.error().message;
      EXPECT_EQ(command->method, text(sample.content, "command"));
      EXPECT_EQ(Value(command->arguments), *sample.content.find("arguments"));
      check_command(request, *command);
      ++count;
    }
  }
  EXPECT_GE(count, 9U);
}

// Captured as decoded: an envelope around them again.
TEST(Golden, WhatWorkersTellEachOtherIsRead) {
  std::vector<std::string> methods;
  for (const Sample& sample : samples("two_workers_")) {
    for (const char* const list : {"hello_requests", "election_messages"}) {
      for (const Value& captured : *sample.content.find(list)->if_array()) {
        if (!is_command(captured)) continue;
        BroadcastMessage message;
        message.headers = *captured.find("headers")->if_object();
        message.body = to_json(*captured.find("body"));
        const auto command = decode_control(encode_envelope(message).value(), kAccept);
        ASSERT_TRUE(command) << command.error().message;
        EXPECT_EQ(Value(command->arguments), *captured.find("body")->find("arguments"));
        EXPECT_EQ(command->clock, static_cast<std::uint64_t>(*message.headers.find("clock")->if_integer()));
        EXPECT_EQ(command->reply.has_value(), command->method == "hello");
        methods.push_back(command->method);
      }
    }
  }
  ASSERT_GE(methods.size(), 2U);
  EXPECT_EQ(methods[0], "hello");
  EXPECT_EQ(methods[1], "election");
}

// The names are the Python text of what was sent, the values the answers: {"{'pattern': ...}": [{"m1@wire": ...}, ...]}
TEST(Golden, ThoseAreAddressedWhoAnswered) {
  std::size_t count = 0;
  for (const Sample& sample : samples("two_workers_")) {
    for (auto [sent, answers] : *sample.content.find("pings")->if_object()) {
      SCOPED_TRACE(sent);
      std::replace(sent.begin(), sent.end(), '\'', '"');
      Object body = *from_json(sent).if_object();
      body.set("method", "ping");
      BroadcastMessage message;
      message.body = to_json(body);
      const auto command = decode_control(encode_envelope(message).value(), kAccept);
      ASSERT_TRUE(command) << command.error().message;
      for (const char* const node : {"m1@wire", "m2@wire"}) {
        const Array& given = *answers.if_array();
        const bool answered = std::any_of(given.begin(), given.end(), [&](const Value& a) { return a.find(node); });
        EXPECT_EQ(addresses(*command, node), answered) << node;
      }
      ++count;
    }
  }
  EXPECT_GE(count, 6U);
}

// What a Python worker dies of or loses must be a BadMessage with a stable reason here.
TEST(Golden, CraftedMessages) {
  const auto found = samples("worker_tolerance_crafted_messages");
  ASSERT_FALSE(found.empty());
  for (const auto& [name, crafted] : *found[0].content.find("cases")->if_object()) {
    SCOPED_TRACE(name);
    const Value& envelope = *crafted.find("envelope");
    auto message = decode_envelope(to_json(envelope));
    std::string reason;
    BadMessage bad;
    if (!message) {
      bad = message.error();
    } else if (auto body = decode_body(*message, kAccept); !body) {
      bad = body.error();
    }
    const auto wanted = test::kCraftedReasons.find(name);
    EXPECT_EQ(bad.reason, wanted == test::kCraftedReasons.end() ? "" : wanted->second) << bad.detail;
    const Value* id = envelope.find("headers") == nullptr ? nullptr : envelope.find("headers")->find("id");
    if (!bad.reason.empty() && id != nullptr && id->if_string() != nullptr) {
      EXPECT_EQ(bad.id, *id->if_string());
      EXPECT_EQ(bad.task, "wireapp.add");
    }
  }
}

TEST(Golden, WholeCollectionWasThere) {
  if (!tests::has_collection()) GTEST_SKIP() << "only tests/golden was walked: LOVAGE_TEST_GOLDEN_DIR names no folder";
  EXPECT_GE(samples("task_").size(), 100U);
}

}  // namespace
}  // namespace lovage::wire
