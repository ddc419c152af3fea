#include "client/redis_options.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lovage::client {
namespace {

using Hosts = std::vector<std::pair<std::string, std::uint16_t>>;

RedisOptions good(const std::string& url) {
  const auto options = redis_options_from_url(url);
  EXPECT_TRUE(options) << url << ": " << options.error().message;
  return options.value_or(RedisOptions{});
}

TEST(RedisOptions, FillsInWhatTheUrlLeavesOut) {
  const auto options = good("redis://");
  EXPECT_EQ(options.hosts, (Hosts{{"localhost", 6379}}));
  EXPECT_EQ(options.db, 0);
  EXPECT_FALSE(options.tls.enabled);
  EXPECT_TRUE(options.user.empty());
}

TEST(RedisOptions, ReadsUserPasswordHostPortAndDatabase) {
  const auto options = good("redis://joe:p%40ss%2Fword@cache.example:6380/5");
  EXPECT_EQ(options.user, "joe");
  EXPECT_EQ(options.password, "p@ss/word");
  EXPECT_EQ(options.hosts, (Hosts{{"cache.example", 6380}}));
  EXPECT_EQ(options.db, 5);
  EXPECT_EQ(options.display_url, "redis://joe:**@cache.example:6380/5");
}

TEST(RedisOptions, ReadsArguments) {
  const auto options =
      good("redis://[::1]?virtual_host=/3&socket_connect_timeout=1.5&global_keyprefix=shop%3A&master_name=m");
  EXPECT_EQ(options.hosts, (Hosts{{"::1", 6379}}));
  EXPECT_EQ(options.db, 3);
  EXPECT_EQ(options.connect_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(options.global_keyprefix, "shop:");
}

TEST(RedisOptions, ReadsTls) {
  const auto strict = good("rediss://h");
  EXPECT_TRUE(strict.tls.enabled);
  EXPECT_TRUE(strict.tls.verify);
  EXPECT_TRUE(strict.tls.check_hostname);
  const auto options = good(
      "rediss://h/1?ssl_cert_reqs=CERT_NONE&ssl_ca_certs=/ca&ssl_certfile=/crt&ssl_keyfile=/"
      "key&ssl_check_hostname=false");
  EXPECT_FALSE(options.tls.verify);
  EXPECT_FALSE(options.tls.check_hostname);
  EXPECT_EQ(options.tls.ca_file, "/ca");
  EXPECT_EQ(options.tls.cert_file, "/crt");
  EXPECT_EQ(options.tls.key_file, "/key");
}

TEST(RedisOptions, ReadsUnixSockets) {
  for (const std::string scheme : {"redis+socket", "socket"}) {
    const auto options = good(scheme + "://:secret@/run/redis.sock?virtual_host=2");
    EXPECT_EQ(options.unix_path, "/run/redis.sock");
    EXPECT_EQ(options.password, "secret");
    EXPECT_EQ(options.db, 2);
    EXPECT_TRUE(options.hosts.empty());
  }
}

TEST(RedisOptions, ReadsSentinels) {
  const auto options = good("sentinel://:secret@a/2?master_name=main;sentinel://b:5000");
  EXPECT_TRUE(options.sentinel);
  EXPECT_EQ(options.master_name, "main");
  EXPECT_EQ(options.hosts, (Hosts{{"a", 26379}, {"b", 5000}}));
  EXPECT_EQ(options.password, "secret");
  EXPECT_EQ(options.db, 2);
}

TEST(RedisOptions, ReadsAFailOverList) {
  const auto options = good("redis://:secret@a/1;redis://:secret@b:7000/1;redis://c");
  EXPECT_FALSE(options.sentinel);
  EXPECT_EQ(options.hosts, (Hosts{{"a", 6379}, {"b", 7000}, {"c", 6379}}));
  EXPECT_EQ(options.display_url, "redis://:**@a/1;redis://:**@b:7000/1;redis://c");
}

struct Bad {
  std::string url;
  std::string message;
};

class BadUrl : public testing::TestWithParam<Bad> {};

TEST_P(BadUrl, IsRefusedWithTheReason) {
  const auto options = redis_options_from_url(GetParam().url);
  ASSERT_FALSE(options) << GetParam().url;
  EXPECT_EQ(options.error().code, Errc::misconfigured);
  EXPECT_NE(options.error().message.find(GetParam().message), std::string::npos) << options.error().message;
  EXPECT_EQ(options.error().message.find("secret"), std::string::npos) << options.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Urls, BadUrl,
    testing::Values(Bad{"", "empty"}, Bad{"localhost:6379", "no scheme"},
                    Bad{"reds://:secret@h", "'reds://' is not a Redis URL (did you mean 'redis'?)"},
                    Bad{"redis://:secret@h/zero", "database 'zero' in 'redis://:**@h/zero' is not a number"},
                    Bad{"redis://h/-1", "is not a number"}, Bad{"redis://h/99999999999", "is not a number"},
                    Bad{"redis://:secret@h:99999", "65535"},
                    Bad{"redis://:secret@h?virtual_hots=1",
                        "'virtual_hots' in the Redis URL (did you mean 'virtual_host'?)"},
                    Bad{"redis://h?ssl_cert_reqs=none", "'ssl_cert_reqs' needs a rediss:// URL"},
                    Bad{"rediss://h?ssl_cert_reqs=requird", "did you mean 'required'?"},
                    Bad{"rediss://h?ssl_check_hostname=maybe", "neither true nor false"},
                    Bad{"redis://h?socket_connect_timeout=nan", "is not a number of seconds"},
                    Bad{"redis://h?socket_connect_timeout=0", "is not a number of seconds"},
                    Bad{"redis+socket://", "names no socket"},
                    Bad{"redis://:secret@a;redis://:secret2@b", "another password"},
                    Bad{"redis://a/1;redis://b/2", "another database"}, Bad{"redis://a;sentinel://b", "another kind"},
                    Bad{"redis://a;redis://b?virtual_host=1", "belong to the first URL"}));

}  // namespace
}  // namespace lovage::client
