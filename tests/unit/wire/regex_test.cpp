// Regular expressions: Python's answers where we read a pattern, a reason where we do not, and never a long wait.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "wire/regex.hpp"

namespace lovage::wire {
namespace {

TEST(Regex, MatchesFromTheStartAsPythonsReMatch) {
  const std::tuple<const char*, const char*, bool> table[] = {
      {"", "m1@wire", true},
      {"", "", true},
      {"m1@wire", "m1@wire", true},
      {"m1", "m1@wire", true},
      {"1", "m1@wire", false},
      {"wire", "m1@wire", false},
      {".*wire", "m1@wire", true},
      {"m1@wire.", "m1@wire", false},
      {"^m1", "m1@wire", true},
      {"m^1", "m1@wire", false},
      {"m1$", "m1@wire", false},
      {"m1@wire$", "m1@wire", true},
      {"m1$", "m1\n", true},
      {"m1$", "m1\n\n", false},
      {"m1.$", "m1\n", false},
      {"m[12]@", "m2@wire", true},
      {"m[12]@", "m3@wire", false},
      {"m[^12]@", "m3@wire", true},
      {"m[^12]", "m\n", true},
      {"m[]x]", "m]", true},
      {"m[^]x]", "m]", false},
      {"m[a-c0-9]+@", "mb7@wire", true},
      {"m[a-]", "m-", true},
      {"m[-a]", "m-", true},
      {"m[+--]", "m,", true},
      {"m[\\]\\-]", "m-", true},
      {"m[\\d_]", "m_", true},
      {"m[^\\d]", "m1", false},
      {"m[.]1", "mx1", false},
      {"web1|web2", "web2@x", true},
      {"(web1|web2)@", "web3@x", false},
      {"(?:a|b|cd)e", "cde", true},
      {"(?:a||b)c", "c", true},
      {"()*m", "m", true},
      {"(a*)*b", "aab", true},
      {"(a|b)+@", "abab@", true},
      {"a?b", "b", true},
      {"a+b", "b", false},
      {"a*?b", "aab", true},
      {"a{2}b", "aab", true},
      {"a{2}b", "aaab", false},
      {"a{2,}b", "aaaab", true},
      {"a{,2}b", "b", true},
      {"a{,2}b", "aaab", false},
      {"a{1,3}?b", "aaab", true},
      {"a{0}b", "b", true},
      {"(ab){2}$", "abab", true},
      {"\\w+@\\w+$", "worker_1@host", true},
      {"\\S+$", "a b", false},
      {"a\\sb", "a\tb", true},
      {"\\D\\W\\d", "a@1", true},
      {"a\\.b", "axb", false},
      {"a\\{1}", "a{1}", true},
      {"}]", "}]", true},
      // One character beyond ASCII is one character.
      {"w.@", "w\xc3\xa9@x", true},
      {"w..@", "w\xc3\xa9@x", false},
      {"w[^a]@", "w\xe2\x82\xac@x", true},
      {".{2}$", "\xc3\xa9\xf0\x9f\x98\x80", true},
      {"..", "\xff", false},
  };
  for (const auto& [pattern, text, matches] : table) {
    const auto matched = regex_match(pattern, text);
    ASSERT_TRUE(matched) << pattern << ": " << matched.error().message;
    EXPECT_EQ(*matched, matches) << pattern << " " << text;
  }
}

TEST(Regex, RefusesWithAReason) {
  const std::tuple<const char*, const char*> table[] = {
      {"(", "a pattern with '(' and no ')'"},
      {"((a)", "a pattern with '(' and no ')'"},
      {")", "a pattern with ')' and no '('"},
      {"a)b", "a pattern with ')' and no '('"},
      {"[", "a pattern with '[' and no ']'"},
      {"[]", "a pattern with '[' and no ']'"},
      {"[a-", "a pattern with '[' and no ']'"},
      {"[a\\", "a pattern that ends with '\\'"},
      {"a\\", "a pattern that ends with '\\'"},
      {"[b-a]", "a pattern with a range that is none"},
      {"[\\d-z]", "a pattern with a range that is none"},
      {"[a-\\d]", "a pattern with a range that is none"},
      {"*", "a pattern with a repetition of nothing"},
      {"a|+", "a pattern with a repetition of nothing"},
      {"(?)", "a pattern with '(?': only '(?:' is supported"},
      {"(?i)a", "a pattern with '(?': only '(?:' is supported"},
      {"(?=a)", "a pattern with '(?': only '(?:' is supported"},
      {"(?<!a)", "a pattern with '(?': only '(?:' is supported"},
      {"(?P<n>a)", "a pattern with '(?': only '(?:' is supported"},
      {"a**", "a pattern with two repetitions in a row"},
      {"a{2}{3}", "a pattern with two repetitions in a row"},
      {"a*??", "a pattern with two repetitions in a row"},
      {"a*+", "a pattern with a possessive repetition, or two in a row"},
      {"^*", "a pattern that repeats '^' or '$'"},
      {"a$?", "a pattern that repeats '^' or '$'"},
      {"a{", "a pattern with '{' that begins no count; the character is '\\{'"},
      {"a{x}", "a pattern with '{' that begins no count; the character is '\\{'"},
      {"a{1,x}", "a pattern with '{' that begins no count; the character is '\\{'"},
      {"a{,}", "a pattern with '{' that begins no count; the character is '\\{'"},
      {"a{3,2}", "a pattern whose count ends before it begins"},
      {"(a)\\1", "a pattern with '\\1', which is not supported"},
      {"\\bm", "a pattern with '\\b', which is not supported"},
      {"[\\b]", "a pattern with '\\b', which is not supported"},
      {"w\xc3\xa9", "a pattern with characters beyond ASCII"},
  };
  for (const auto& [pattern, why] : table) {
    const auto matched = regex_match(pattern, "m1@wire");
    ASSERT_FALSE(matched) << pattern;
    EXPECT_EQ(matched.error().code, Errc::bad_data) << pattern;
    EXPECT_EQ(matched.error().message, why) << pattern;
  }
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Regex, IsBounded) {
  for (const std::string& pattern :
       {std::string(1'001, 'a'), repeated("(", 60) + repeated(")", 60), std::string("((a{100}){100}){100}"),
        std::string("(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}"), std::string("a{1001}"),
        std::string("a{99999999999999999999}"), repeated("a{99}", 190)}) {
    const auto matched = regex_match(pattern, "m1@wire");
    ASSERT_FALSE(matched) << pattern;
    EXPECT_EQ(matched.error().code, Errc::too_large) << pattern;
  }
  EXPECT_EQ(regex_match(std::string(1'000, 'a'), std::string(1'000, 'a')), true);
  EXPECT_EQ(regex_match(repeated("(", 50) + repeated(")", 50), "m"), true);
  EXPECT_EQ(regex_match("a{1000}", std::string(1'000, 'a')), true);
}

// Each takes minutes, or all of the stack, where an engine goes back and forth.
TEST(Regex, HostilePatternsTakeNoTime) {
  const std::string name(250, 'a');
  for (const std::string& pattern :
       {std::string("(a+)+b"), std::string("(a*)*b"), std::string("(a|a)*b"), std::string("(a|aa)+b"),
        std::string("((a*)*)*b"), repeated("a?", 250) + repeated("a", 250) + "b", repeated(".*", 300) + "b",
        repeated("(a*|", 50) + repeated(")*", 50) + "b", std::string("(.*){1,700}b")}) {
    EXPECT_EQ(regex_match(pattern, name), false) << pattern;
  }
  EXPECT_EQ(regex_match("(((){1000}){1000}){1000}a", name), true);
  EXPECT_EQ(regex_match("(a|b)*", std::string(1'000'000, 'a')), true);
  EXPECT_EQ(regex_match("(a|b)*$", std::string(100'000, 'a')), true);
}

}  // namespace
}  // namespace lovage::wire
