// Regular expressions: Python's answers, a reason for what is no pattern, and never a long wait.
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
      {"(?i)M1", "m1", true},
      {"(?!m2)m", "m1", true},
      {"(?P<n>m)1", "m1", true},
  };
  for (const auto& [pattern, text, matches] : table) {
    const auto matched = regex_match(pattern, text);
    ASSERT_TRUE(matched) << pattern << ": " << matched.error().message;
    EXPECT_EQ(*matched, matches) << pattern << " " << text;
  }
}

TEST(Regex, RefusesWithAReason) {
  for (const char* const pattern : {"(", ")", "[", "[b-a]", "*", "a\\", "(?<n", "\xff"}) {
    const auto matched = regex_match(pattern, "m1@wire");
    ASSERT_FALSE(matched) << pattern;
    EXPECT_EQ(matched.error().code, Errc::bad_data) << pattern;
    EXPECT_TRUE(matched.error().message.starts_with("the pattern: ")) << matched.error().message;
  }
  EXPECT_EQ(regex_match("m(1", "m1").error().message, "the pattern: missing closing parenthesis (byte 3)");
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Regex, IsBounded) {
  EXPECT_EQ(regex_match(std::string(1'001, 'a'), "a").error().code, Errc::too_large);
  EXPECT_EQ(regex_match(std::string(1'000, 'a'), std::string(1'000, 'a')), true);
  EXPECT_EQ(regex_match(repeated("(", 50) + repeated(")", 50), "m"), true);
  for (const std::string& pattern : {repeated("(", 60) + repeated(")", 60), std::string("((a{999}){999}){999}")}) {
    EXPECT_FALSE(regex_match(pattern, "m1@wire")) << pattern;
  }
}

// Each takes minutes, or all of the stack, where nothing stops it.
TEST(Regex, HostilePatternsTakeNoTime) {
  const std::string name(250, 'a');
  for (const std::string& pattern :
       {std::string("(a+)+b"), std::string("(a|a)*b"), std::string("(a|aa)+b"), std::string("((a*)*)*b"),
        std::string("(.*){1,700}b"), std::string("(a+)+(?!c)\\1b"), std::string("(?R)*b"), repeated(".*", 300) + "b",
        repeated("a?", 250) + repeated("a", 250) + "b"}) {
    const auto matched = regex_match(pattern, name);
    EXPECT_FALSE(matched.value_or(false)) << pattern;
  }
}

}  // namespace
}  // namespace lovage::wire
