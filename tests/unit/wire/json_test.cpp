// Values as text and bytes: JSON, msgpack, base64, compression.
#include "wire/json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <lovage/error.hpp>
#include <random>

#include "wire/base64.hpp"
#include "wire/compression.hpp"
#include "wire/msgpack.hpp"
#include "wire/utf8.hpp"

namespace lovage::wire {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Json, WritesAsPythonDoes) {
  EXPECT_EQ(to_json(Array{1, -2, true, nullptr, "x"}), R"([1, -2, true, null, "x"])");
  EXPECT_EQ(to_json({{"a", 1}, {"b", Array{}}}), R"({"a": 1, "b": []})");
  EXPECT_EQ(to_json("h\u00e9llo \u4e2d \U0001f600 \"\\/\n\x01\x7f"),
            R"("h\u00e9llo \u4e2d \ud83d\ude00 \"\\/\n\u0001\u007f")");
  EXPECT_EQ(to_json(BigInt{"1000000000000000000000000000000"}), "1000000000000000000000000000000");
  EXPECT_EQ(to_json(std::uint64_t{18446744073709551615U}), "18446744073709551615");
  EXPECT_EQ(to_json(Array{kNan, kInfinity, -kInfinity}), "[NaN, Infinity, -Infinity]");
}

TEST(Json, WritesDoublesAsPythonDoes) {
  const std::pair<double, const char*> table[] = {{1.0, "1.0"},
                                                  {-0.0, "-0.0"},
                                                  {0.1, "0.1"},
                                                  {1e15, "1000000000000000.0"},
                                                  {1e16, "1e+16"},
                                                  {1e300, "1e+300"},
                                                  {0.0001, "0.0001"},
                                                  {0.00001, "1e-05"},
                                                  {123.456, "123.456"},
                                                  {1.5e-7, "1.5e-07"},
                                                  {9007199254740993.0, "9007199254740992.0"},
                                                  {5e-324, "5e-324"},
                                                  {1.7976931348623157e308, "1.7976931348623157e+308"},
                                                  {100000.0, "100000.0"}};
  for (const auto& [value, text] : table) EXPECT_EQ(to_json(value), text);
}

TEST(Json, ReadsNumbers) {
  EXPECT_EQ(from_json("9223372036854775807"), Value(INT64_MAX));
  EXPECT_EQ(from_json("-9223372036854775808"), Value(INT64_MIN));
  EXPECT_EQ(from_json("9223372036854775808"), Value(BigInt{"9223372036854775808"}));
  EXPECT_EQ(from_json("-9223372036854775809"), Value(BigInt{"-9223372036854775809"}));
  EXPECT_EQ(from_json("1.0"), Value(1.0));
  EXPECT_EQ(from_json("1e2"), Value(100.0));
  EXPECT_EQ(from_json("-Infinity"), Value(-kInfinity));
  EXPECT_TRUE(std::isnan(*from_json("NaN").if_real()));
  EXPECT_EQ(from_json("1e-400"), Value(0.0));
}

TEST(Json, TypesOf56AreTagged) {
  const std::pair<Value, const char*> table[] = {
      {DateTime{"2024-01-02T03:04:05.678900"},
       R"({"__type__": "datetime", "__value__": "2024-01-02T03:04:05.678900"})"},
      {Date{"2024-01-02"}, R"({"__type__": "date", "__value__": "2024-01-02"})"},
      {TimeOfDay{"03:04:05.000006"}, R"({"__type__": "time", "__value__": "03:04:05.000006"})"},
      {Decimal{"1.500"}, R"({"__type__": "decimal", "__value__": "1.500"})"},
      {Uuid{"12345678123456781234567812345678"},
       R"({"__type__": "uuid", "__value__": {"hex": "12345678123456781234567812345678"}})"},
      {Bytes{"abc"}, R"({"__type__": "bytes", "__value__": "abc"})"}};
  for (const auto& [value, text] : table) {
    EXPECT_EQ(to_json(value), text);
    EXPECT_EQ(from_json(text), value);
  }
  const Value binary = Bytes{std::string("\xff\x00\xfe", 3)};
  EXPECT_EQ(to_json(binary), R"({"__type__": "base64", "__value__": "/wD+"})");
  EXPECT_EQ(from_json(to_json(binary)), binary);
}

TEST(Json, TypesOf52AreTexts) {
  const std::pair<Value, const char*> table[] = {
      {DateTime{"2024-01-02T03:04:05.678900"}, R"("2024-01-02T03:04:05.678900")"},
      {DateTime{"2024-01-02T03:04:05+00:00"}, R"("2024-01-02T03:04:05Z")"},
      {DateTime{"2024-01-02T03:04:05+02:00"}, R"("2024-01-02T03:04:05+02:00")"},
      {Date{"2024-01-02"}, R"("2024-01-02T00:00:00")"},
      {TimeOfDay{"03:04:05.000006"}, R"("03:04:05.000006")"},
      {Decimal{"1.500"}, R"("1.500")"},
      {Uuid{"12345678123456781234567812345678"}, R"("12345678-1234-5678-1234-567812345678")"}};
  for (const auto& [value, text] : table) EXPECT_EQ(encode_value(value, Serializer::json, JsonTypes::celery_5_2), text);
  const auto refused = encode_value(Bytes{"abc"}, Serializer::json, JsonTypes::celery_5_2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::bad_data);
}

TEST(Json, OnlyTheExactPairOfMembersIsSpecial) {
  EXPECT_NE(from_json(R"({"__type__": "bytes"})").if_object(), nullptr);
  EXPECT_NE(from_json(R"({"__type__": "bytes", "__value__": "a", "x": 1})").if_object(), nullptr);
  EXPECT_EQ(from_json(R"({"__value__": "a", "__type__": "bytes"})"), Value(Bytes{"a"}));
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"",
                           "{",
                           "[1,]",
                           "{nope",
                           "01",
                           "1 2",
                           "nul",
                           "\"\\x\"",
                           "'a'",
                           "[1",
                           "\"a",
                           "+1",
                           "-",
                           "\"a\nb\"",
                           "\"\xff\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xc0\x80\"",
                           R"("\u12")",
                           R"({"__type__": "weird", "__value__": 1})",
                           R"({"__type__": 1, "__value__": 1})",
                           R"({"__type__": "base64", "__value__": "!!!"})",
                           R"({"__type__": "uuid", "__value__": "x"})",
                           R"({"__type__": "datetime", "__value__": "yesterday"})",
                           R"({"__type__": "date", "__value__": "2024-02-30"})",
                           R"({"__type__": "time", "__value__": "25:00"})",
                           R"({"__type__": "decimal", "__value__": "1,5"})"}) {
    EXPECT_THROW(from_json(text), DecodeError) << text;
  }
  EXPECT_THROW(from_json(std::string_view("[1]\0", 4)), DecodeError);
  EXPECT_THROW(from_json(std::string_view("[1]\0x", 5)), DecodeError);
}

TEST(Json, IsBounded) {
  const DecodeLimits limits{64, 3};
  EXPECT_TRUE(parse_json("[[[1]]]", limits));
  EXPECT_EQ(parse_json("[[[[1]]]]", limits).error().code, Errc::too_large);
  EXPECT_EQ(parse_json("[" + std::string(70, ' ') + "]", limits).error().code, Errc::too_large);
  EXPECT_THROW(from_json(std::string(1'000'000, '[')), DecodeError);
  Value deep;
  for (int i = 0; i < 101; ++i) deep = Array{std::move(deep)};
  EXPECT_THROW(to_json(deep), EncodeError);
}

TEST(Json, LastOfSeveralMembersWins) {
  EXPECT_EQ(to_json(from_json(R"({"a": 1, "b": 2, "a": 3})")), R"({"a": 3, "b": 2})");
  std::string text = "{";
  for (int i = 0; i < 100; ++i) text += "\"k" + std::to_string(i % 50) + "\": " + std::to_string(i) + ", ";
  const Value many = from_json(text + "\"end\": 0}");
  ASSERT_EQ(many.if_object()->size(), 51U);
  EXPECT_EQ(*many.find("k0"), Value(50));
  EXPECT_EQ(*many.find("k49"), Value(99));
  EXPECT_EQ(many.if_object()->begin()->first, "k0");
}

TEST(Json, KeepsLoneSurrogates) {
  const char* text = R"(["caf\udce9", "\ud83d\ude00", "\ud800", "\\ud800", "\ud800\u0041"])";
  EXPECT_EQ(to_json(from_json(text)), R"(["caf\udce9", "\ud83d\ude00", "\ud800", "\\ud800", "\ud800A"])");
}

TEST(Json, StringsThatAreNoUtf8AreErrors) {
  EXPECT_THROW(to_json(Value("\xff")), EncodeError);
  EXPECT_THROW(to_json(Object{{"\xff", 1}}), EncodeError);
  std::string out;
  EXPECT_FALSE(append_json_string(out,
                                  "a\xff"
                                  "b"));
  EXPECT_EQ(out, R"("a\ufffdb")");
}

TEST(Base64, WritesWhatItReads) {
  const auto encoded = [](std::string_view bytes) {
    std::string text = ">";
    append_base64(text, bytes);
    return text;
  };
  EXPECT_EQ(encoded(""), ">");
  EXPECT_EQ(encoded("f"), ">Zg==");
  EXPECT_EQ(encoded("fo"), ">Zm8=");
  EXPECT_EQ(encoded("foo"), ">Zm9v");
  EXPECT_EQ(encoded("foob"), ">Zm9vYg==");
  EXPECT_EQ(encoded("\xfb\xff\xfe"), ">+//+");
  std::string bytes;
  for (int i = 0; i < 600; ++i) {
    EXPECT_EQ(decode_base64(encoded(bytes).substr(1)), bytes);
    EXPECT_EQ(encoded(bytes).size(), 1 + base64_size(bytes.size()));
    bytes.push_back(static_cast<char>(i * 7));
  }
}

TEST(Base64, IsStrict) {
  std::string text;
  append_base64(text, "light work.");
  EXPECT_EQ(text, "bGlnaHQgd29yay4=");
  EXPECT_EQ(decode_base64(text), "light work.");
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("YQ=="), "a");
  for (const char* bad : {"!!!", "YQ=", "YQ", "YR==", "Y===", "====", "YQ==YQ==", "YWI\n", "YW I", "YWF=", "a-_b"}) {
    EXPECT_EQ(decode_base64(bad), std::nullopt) << bad;
  }
}

TEST(Compression, RoundTripsAndIsBounded) {
  const std::string bytes(100'000, 'x');
  for (auto method : {Compression::none, Compression::zlib, Compression::bzip2, Compression::zstd}) {
    const auto packed = compress(bytes, method);
    ASSERT_TRUE(packed);
    EXPECT_EQ(decompress(*packed, method, bytes.size()), bytes);
    EXPECT_EQ(decompress(*packed, method, bytes.size() - 1).error().code, Errc::too_large);
    if (method == Compression::none) continue;
    for (std::size_t length = 0; length < packed->size(); ++length) {
      EXPECT_FALSE(decompress(std::string_view(*packed).substr(0, length), method, 1U << 20U)) << length;
    }
    EXPECT_FALSE(decompress(*packed + "x", method, 1U << 20U));
    EXPECT_EQ(decompress(*compress("", method), method, 100), "");
  }
  EXPECT_TRUE(compress("abc", Compression::zlib)->starts_with("\x78"));  // a zlib stream, not gzip
}

TEST(Names, AliasesOfSerializersAndCompressions) {
  EXPECT_EQ(serializer_from_name("json"), Serializer::json);
  EXPECT_EQ(serializer_from_name("application/x-msgpack"), Serializer::msgpack);
  EXPECT_EQ(serializer_from_name("pickle"), std::nullopt);
  EXPECT_EQ(serializer_from_name("application/json; charset=utf-8"), std::nullopt);
  for (const char* name : {"zlib", "gzip", "application/x-gzip"}) {
    EXPECT_EQ(compression_from_name(name), Compression::zlib);
  }
  for (const char* name : {"bzip2", "bzip", "application/x-bz2"}) {
    EXPECT_EQ(compression_from_name(name), Compression::bzip2);
  }
  for (const char* name : {"zstd", "zstandard", "application/zstd"}) {
    EXPECT_EQ(compression_from_name(name), Compression::zstd);
  }
  EXPECT_EQ(compression_from_name("brotli"), std::nullopt);
  EXPECT_EQ(mime_name(Compression::zlib), "application/x-gzip");
  EXPECT_EQ(mime_name(Compression::none), "");
  EXPECT_EQ(mime_name(Serializer::msgpack), "application/x-msgpack");
}

TEST(Msgpack, RefusesWhatItLacks) {
  for (const Value& value : {Value(DateTime{"2024-01-02T03:04:05"}), Value(Decimal{"1"}), Value("\xff"),
                             Value(BigInt{"100000000000000000000"}), Value(Uuid{std::string(32, '0')})}) {
    EXPECT_FALSE(encode_msgpack(value));
  }
  using namespace std::string_literals;
  // Cut short, an extension type, a number as key, huge announced sizes, deep nesting, more bytes behind.
  for (const std::string& bytes :
       {""s, "\x93\x01"s, "\xd4\x01\x00"s, "\x81\x01\x02"s, "\xdd\xff\xff\xff\xff"s, "\xdf\xff\xff\xff\xff\xa1"s,
        "\xdb\xff\xff\xff\xff"s, std::string(200, '\x91'), "\x01\x02"s, "\xc1"s, "\xa1\xff"s}) {
    EXPECT_FALSE(decode_msgpack(bytes, {}));
  }
  EXPECT_EQ(decode_msgpack("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", {}), Value(BigInt{"18446744073709551615"}));
  EXPECT_EQ(decode_msgpack("\xca\x3f\xc0\x00\x00"s, {}), Value(1.5));
}

// Random values: the same generator for every round trip.
class RandomValues {
 public:
  RandomValues(unsigned seed, bool json) : random_(seed), json_(json) {}

  Value next(int depth) {
    switch (below(depth > 0 ? (json_ ? 15 : 9) : 6)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return static_cast<std::int64_t>(random_());
      case 3:
        return real();
      case 4:
        return text();
      case 5:
        return Bytes{bytes()};
      case 6:
        return array(depth);
      case 7:
      case 8:
        return object(depth);
      case 9:
        return BigInt{"-1" + std::to_string(random_() | (1ULL << 63U))};
      case 10:
        return DateTime{"2024-01-02T03:04:05." + std::to_string(100000 + below(899999)) + "+01:00"};
      case 11:
        return Date{"2024-12-31"};
      case 12:
        return TimeOfDay{"23:59:59"};
      case 13:
        return Decimal{"-1.5E+7"};
      default:
        return Uuid{"0123456789abcdef0123456789abcdef"};
    }
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  double real() {
    double value = 0;
    do {
      const std::uint64_t bits = random_();
      std::memcpy(&value, &bits, sizeof value);
    } while (!std::isfinite(value) || std::fabs(value) > 1e300);
    return value;
  }
  std::string text() {
    std::string out;
    for (auto n = below(20); n > 0; --n) {
      char32_t c = static_cast<char32_t>(below(4) == 0 ? below(0x110000) : below(128));
      if (c >= 0xd800 && c < 0xe000) c = '?';
      append_utf8(out, c);
    }
    return out;
  }
  std::string bytes() {
    std::string out;
    for (auto n = below(20); n > 0; --n) out.push_back(static_cast<char>(random_()));
    return out;
  }
  Array array(int depth) {
    Array out;
    for (auto n = below(5); n > 0; --n) out.push_back(next(depth - 1));
    return out;
  }
  Object object(int depth) {
    Object out;
    for (auto n = below(depth == 1 ? 25 : 4); n > 0; --n) out.set(text(), next(depth - 1));
    return out;
  }
  std::mt19937_64 random_;
  bool json_;
};

TEST(RoundTrip, RandomValuesThroughJson) {
  RandomValues values(1, true);
  for (int i = 0; i < 500; ++i) {
    const Value value = values.next(3);
    const std::string text = to_json(value);
    ASSERT_EQ(from_json(text), value) << text;
  }
}

TEST(RoundTrip, RandomValuesThroughMsgpack) {
  RandomValues values(2, false);
  for (int i = 0; i < 500; ++i) {
    const Value value = values.next(3);
    const auto bytes = encode_msgpack(value);
    ASSERT_TRUE(bytes);
    ASSERT_EQ(decode_msgpack(*bytes, {}), value);
    const std::size_t stride = 1 + bytes->size() / 20;
    for (std::size_t cut = 0; cut < bytes->size(); cut += stride) {
      EXPECT_FALSE(decode_msgpack(bytes->substr(0, cut), {}));
    }
  }
}

}  // namespace
}  // namespace lovage::wire
