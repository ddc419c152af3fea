#include "execution/frame.hpp"

#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace lovage::execution {
namespace {

constexpr std::size_t kMax = 1 << 20;

Value nested(int depth) {
  Value value = 1;
  for (int i = 0; i < depth; ++i) value = Array{std::move(value)};
  return value;
}

Request sample_request() {
  Request request;
  request.job = 77;
  request.message.edit().task = "tasks.add";
  request.message.edit().id = "an id";
  request.message.edit().eta =
      wire::WireTime{"2024-01-02T03:04:05+00:00", Timestamp(std::chrono::microseconds(1704164645000000))};
  request.message.edit().group_index = -3;
  request.message.edit().timelimit.soft = 1.5;
  request.message.edit().ignore_result = true;
  request.message.edit().stamped_headers = Array{"a", "b"};
  request.message.edit().custom_headers = {
      {"x", Value({{"deep", Array{1, 2.5, nullptr, true, BigInt{"-123456789012345678901"}}}})},
      {"b", Bytes{std::string("\0\xff", 2)}},
      {"d", DateTime{"2024-01-02T03:04:05"}},
      {"day", Date{"2024-01-02"}},
      {"t", TimeOfDay{"03:04"}},
      {"n", Decimal{"1.50"}},
      {"u", Uuid{"0123456789abcdef0123456789abcdef"}}};
  request.message.edit().body = std::string("[[1], {}, {}]\0", 14);
  request.soft_time_limit = std::chrono::milliseconds(1500);
  request.alone = true;
  request.tell_start = true;
  return request;
}

Outcome sample_outcome() {
  Outcome outcome = Outcome::of(5, Outcome::Kind::retry, "why");
  outcome.exception = {.type = "ValueError", .module = "builtins", .arguments = {Value("\xff is not UTF-8")}};
  outcome.traceback = "Traceback";
  outcome.retry.args = Array{1, "two"};
  outcome.retry.kwargs = Object{{"k", std::numeric_limits<double>::infinity()}};
  outcome.retry.countdown = std::chrono::milliseconds(250);
  outcome.children = {"a", "b"};
  outcome.runtime = std::chrono::microseconds(42);
  outcome.pid = 4711;
  outcome.process_name = "ForkPoolWorker-3";
  return outcome;
}

TEST(Frame, RequestsSurvive) {
  std::string bytes;
  ASSERT_TRUE(write_frame(bytes, 9, sample_request(), kMax));
  FrameBuffer buffer(kMax);
  buffer.append(bytes);
  const auto frame = buffer.next();
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((*frame)->type, FrameType::request);
  const auto read = read_request((*frame)->payload);
  ASSERT_TRUE(read) << read.error().message;
  const Request expected = sample_request();
  EXPECT_EQ(read->sequence, 9u);
  EXPECT_EQ(read->request.job, expected.job);
  EXPECT_EQ(read->request.message->task, expected.message->task);
  EXPECT_EQ(read->request.message->eta->text, expected.message->eta->text);
  EXPECT_EQ(read->request.message->eta->at, expected.message->eta->at);
  EXPECT_EQ(read->request.message->group_index, expected.message->group_index);
  EXPECT_EQ(read->request.message->timelimit.soft, expected.message->timelimit.soft);
  EXPECT_EQ(read->request.message->timelimit.hard, std::nullopt);
  EXPECT_EQ(read->request.message->ignore_result, true);
  EXPECT_EQ(read->request.message->stamped_headers, expected.message->stamped_headers);
  EXPECT_EQ(read->request.message->custom_headers, expected.message->custom_headers);
  EXPECT_EQ(read->request.message->body, expected.message->body);
  EXPECT_EQ(read->request.soft_time_limit, expected.soft_time_limit);
  EXPECT_TRUE(read->request.alone);
  EXPECT_TRUE(read->request.tell_start);
}

TEST(Frame, OutcomesSurviveInPieces) {
  std::string bytes;
  ASSERT_TRUE(write_frame(bytes, StartedFrame{.sequence = 3}, kMax));
  ASSERT_TRUE(write_frame(bytes, 3, sample_outcome(), kMax));
  FrameBuffer buffer(kMax);
  std::vector<FrameType> types;
  for (const char byte : bytes) {
    buffer.append({&byte, 1});
    const auto frame = buffer.next();
    ASSERT_TRUE(frame);
    if (!*frame) continue;
    types.push_back((*frame)->type);
    if ((*frame)->type != FrameType::outcome) continue;
    const auto read = read_outcome((*frame)->payload);
    ASSERT_TRUE(read);
    const Outcome expected = sample_outcome();
    EXPECT_EQ(read->outcome.kind, expected.kind);
    EXPECT_EQ(read->outcome.exception.arguments, expected.exception.arguments);
    EXPECT_EQ(read->outcome.retry.args, expected.retry.args);
    EXPECT_EQ(read->outcome.retry.kwargs, expected.retry.kwargs);
    EXPECT_EQ(read->outcome.retry.countdown, expected.retry.countdown);
    EXPECT_EQ(read->outcome.children, expected.children);
    EXPECT_EQ(read->outcome.runtime, expected.runtime);
    EXPECT_EQ(read->outcome.process_name, expected.process_name);
  }
  EXPECT_EQ(types, (std::vector{FrameType::started, FrameType::outcome}));
}

TEST(Frame, TooLargeOrTooDeepIsNotWritten) {
  std::string bytes = "before";
  Request large = sample_request();
  large.message.edit().body.assign(kMax, 'x');
  EXPECT_FALSE(write_frame(bytes, 1, large, kMax));
  Outcome deep = sample_outcome();
  deep.retry.args = Array{nested(150)};
  EXPECT_TRUE(write_frame(bytes, 1, deep, kMax));
  deep.retry.args = Array{nested(500)};
  bytes = "before";
  EXPECT_FALSE(write_frame(bytes, 1, deep, kMax));
  EXPECT_EQ(bytes, "before");
}

TEST(Frame, HostileLengthsAndTypesAreRefused) {
  for (const std::string_view bytes : {std::string_view("\0\0\0\0\1", 5), std::string_view("\xff\xff\xff\xff\1", 5),
                                       std::string_view("\1\0\0\0\x7f", 5), std::string_view("\1\0\0\0\0", 5)}) {
    FrameBuffer buffer(kMax);
    buffer.append(bytes);
    EXPECT_FALSE(buffer.next());
  }
}

TEST(Frame, EveryTruncationIsRefused) {
  std::string bytes;
  ASSERT_TRUE(write_frame(bytes, 9, sample_request(), kMax));
  const std::string_view payload = std::string_view(bytes).substr(5);
  for (std::size_t size = 0; size < payload.size(); ++size) EXPECT_FALSE(read_request(payload.substr(0, size)));
  EXPECT_FALSE(read_request(std::string(payload) + "x"));
}

// Whatever the bytes, reading ends in a value or an error, within the bounds.
TEST(Frame, FlippedBytesDoNoHarm) {
  std::string request;
  std::string outcome;
  ASSERT_TRUE(write_frame(request, 9, sample_request(), kMax));
  ASSERT_TRUE(write_frame(outcome, 9, sample_outcome(), kMax));
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = (i % 2 == 0 ? request : outcome).substr(5);
    for (auto flips = random() % 4 + 1; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (!read_request(bytes)) ++refused;
    if (!read_outcome(bytes)) ++refused;
  }
  EXPECT_GT(refused, 20'000);
}

}  // namespace
}  // namespace lovage::execution
