// Remote control: what is written comes back, what is malformed is refused, and who is addressed. See golden_test.cpp
// for what Celery publishes.
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "wire/body.hpp"
#include "wire/compression.hpp"
#include "wire/control_message.hpp"

namespace lovage::wire {
namespace {

const std::array<std::string, 2> kAccept{"application/json", "application/x-msgpack"};

std::string refusal(const Result<ControlCommand>& command) {
  return command ? "" : command.error().message;
}

ControlCommand full_command() {
  ControlCommand command;
  command.method = "rate_limit";
  command.arguments = {{"task_name", "tasks.add"}, {"rate_limit", "10/m"}, {"more", Array{1, 2.5, nullptr}}};
  command.destination = {{"a@x", "b@\xc3\xa9"}};
  command.pattern = "w*";
  command.matcher = "glob";
  command.reply = ControlCommand::Reply{"ticket-1", "reply.celery.pidbox", "oid-1"};
  command.clock = 105;
  command.expires = Timestamp(std::chrono::microseconds(1'795'349'866'281'205));
  return command;
}

TEST(ControlMessage, EveryFieldComesBack) {
  const ControlCommand sent = full_command();
  const auto back = decode_control(encode_envelope(to_broadcast(sent).value()).value(), kAccept);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->method, sent.method);
  EXPECT_EQ(back->arguments, sent.arguments);
  EXPECT_EQ(back->destination, sent.destination);
  EXPECT_EQ(back->pattern, sent.pattern);
  EXPECT_EQ(back->matcher, sent.matcher);
  ASSERT_TRUE(back->reply);
  EXPECT_EQ(back->reply->ticket, sent.reply->ticket);
  EXPECT_EQ(back->reply->exchange, sent.reply->exchange);
  EXPECT_EQ(back->reply->routing_key, sent.reply->routing_key);
  EXPECT_EQ(back->clock, sent.clock);
  EXPECT_EQ(back->expires, sent.expires);
}

TEST(ControlMessage, WithoutAReplyItNeverExpiresAndHasNoTicket) {
  ControlCommand command;
  command.method = "revoke";
  command.arguments = Object{{"task_id", "x"}};
  const auto message = to_broadcast(command).value();
  EXPECT_EQ(message.body,
            R"({"method": "revoke", "arguments": {"task_id": "x"}, "destination": null, "pattern": null, )"
            R"("matcher": null})");
  EXPECT_EQ(to_json(Value(message.headers)), R"({"clock": 0, "expires": 0})");
  EXPECT_NE(to_broadcast(command)->delivery_tag, message.delivery_tag);
  const auto back = decode_control(encode_envelope(message).value(), kAccept);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_FALSE(back->destination || back->pattern || back->matcher || back->reply || back->expires);
}

TEST(ControlMessage, AChannelNamesDatabaseAndRoutingKey) {
  EXPECT_EQ(fanout_channel(3, "celeryev", "task.multi"), "/3.celeryev/task.multi");
}

// The full command with one member changed, in its envelope.
std::string with_member(std::string_view name, Value value) {
  BroadcastMessage message = to_broadcast(full_command()).value();
  Object body = *from_json(message.body).if_object();
  body.set(std::string(name), std::move(value));
  message.body = to_json(body);
  return encode_envelope(message).value();
}

std::string with_part(std::string_view place, std::string_view name, Value value) {
  Value envelope = from_json(encode_envelope(to_broadcast(full_command()).value()).value());
  Object* at = envelope.if_object();
  if (!place.empty()) at = at->find(place)->if_object();
  at->set(std::string(name), std::move(value));
  return to_json(envelope);
}

TEST(ControlMessage, ReadsWhatPythonReads) {
  // No base64, by two ways of saying so.
  const std::string body = R"({"method": "ping"})";
  for (const Value& encoding : {Value(), Value("utf-8")}) {
    Value envelope = from_json(with_part("", "body", body));
    envelope.if_object()->find("properties")->if_object()->set("body_encoding", encoding);
    const auto command = decode_control(to_json(envelope), kAccept);
    ASSERT_TRUE(command) << command.error().message;
    EXPECT_EQ(command->method, "ping");
    EXPECT_TRUE(command->arguments.empty());
    EXPECT_FALSE(command->destination || command->pattern || command->matcher || command->reply);
  }
  BroadcastMessage message;
  message.content_type = "application/x-msgpack";
  message.content_encoding = "binary";
  message.body = encode_value({{"method", "ping"}}, Serializer::msgpack, JsonTypes::celery_5_6).value();
  EXPECT_EQ(decode_control(encode_envelope(message).value(), kAccept)->method, "ping");
  const std::span<const std::string> json_alone(kAccept.data(), 1);
  EXPECT_EQ(refusal(decode_control(encode_envelope(message).value(), json_alone)),
            "control message: content-type 'application/x-msgpack' is not accepted");
  message = {};
  message.headers = {{"compression", "application/x-gzip"}};
  message.body = compress(body, Compression::zlib).value();
  EXPECT_EQ(decode_control(encode_envelope(message).value(), kAccept)->method, "ping");

  EXPECT_TRUE(decode_control(with_part("", "headers", nullptr), kAccept)) << "no headers";
  EXPECT_TRUE(decode_control(with_part("", "more", 1), kAccept)) << "unknown parts";
  EXPECT_TRUE(decode_control(with_member("more", 1), kAccept)) << "unknown members";
  EXPECT_FALSE(decode_control(with_part("headers", "expires", 0.0), kAccept)->expires);
  EXPECT_EQ(decode_control(with_part("headers", "expires", 1), kAccept)->expires, Timestamp(std::chrono::seconds(1)));
  EXPECT_FALSE(decode_control(with_member("reply_to", nullptr), kAccept)->reply) << "a ticket alone asks for nothing";
}

TEST(ControlMessage, RefusesWithTheNameOfTheBadPart) {
  const std::tuple<const char*, Value, const char*> members[] = {
      {"method", nullptr, "method is missing"},
      {"method", "", "method is empty"},
      {"method", Array{"ping"}, "method is not a string"},
      {"arguments", Array{}, "arguments is not an object"},
      {"arguments", "x", "arguments is not an object"},
      {"destination", "a@x", "destination is not a list"},
      {"destination", Object{{"a@x", 1}}, "destination is not a list"},
      {"destination", Array{"a@x", 1}, "destination is not a list of node names"},
      {"destination", Array{nullptr}, "destination is not a list of node names"},
      {"pattern", 1, "pattern is not a string"},
      {"pattern", Bytes{"w*"}, "pattern is not a string"},
      {"matcher", true, "matcher is not a string"},
      {"ticket", 5, "ticket is not a string"},
      {"ticket", nullptr, "ticket is missing beside reply_to"},
      {"reply_to", "me", "reply_to is not an object"},
      {"reply_to", Object{}, "reply_to.exchange is missing"},
      {"reply_to", Object{{"exchange", "e"}}, "reply_to.routing_key is missing"},
      {"reply_to", Object{{"exchange", 1}, {"routing_key", "k"}}, "reply_to.exchange is not a string"},
      {"reply_to", Object{{"exchange", "e"}, {"routing_key", Array{}}}, "reply_to.routing_key is not a string"},
  };
  for (const auto& [name, value, why] : members) {
    EXPECT_EQ(refusal(decode_control(with_member(name, value), kAccept)), std::string("control message: ") + why)
        << name << " = " << to_json(value);
  }
  const std::tuple<const char*, const char*, Value, const char*> parts[] = {
      {"", "body", nullptr, "body is missing"},
      {"", "body", Object{}, "body is not a string"},
      {"", "body", "e30", "body is no base64"},
      {"", "body", "W10=", "the body is not an object"},
      {"", "body", "eyI=", "Missing a closing quotation mark in string. (byte 2)"},
      {"", "content-type", nullptr, "content-type is missing"},
      {"", "content-type", 1, "content-type is not a string"},
      {"", "content-type", "application/x-python-serialize\n",
       "content-type 'application/x-python-serialize\\x0a' is not accepted"},
      {"", "headers", Array{}, "headers is not an object"},
      {"", "properties", 1, "properties is not an object"},
      {"properties", "body_encoding", "utf-16", "properties.body_encoding is neither base64 nor utf-8"},
      {"properties", "body_encoding", 64, "properties.body_encoding is not a string"},
      {"headers", "compression", "rar", "compression 'rar' is not known"},
      {"headers", "compression", 1, "headers.compression is not a string"},
      {"headers", "clock", -1, "headers.clock is negative"},
      {"headers", "clock", 1.5, "headers.clock is not a whole number of 64 bits"},
      {"headers", "clock", BigInt{"9999999999999999999"}, "headers.clock is not a whole number of 64 bits"},
      {"headers", "clock", true, "headers.clock is not a whole number of 64 bits"},
      {"headers", "expires", "soon", "headers.expires is no time in seconds"},
      {"headers", "expires", -1, "headers.expires is no time in seconds"},
      {"headers", "expires", 1e300, "headers.expires is no time in seconds"},
      {"headers", "expires", std::numeric_limits<double>::quiet_NaN(), "headers.expires is no time in seconds"},
  };
  for (const auto& [place, name, value, why] : parts) {
    EXPECT_EQ(refusal(decode_control(with_part(place, name, value), kAccept)), std::string("control message: ") + why)
        << place << "." << name << " = " << to_json(value);
  }
  for (const char* const envelope : {"", "[]", "1", "null", "\"x\"", "{", "{}", "nonsense", "\xff", "[[[["}) {
    const auto command = decode_control(envelope, kAccept);
    ASSERT_FALSE(command) << envelope;
    EXPECT_EQ(command.error().code, Errc::bad_data) << envelope;
    EXPECT_GT(command.error().message.size(), std::string("control message: ").size()) << envelope;
  }
}

TEST(ControlMessage, IsBounded) {
  const auto code = [](const std::string& envelope, const ControlLimits& limits) {
    const auto command = decode_control(envelope, kAccept, limits);
    return command ? std::nullopt : std::optional(command.error().code);
  };
  const std::string envelope = encode_envelope(to_broadcast(full_command()).value()).value();
  EXPECT_EQ(code(envelope, {}), std::nullopt);
  EXPECT_EQ(code(envelope, {.content = {.max_bytes = envelope.size() - 1}}), Errc::too_large);
  EXPECT_EQ(code(envelope, {.content = {.max_bytes = envelope.size()}}), std::nullopt);
  EXPECT_EQ(code(envelope, {.max_destinations = 2}), std::nullopt);
  EXPECT_EQ(code(envelope, {.max_destinations = 1}), Errc::too_large);
  BroadcastMessage message;
  message.body = R"({"method": "ping", "arguments": {"x": )" + std::string(150, '[') + std::string(150, ']') + "}}";
  EXPECT_EQ(code(encode_envelope(message).value(), {}), Errc::too_large);
  EXPECT_EQ(code(R"({"headers": {"x": )" + std::string(150, '[') + std::string(150, ']') + "}}", {}), Errc::too_large);
  // A small message that would be a large one.
  message.headers = {{"compression", "zlib"}};
  message.body = compress(std::string(1U << 20U, ' '), Compression::zlib).value();
  EXPECT_EQ(code(encode_envelope(message).value(), {.content = {.max_bytes = 1U << 16U}}), Errc::too_large);
  // What is quoted of a stranger's text is short, too.
  EXPECT_LT(refusal(decode_control(with_part("", "content-type", std::string(100'000, '\n')), kAccept)).size(), 1'000U);
}

TEST(ControlMessage, CutAndFlippedBytesNeverCrash) {
  Value plain = from_json(encode_envelope(to_broadcast(full_command()).value()).value());
  plain.if_object()->set("body", to_broadcast(full_command())->body);
  plain.if_object()->find("properties")->if_object()->erase("body_encoding");
  const std::string text = to_json(plain);
  ASSERT_TRUE(decode_control(text, kAccept));
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(decode_control(text.substr(0, length), kAccept)) << length;
  }
  std::mt19937 random(3);
  for (int i = 0; i < 10'000; ++i) {
    std::string copy = text;
    for (auto flips = 1 + random() % 3; flips > 0; --flips) {
      copy[random() % copy.size()] = "\"{}[],:\\0n"[random() % 10];
    }
    const auto command = decode_control(copy, kAccept);
    if (!command) {
      EXPECT_FALSE(command.error().message.empty());
      continue;
    }
    (void)addresses(*command, "w1@wire");
    EXPECT_TRUE(decode_control(encode_envelope(to_broadcast(*command).value()).value(), kAccept));
  }
}

TEST(ControlMessage, AddressesAsKombuDoes) {
  using Names = std::optional<std::vector<std::string>>;
  using Text = std::optional<std::string>;
  const std::tuple<Names, Text, Text, bool> table[] = {
      {{}, {}, {}, true},
      {{{"m1@wire"}}, {}, {}, true},
      {{{"m2@wire", "m1@wire"}}, {}, {}, true},
      {{{"m2@wire"}}, {}, {}, false},
      {{{"m1"}}, {}, {}, false},
      {Names(std::in_place), {}, {}, true},  // [] means everybody, as in Python
      {Names(std::in_place), "m2*", "glob", false},
      // Destinations win; both pattern and matcher have to be there.
      {{{"m1@wire"}}, "m2*", "glob", true},
      {{{"m2@wire"}}, "m1*", "glob", false},
      {{{"m1@wire"}}, "m1*", "nope", true},
      {{}, "m2*", {}, true},
      {{}, "m2*", "", true},
      {{}, {}, "glob", true},
      {{}, "", "nope", true},
      {{}, "m1@*", "glob", true},
      {{}, "m[!2]@wire", "glob", true},
      {{}, "m1", "glob", false},
      {{}, "M1@*", "glob", false},
      {{}, "m[12]@", "pcre", true},
      {{}, "m1", "pcre", true},
      {{}, "m1$", "pcre", false},
      {{}, "wire", "pcre", false},
      {{}, ".*wire$", "pcre", true},
  };
  for (const auto& [destination, pattern, matcher, addressed] : table) {
    ControlCommand command;
    command.destination = destination;
    command.pattern = pattern;
    command.matcher = matcher;
    EXPECT_EQ(addresses(command, "m1@wire"), addressed) << pattern.value_or("-") << " " << matcher.value_or("-");
  }
}

TEST(ControlMessage, AnUnreadablePatternIsAnErrorOfItsCommandAlone) {
  ControlCommand command;
  const auto error = [&](std::string pattern, std::string matcher) {
    command.pattern = std::move(pattern);
    command.matcher = std::move(matcher);
    const auto addressed = addresses(command, "m1@wire");
    return addressed ? Failure{} : addressed.error();
  };
  EXPECT_EQ(error("m1", "nope\x1b[m").message, "the matcher 'nope\\x1b[m' is neither glob nor pcre");
  EXPECT_LT(error("m1", std::string(100'000, 'x')).message.size(), 100U);
  EXPECT_EQ(error("m(1", "pcre").message, "the pattern: missing closing parenthesis (byte 3)");
  for (const char* const matcher : {"glob", "pcre"}) {
    EXPECT_EQ(error(std::string(1'001, 'm'), matcher).code, Errc::too_large) << matcher;
    EXPECT_EQ(error(std::string(1'000, '*'), "glob").message, "");
  }
  // The next one is read as ever.
  command.matcher = "glob";
  command.pattern = "m1*";
  EXPECT_EQ(addresses(command, "m1@wire"), true);
}

}  // namespace
}  // namespace lovage::wire
