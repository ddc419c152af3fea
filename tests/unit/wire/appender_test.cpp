// Pieces that are appended by pointer arrive whole and in their order, however wrong the guess of their size was.
#include "wire/appender.hpp"

#include <gtest/gtest.h>

#include "wire/json.hpp"

namespace lovage::wire {
namespace {

TEST(Appender, AddsBehindWhatIsThere) {
  for (const std::size_t expected : {0U, 1U, 5U, 7U, 1'000U}) {
    std::string out = "before ";
    Appender to(out, expected);
    to.add("one");
    to.add("");
    to.add({});
    to.add(" two");
    to.finish();
    EXPECT_EQ(out, "before one two") << expected;
  }
}

TEST(Appender, GrowsAsOftenAsItMust) {
  std::string out;
  std::string wanted;
  Appender to(out, 3);
  for (int i = 0; i < 1'000; ++i) {
    const std::string piece = std::to_string(i * i);
    to.add(piece);
    wanted += piece;
  }
  const std::string large(100'000, 'x');
  to.add(large);
  to.finish();
  EXPECT_EQ(out, wanted + large);
}

TEST(Appender, TakesWhatOthersAppend) {
  for (const std::size_t expected : {0U, 4U, 100U}) {
    std::string out;
    Appender to(out, expected);
    to.add("a");
    to.by([](std::string& string) {
      EXPECT_EQ(string, "a");
      string += "bc";
    });
    to.add("d");
    to.finish();
    EXPECT_EQ(out, "abcd") << expected;
  }
}

// A character that needs an escape, at each place of texts of each length, into a string and through an appender.
TEST(Appender, WritesJsonStringsAsAStringIsWritten) {
  struct Case {
    std::string_view raw;
    std::string_view escaped;
  };
  for (const auto& [raw, escaped] :
       {Case{"x", "x"}, Case{" ", " "}, Case{"~", "~"}, Case{"!", "!"}, Case{"#", "#"}, Case{"[", "["}, Case{"]", "]"},
        Case{"\"", R"(\")"}, Case{"\\", R"(\\)"}, Case{"\n", R"(\n)"}, Case{"\x1f", R"(\u001f)"},
        Case{std::string_view("\0", 1), R"(\u0000)"}, Case{"\x7f", R"(\u007f)"}, Case{"\xc3\xa9", R"(\u00e9)"},
        Case{"\xff", R"(\ufffd)"}}) {
    for (std::size_t length = 0; length < 36; ++length) {
      for (std::size_t place = 0; place <= length; ++place) {
        const std::string before(place, 'a');
        const std::string after(length - place, 'z');
        const std::string text = before + std::string(raw) + after;
        const std::string wanted = '"' + before + std::string(escaped) + after + '"';
        std::string plain;
        EXPECT_EQ(append_json_string(plain, text), raw != "\xff");
        ASSERT_EQ(plain, wanted);
        std::string through;
        Appender to(through, 10);
        append_json_string(to, text);
        to.finish();
        ASSERT_EQ(through, wanted);
      }
    }
  }
}

}  // namespace
}  // namespace lovage::wire
