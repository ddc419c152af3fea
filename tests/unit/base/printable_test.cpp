#include "base/printable.hpp"

#include <gtest/gtest.h>

namespace lovage {
namespace {

TEST(Printable, KeepsTextOfAnyScript) {
  for (const std::string text : {"", "plain", "Gr\xc3\xbc\xc3\x9f\x65", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "a\\b"}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, EscapesWhatSteersATerminal) {
  EXPECT_EQ(printable("\x1b[2J"), R"(\x1b[2J)");
  EXPECT_EQ(printable(std::string("a\0b", 3)), R"(a\x00b)");
  EXPECT_EQ(printable("a\x7f"), R"(a\x7f)");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            R"(\x9b31m)")
      << "C1's CSI";
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "exe"),
            R"(\u202eexe)")
      << "writes from right to left";
}

TEST(Printable, EscapesNewLinesWhereThereIsOneLine) {
  EXPECT_EQ(printable("a\nb\tc\r"), R"(a\x0ab\x09c\x0d)");
  EXPECT_EQ(printable("a\nb\tc\r", Lines::many), "a\nb\tc\\x0d");
  EXPECT_EQ(printable("\xe2\x80\xa8", Lines::many), R"(\u2028)");
}

TEST(Printable, EscapesBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("\xff"), R"(\xff)");
  EXPECT_EQ(printable("\xc3"), R"(\xc3)") << "cut short";
  EXPECT_EQ(printable("\xc3("), R"(\xc3()");
  EXPECT_EQ(printable("\xc0\xaf"), R"(\xc0\xaf)") << "longer than need be";
  EXPECT_EQ(printable("\xed\xa0\x80"), R"(\xed\xa0\x80)") << "a surrogate";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), R"(\xf4\x90\x80\x80)") << "beyond Unicode";
}

}  // namespace
}  // namespace lovage
