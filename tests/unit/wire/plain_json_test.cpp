// The fast reader of plain JSON: what it tells, what it leaves to the general reader, and that both agree.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "unit/wire/golden.hpp"
#include "wire/plain_json.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {
namespace {

// Writes down what it is told: {k"a" [ 1 "b" ] }
struct Recorder {
  std::string told;
  bool refuses = false;

  bool add(std::string text) {
    told += told.empty() ? text : " " + text;
    return !refuses;
  }
  bool Null() { return add("null"); }
  bool Bool(bool value) { return add(value ? "true" : "false"); }
  bool RawNumber(const char* text, unsigned length, bool) { return add(std::string(text, length)); }
  bool String(const char* text, unsigned length, bool) { return add('"' + std::string(text, length) + '"'); }
  bool Key(const char* text, unsigned length, bool) { return add(std::string(text, length) + ':'); }
  [[nodiscard]] std::string_view expected_key() const { return "expected"; }
  void expected_key_came() { add("expected!"); }
  bool StartObject() { return add("{"); }
  bool EndObject(unsigned) { return add("}"); }
  bool StartArray() { return add("["); }
  bool EndArray(unsigned) { return add("]"); }
};

TEST(PlainJson, TellsWhatItReads) {
  struct Row {
    std::string_view text, told;
  };
  for (const Row& row : {
           Row{"{}", "{ }"},
           Row{" [ ] ", "[ ]"},
           Row{R"({"a": [1, {"b": -20}, [], {}], "": "x"})", R"({ a: [ 1 { b: -20 } [ ] { } ] : "x" })"},
           Row{"[true,false,\n\tnull,0,-0,123456789012345678]", "[ true false null 0 -0 123456789012345678 ]"},
           Row{R"(["1234567", "12345678", "123456789", "/'[]{},:"])",
               R"([ "1234567" "12345678" "123456789" "/'[]{},:" ])"},
           Row{R"({"expected" : 1, "expecte": 2, "expected2": 3})", "{ expected! 1 expecte: 2 expected2: 3 }"},
           Row{"7", "7"},
       }) {
    Recorder recorder;
    EXPECT_TRUE(read_plain_json(row.text, recorder)) << row.text;
    EXPECT_EQ(recorder.told, row.told);
  }
}

TEST(PlainJson, LeavesTheRestToTheGeneralReader) {
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  for (const std::string& text : {
           std::string(R"(["a\n"])"),
           std::string("[\"\xc3\xa9\"]"),
           std::string("[\"\x1f\"]"),
           std::string("[\"1234567\x80\"]"),
           std::string("[\"\0\"]", 5),
           std::string("[1\0]", 4),
           std::string("[1]\0", 4),  // special
           std::string("[1.5]"),
           std::string("[1e3]"),
           std::string("[NaN]"),
           std::string("[1234567890123456789]"),
           std::string("[01]"),
           std::string("[-]"),
           std::string("[+1]"),
           std::string("[tru]"),
           std::string("[nullnull]"),
           std::string(),
           std::string(" "),
           std::string("[1,]"),
           std::string("[,1]"),
           std::string("[1 2]"),
           std::string("[1}"),
           std::string("[1"),
           std::string("[\"a"),
           std::string("]"),
           std::string("[] []"),
           std::string("[1],"),
           std::string(R"({"a"})"),
           std::string(R"({"a":})"),
           std::string(R"({"a":1,})"),
           std::string(R"({"a" 1})"),
           std::string("{1:2}"),
           std::string(R"({,"a":1})"),
           std::string("{]"),
           std::string("{"),
           deep,
       }) {
    Recorder recorder;
    EXPECT_FALSE(read_plain_json(text, recorder)) << text;
  }
}

TEST(PlainJson, EndsWhenTheHandlerRefuses) {
  Recorder recorder{.told = {}, .refuses = true};
  EXPECT_FALSE(read_plain_json("[1, 2]", recorder));
  EXPECT_EQ(recorder.told, "[");
}

TEST(PlainJson, WhatWeSendIsPlain) {
  TaskMessage m;
  m.task = "tasks.add";
  m.id = "4d1d0b3a-52e5-4473-a695-1112e8f54db2";
  m.argsrepr = "(2, 'three')";
  m.custom_headers = {{"tenant", "blue"}};
  m.body = "[[], {}, null]";
  Recorder recorder;
  EXPECT_TRUE(read_plain_json(encode_envelope(m), recorder));
}

// A member that is not plain makes the fast reader give way: the same envelope by the general reader.
void expect_both_readers_agree(const std::string& text) {
  if (!text.starts_with('{')) return;
  const auto one = decode_envelope(text);
  const auto other = decode_envelope(R"({"not plain": "\u00e9", )" + text.substr(1));
  ASSERT_EQ(one.has_value(), other.has_value()) << text;
  if (one) {
    EXPECT_EQ(encode_envelope(*one), encode_envelope(*other)) << text;
  } else {
    EXPECT_EQ(one.error().reason, other.error().reason) << text;
    EXPECT_EQ(one.error().id, other.error().id) << text;
    EXPECT_EQ(one.error().task, other.error().task) << text;
  }
}

TEST(PlainJson, GivesTheMessagesOfTheGeneralReader) {
  std::mt19937 random(7);
  std::size_t plain = 0;
  for (const auto& sample : tests::samples("task_")) {
    for (const Value& captured : *sample.content.find("messages")->if_array()) {
      const std::string text = *captured.find("raw")->if_string();
      Recorder recorder;
      if (read_plain_json(text, recorder)) ++plain;
      expect_both_readers_agree(text);
      for (int i = 0; i < 500; ++i) {
        std::string copy = text;
        auto& flipped = copy[1 + random() % (copy.size() - 1)];
        flipped = "\"{}[],:\\0n 1-"[random() % 13];
        expect_both_readers_agree(copy);
      }
    }
  }
  EXPECT_GE(plain, 5U);
}

}  // namespace
}  // namespace lovage::wire
