// Times, signatures, result metas, texts for people, queues and routing.
#include <gtest/gtest.h>

#include "wire/body.hpp"
#include "wire/queues.hpp"
#include "wire/result_meta.hpp"
#include "wire/signature.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {
namespace {

using namespace std::chrono_literals;
using namespace std::chrono;

TEST(WireTime, EveryFormOfIso8601) {
  const Timestamp base = sys_days(2020y / 1 / 1);
  const std::pair<const char*, Timestamp> table[] = {{"2020-01-01T00:00:00", base},
                                                     {"2020-01-01T00:00:00Z", base},
                                                     {"2020-01-01 00:00:00", base},
                                                     {"2020-01-01", base},
                                                     {"20200101T000000", base},
                                                     {"2020-01-01T00:00", base},
                                                     {"2020-01-01T02:00:00+02:00", base},
                                                     {"2019-12-31T22:30:00-0130", base},
                                                     {"2020-01-01T01:00:00.123+0100", base + 123ms},
                                                     {"2020-01-01T00:00:00.120000", base + 120ms},
                                                     {"2020-01-01T00:00:00.1234567Z", base + 123456us},
                                                     {"2019-12-31T24:00:00", base},
                                                     {"2020-01-01T01:00:00+01", base}};
  for (const auto& [text, at] : table) {
    const auto time = parse_wire_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(time->at, at) << text;
    EXPECT_EQ(time->text, text);
  }
  for (const char* text :
       {"", "soon", "2020", "2020-13-01", "2020-02-30T00:00:00", "2020-01-01T25:00:00", "2020-01-01T00:60:00",
        "2020-01-01T00:00:60", "2020-01-01T00:00:00.", "2020-01-01T", "2020-01-01T00:00:00+",
        "2020-01-01T00:00:00+25:00", "2020-01-01T00:00:00Zx", "0000-01-01", "2020-01-01T24:00:01", "2020-1-1", "123"}) {
    EXPECT_FALSE(parse_wire_time(text)) << text;
  }
}

TEST(WireTime, IsWrittenAsPythonWritesIt) {
  const Timestamp at = sys_days(2026y / 11 / 22) + 12h + 11min + 18s;
  EXPECT_EQ(to_wire_time(at + 100293us).text, "2026-11-22T12:11:18.100293+00:00");
  EXPECT_EQ(to_wire_time(at).text, "2026-11-22T12:11:18+00:00");
  EXPECT_EQ(date_done_text(at + 1us, JsonTypes::celery_5_6), "2026-11-22T12:11:18.000001+00:00");
  EXPECT_EQ(date_done_text(at + 1us, JsonTypes::celery_5_2), "2026-11-22T12:11:18.000001");
}

TEST(Repr, IsPythonLike) {
  EXPECT_EQ(args_repr(Array{}), "()");
  EXPECT_EQ(args_repr(Array{1}), "(1,)");
  EXPECT_EQ(args_repr(Array{2, 3.0, true, nullptr, "it's"}), R"((2, 3.0, True, None, 'it\'s'))");
  EXPECT_EQ(kwargs_repr({}), "{}");
  EXPECT_EQ(kwargs_repr({{"a", Array{1, 2}}}), "{'a': [1, 2]}");
  EXPECT_EQ(args_repr(Array{Bytes{"abc"}, Bytes{std::string("\xff\x00\xfe", 3)}}), "(b'abc', b'ff00fe')");
  // An Array in braces that hold nothing else is a copy of it for clang 14, an element for g++: so each is a Value.
  EXPECT_EQ(args_repr(Array{Value(Array{Value(Array{Value(Array{1})})})}), "([[[...]]],)");
  EXPECT_EQ(safe_repr(Object{{"a", Object{{"b", Object{{"c", Object{}}}}}}}), "{'a': {'b': {'c': {...}}}}");
}

TEST(Repr, IsBounded) {
  const std::string text = args_repr(Array{std::string(5000, 'x')});
  EXPECT_EQ(text, "('" + std::string(1023, 'x') + "...', ...)");
  EXPECT_LT(args_repr(Array(100'000, Value(12345))).size(), 1100U);
  EXPECT_TRUE(args_repr(Array(100'000, Value(12345))).ends_with(", ...)"));
  Array nested;
  for (int i = 0; i < 1000; ++i) nested.push_back(Array{Value(Array{"abc"})});
  EXPECT_TRUE(args_repr(nested).ends_with(")"));
  EXPECT_LT(args_repr(nested).size(), 1100U);
}

TEST(Signature, MissingMembersAreEmpty) {
  const auto short_form = signature_from_value({{"task", "t"}});
  ASSERT_TRUE(short_form);
  EXPECT_EQ(to_json(to_value(*short_form)),
            R"({"task": "t", "args": [], "kwargs": {}, "options": {}, "subtask_type": null, "immutable": false})");
  EXPECT_TRUE(signature_from_value({{"task", "t"}, {"chord_size", 2}, {"kwargs", nullptr}}));
  for (const Value& bad : {Value(), Value("t"), Value({{"args", Array{}}}), Value({{"task", 1}}),
                           Value({{"task", "t"}, {"args", Object{}}}), Value({{"task", "t"}, {"options", Array{}}})}) {
    EXPECT_FALSE(signature_from_value(bad)) << to_json(bad);
  }
}

TEST(ResultMeta, HotPathWritesTheSameText) {
  ResultMeta meta;
  meta.task_id = "id-1";
  meta.status = "SUCCESS";
  meta.result = Array{1, "x"};
  meta.children = Array{};
  meta.date_done = "2026-11-22T12:12:47.125950+00:00";
  meta.group_id = "g";
  meta.parent_id = "p";
  const auto slow = encode_result_meta(meta, Serializer::json, JsonTypes::celery_5_6);
  EXPECT_EQ(encode_success_meta({"id-1", R"([1, "x"])", "[]", *meta.date_done, "g", "p"}), slow);
  meta.group_id.reset();
  meta.parent_id.reset();
  EXPECT_EQ(encode_success_meta({"id-1", R"([1, "x"])", "[]", *meta.date_done, {}, {}}),
            encode_result_meta(meta, Serializer::json, JsonTypes::celery_5_6));
  EXPECT_EQ(result_key("id-1"), "celery-task-meta-id-1");
}

TEST(ResultMeta, MsgpackIsReadToo) {
  ResultMeta meta;
  meta.task_id = "id-1";
  meta.status = "FAILURE";
  meta.result = to_value(ExceptionInfo{"ValueError", "builtins", {"boom"}});
  meta.extended = {{"name", "t"}, {"color", "red"}};
  const auto bytes = encode_result_meta(meta, Serializer::msgpack, JsonTypes::celery_5_6);
  ASSERT_TRUE(bytes);
  const auto back = decode_result_meta(*bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->result, meta.result);
  EXPECT_EQ(back->extended, meta.extended);
  EXPECT_EQ(peek_status(*bytes), "FAILURE");
}

TEST(ResultMeta, IsReadTolerantly) {
  EXPECT_EQ(decode_result_meta(R"({"status": "SUCCESS", "result": 5})")->result, Value(5));
  EXPECT_TRUE(decode_result_meta(R"({"status": "SUCCESS", "result": 1, "children": null, "task_id": "x"})")
                  ->children.is_null());
  for (const char* bad : {"", "[]", "{}", R"({"status": 1})", "{\"status\": \"SUC", "nonsense"}) {
    EXPECT_FALSE(decode_result_meta(bad)) << bad;
  }
  EXPECT_EQ(peek_status(R"({"task_id": "x", "status":"STARTED"})"), "STARTED");
  EXPECT_EQ(peek_status(R"({"status": "\u0041"})"), "A");
  EXPECT_EQ(peek_status("nonsense"), std::nullopt);
}

TEST(Exception, IsReadHoweverItWasWritten) {
  const auto read = [](const char* json) { return exception_from_value(from_json(json)); };
  EXPECT_EQ(read(R"({"exc_type": "E", "exc_message": ["a", 1], "exc_module": "m"})").repr(), "E('a', 1)");
  EXPECT_EQ(read(R"({"exc_type": "std::runtime_error", "exc_message": "oops"})").repr(), "std::runtime_error('oops')");
  EXPECT_EQ(read(R"({"exc_message": "x"})").repr(), "Exception('x')");
  EXPECT_EQ(read(R"("just text")").repr(), "Exception('just text')");
  EXPECT_EQ(read("null").repr(), "Exception()");
  EXPECT_EQ((ExceptionInfo{"E", "", {"it's\n"}}).repr(), R"(E("it's\n"))");
  EXPECT_EQ(to_json(to_value(ExceptionInfo{"E", "", {1}})),
            R"({"exc_type": "E", "exc_message": [1], "exc_module": null})");
}

TEST(Queues, PrioritySteps) {
  const std::pair<int, int> table[] = {{0, 0}, {1, 0}, {2, 0}, {3, 3},   {5, 3},
                                       {6, 6}, {8, 6}, {9, 9}, {255, 9}, {-4, 0}};
  for (const auto& [priority, step] : table) EXPECT_EQ(priority_step(priority), step) << priority;
  EXPECT_EQ(priority_step(7, std::array{0, 5}), 5);
  EXPECT_EQ(priority_step(0, std::array{2, 5}), 5);  // kombu's bisect wraps round
  EXPECT_EQ(list_name("celery", 5, ":"), "celery:5");
  EXPECT_EQ(list_name("celery", 0, ":"), "celery");
  EXPECT_EQ(list_name("celery", 0), "celery");
  EXPECT_EQ(list_name("celery", 3),
            "celery\x06\x16"
            "3");
}

TEST(Queues, BindingsAreKombus) {
  EXPECT_EQ(encode_binding(binding_of({"celery", {}, ExchangeType::direct, {}})),
            "celery\x06\x16\x06\x16"
            "celery");
  EXPECT_EQ(encode_binding(binding_of({"tq", "tex", ExchangeType::topic, "a.#"})), "a.#\x06\x16^a\\..*?$\x06\x16tq");
  EXPECT_EQ(encode_binding(binding_of({"tq", "tex", ExchangeType::topic, "*.b"})),
            "*.b\x06\x16^.*?[^\\.]\\.b$\x06\x16tq");
  EXPECT_EQ(binding_of({"q", "x", ExchangeType::topic, "my-tasks_1.*.+a"}).pattern,
            "^my\\-tasks\\_1\\..*?[^\\.]\\.\\+a$");
  EXPECT_EQ(binding_of({"q", "x", ExchangeType::topic, ".a."}).pattern, "^\\.a\\.$");
  EXPECT_EQ(encode_binding(binding_of({"w1@h.celery.pidbox", "celery.pidbox", ExchangeType::fanout, {}})),
            "\x06\x16\x06\x16w1@h.celery.pidbox");
  const auto row = decode_binding("a.#\x06\x16^a\\..*?$\x06\x16tq");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->routing_key, "a.#");
  EXPECT_EQ(row->pattern, "^a\\..*?$");
  EXPECT_EQ(row->queue, "tq");
  EXPECT_FALSE(decode_binding("celery"));
  EXPECT_EQ(encode_binding({"k", "", "q"}, "|"), "k||q");
  EXPECT_EQ(decode_binding("k||q", "|").value().queue, "q");
  EXPECT_FALSE(
      decode_binding("a\x06\x16"
                     "b"));
}

TEST(Queues, Routing) {
  const std::vector<Binding> rows{
      {"a.#", "", "deep"}, {"a.*", "", "one"}, {"a.b", "", "exact"}, {"#", "", "all"}, {"a.b", "", "exact"}};
  using Names = std::vector<std::string>;
  EXPECT_EQ(route(ExchangeType::topic, rows, "a.b"), (Names{"deep", "one", "exact", "all"}));
  EXPECT_EQ(route(ExchangeType::topic, rows, "a.b.c"), (Names{"deep", "one", "all"}));  // kombu's "*" spans dots
  EXPECT_EQ(route(ExchangeType::topic, rows, "b"), (Names{"all"}));
  EXPECT_EQ(route(ExchangeType::topic, rows, "a"), (Names{"all"}));
  EXPECT_EQ(route(ExchangeType::topic, rows, "a."), (Names{"deep", "all"}));
  EXPECT_EQ(route(ExchangeType::direct, rows, "a.b"), (Names{"exact"}));
  EXPECT_EQ(route(ExchangeType::fanout, rows, ""), (Names{"deep", "one", "exact", "all"}));
}

TEST(Queues, Globs) {
  const std::tuple<const char*, const char*, bool> table[] = {{"tasks.*", "tasks.add", true},
                                                              {"tasks.*", "task.add", false},
                                                              {"*", "", true},
                                                              {"", "", true},
                                                              {"", "a", false},
                                                              {"a?c", "abc", true},
                                                              {"a?c", "ac", false},
                                                              {"[ab]x", "bx", true},
                                                              {"[!ab]x", "bx", false},
                                                              {"[a-c]", "b", true},
                                                              {"[", "[", true},
                                                              {"a[", "a[", true},
                                                              {"*a*b*c", "xxaxxbxxc", true},
                                                              {"*a*b*c", "xxaxxbxx", false},
                                                              {"[]]", "]", true},
                                                              {"**", "x", true}};
  for (const auto& [pattern, text, matches] : table)
    EXPECT_EQ(glob_match(pattern, text), matches) << pattern << " " << text;
  EXPECT_FALSE(glob_match("*a*a*a*a*a*a*a*a*a*a*b", std::string(10'000, 'a')));
}

}  // namespace
}  // namespace lovage::wire
