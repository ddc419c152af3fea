#include "client/redis_reply.hpp"

#include <gtest/gtest.h>

#include <string>

namespace lovage::client {
namespace {

std::string show(const RedisReply& reply) {
  switch (reply.kind) {
    case RedisReply::Kind::nil:
      return "nil";
    case RedisReply::Kind::integer:
      return std::to_string(reply.integer);
    case RedisReply::Kind::string:
      return "'" + reply.text + "'";
    case RedisReply::Kind::status:
      return "+" + reply.text;
    case RedisReply::Kind::error:
      return "-" + reply.text;
    case RedisReply::Kind::array:
      break;
  }
  std::string out = "[";
  for (const auto& item : reply.items) out += (out.size() > 1 ? " " : "") + show(item);
  return out + "]";
}

// All replies in `bytes`, fed in pieces of `size`; "!" where the reader gives up.
std::string read_in_pieces(std::string_view bytes, std::size_t size, std::size_t limit = RedisReader::kMaxReply) {
  RedisReader reader(limit);
  std::string out;
  while (!bytes.empty()) {
    if (!reader.feed(bytes.substr(0, size))) return out + "!";
    bytes.remove_prefix(std::min(size, bytes.size()));
    while (true) {
      const auto reply = reader.next();
      if (!reply) return out + "!";
      if (!*reply) break;
      out += show(**reply);
    }
  }
  return out;
}

TEST(RedisReader, ReadsEveryKindInPiecesOfAnySize) {
  const std::string bytes =
      "+OK\r\n:-42\r\n$5\r\na\r\nbc\r\n$-1\r\n*-1\r\n-ERR "
      "no\r\n*0\r\n*3\r\n*2\r\n$1\r\nx\r\n*1\r\n:1\r\n$0\r\n\r\n*2\r\n$-1\r\n-E "
      "in\r\n:9223372036854775807\r\n";
  const std::string expected = "+OK-42'a\r\nbc'nilnil-ERR no[][['x' [1]] '' [nil -E in]]9223372036854775807";
  for (std::size_t size = 1; size <= bytes.size(); ++size) EXPECT_EQ(read_in_pieces(bytes, size), expected) << size;
}

TEST(RedisReader, KeepsNestedItemsInPlaceWhenTheirParentsGrow) {
  std::string bytes = "*3000\r\n";
  std::string expected = "[";
  for (int i = 0; i < 3000; ++i) {
    bytes += "*2\r\n:" + std::to_string(i) + "\r\n*1\r\n$1\r\nx\r\n";
    expected += (i > 0 ? " [" : "[") + std::to_string(i) + " ['x']]";
  }
  EXPECT_EQ(read_in_pieces(bytes, 100), expected + "]");
}

TEST(RedisReader, RefusesWhatIsNoReply) {
  for (const std::string bytes : {"hello\r\n", "\r\n", "$-2\r\n", "$abc\r\n", "*-2\r\n", ":12x\r\n",
                                  "*99999999999999\r\n", "HTTP/1.1 400 Bad Request\r\n"}) {
    EXPECT_EQ(read_in_pieces(bytes, bytes.size()), "!") << bytes;
  }
}

TEST(RedisReader, RefusesDeepNesting) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += "*1\r\n";
  EXPECT_EQ(read_in_pieces(bytes, 7), "!");
}

TEST(RedisReader, AllocatesForWhatCameNotForWhatWasAnnounced) {
  EXPECT_EQ(read_in_pieces("*2147483647\r\n:1\r\n", 100), "");
  EXPECT_EQ(read_in_pieces("$536870911\r\nabc", 100), "");
}

TEST(RedisReader, RefusesRepliesOverItsLimit) {
  const std::string text(100, 'x');
  EXPECT_EQ(read_in_pieces("$100\r\n" + text + "\r\n", 10, 200), "'" + text + "'");
  EXPECT_EQ(read_in_pieces("$100\r\n" + text + "\r\n", 10, 50), "!");
  std::string many = "*1000000\r\n";
  for (int i = 0; i < 100; ++i) many += "$-1\r\n";
  EXPECT_EQ(read_in_pieces(many, 10, 200), "!");
  // The limit is one reply's, not the connection's.
  std::string short_ones;
  for (int i = 0; i < 100; ++i) short_ones += ":1\r\n";
  EXPECT_EQ(read_in_pieces(short_ones, 10, 50), std::string(100, '1'));
}

TEST(RedisReader, StaysBrokenAfterAnError) {
  RedisReader reader;
  ASSERT_TRUE(reader.feed("?\r\n"));
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.feed("+OK\r\n") && reader.next());
}

TEST(AppendCommand, WritesRespWithBinaryArguments) {
  std::string out = "before";
  append_command(out, {"SET", std::string_view("a\0b\r\n", 5), ""});
  EXPECT_EQ(out, std::string("before*3\r\n$3\r\nSET\r\n$5\r\na") + '\0' + "b\r\n\r\n$0\r\n\r\n");
}

TEST(FailureOf, TellsBusyServersFromRefusals) {
  const auto code = [](const std::string& text) { return failure_of({RedisReply::Kind::error, 0, text, {}}).code; };
  EXPECT_EQ(code("LOADING Redis is loading the dataset in memory"), Errc::server_busy);
  EXPECT_EQ(code("READONLY You can't write against a read only replica."), Errc::server_busy);
  EXPECT_EQ(code("MASTERDOWN Link with MASTER is down"), Errc::server_busy);
  EXPECT_EQ(code("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"),
            Errc::server_busy);
  EXPECT_EQ(code("TRYAGAIN later"), Errc::server_busy);
  EXPECT_EQ(code("WRONGTYPE Operation against a key holding the wrong kind of value"), Errc::refused);
  EXPECT_EQ(code("OOM command not allowed when used memory > 'maxmemory'."), Errc::refused);
  EXPECT_EQ(code("LOADINGX"), Errc::refused);
}

TEST(WantsAnotherServer, IsNotMeantByAnUnblockThatWasAskedFor) {
  const auto wants = [](const std::string& text) {
    return wants_another_server({RedisReply::Kind::error, 0, text, {}});
  };
  EXPECT_TRUE(wants("READONLY You can't write against a read only replica."));
  EXPECT_TRUE(wants("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"));
  EXPECT_FALSE(wants("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
  EXPECT_FALSE(wants("WRONGTYPE"));
  EXPECT_FALSE(wants_another_server({RedisReply::Kind::string, 0, "READONLY", {}}));
}

}  // namespace
}  // namespace lovage::client
