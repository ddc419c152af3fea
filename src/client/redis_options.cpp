#include "client/redis_options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

#include "base/suggest.hpp"
#include "base/url.hpp"

namespace lovage::client {
namespace {

constexpr std::uint16_t kRedisPort = 6379;
constexpr std::uint16_t kSentinelPort = 26379;

enum class Scheme { redis, rediss, unix_socket, sentinel };

Result<Scheme> scheme_of(const Url& url) {
  if (url.scheme == "redis") return Scheme::redis;
  if (url.scheme == "rediss") return Scheme::rediss;
  if (url.scheme == "redis+socket" || url.scheme == "socket") return Scheme::unix_socket;
  if (url.scheme == "sentinel") return Scheme::sentinel;
  static constexpr std::array<std::string_view, 5> kKnown{"redis", "rediss", "redis+socket", "socket", "sentinel"};
  return fail(Errc::misconfigured, "'" + url.scheme + "://' is not a Redis URL" + did_you_mean(url.scheme, kKnown));
}

Result<int> database(std::string_view text, const std::string& where) {
  while (text.starts_with('/')) text.remove_prefix(1);
  if (text.empty()) return 0;
  int db = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), db);
  if (error != std::errc() || end != text.data() + text.size() || db < 0) {
    return fail(Errc::misconfigured, "database '" + std::string(text) + "' in " + where + " is not a number");
  }
  return db;
}

Result<bool> yes_or_no(const std::string& name, std::string_view value) {
  if (value == "true" || value == "True" || value == "1") return true;
  if (value == "false" || value == "False" || value == "0") return false;
  return fail(Errc::misconfigured, name + "=" + std::string(value) + " is neither true nor false");
}

Result<bool> verification(const std::string& value) {
  if (value == "required" || value == "CERT_REQUIRED" || value == "optional" || value == "CERT_OPTIONAL") return true;
  if (value == "none" || value == "CERT_NONE") return false;
  static constexpr std::array<std::string_view, 6> kKnown{"required",      "optional",      "none",
                                                          "CERT_REQUIRED", "CERT_OPTIONAL", "CERT_NONE"};
  return fail(Errc::misconfigured,
              "ssl_cert_reqs=" + value + " is not required, optional or none" + did_you_mean(value, kKnown));
}

Result<std::chrono::milliseconds> seconds(const std::string& name, const std::string& value) {
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(number) || number <= 0 ||
      number > 86'400) {
    return fail(Errc::misconfigured, name + "=" + value + " is not a number of seconds (more than 0, at most 86400)");
  }
  return std::chrono::milliseconds(std::max(1LL, std::llround(number * 1000)));
}

template <class T, class U>
Result<void> store(T& target, Result<U> value) {
  if (!value) return tl::unexpected(value.error());
  target = std::move(*value);
  return {};
}

Result<void> apply_tls_argument(RedisTls& tls, const std::string& name, const std::string& value) {
  if (name == "ssl_cert_reqs") return store(tls.verify, verification(value));
  if (name == "ssl_check_hostname") return store(tls.check_hostname, yes_or_no(name, value));
  if (name == "ssl_ca_certs") tls.ca_file = value;
  if (name == "ssl_certfile") tls.cert_file = value;
  if (name == "ssl_keyfile") tls.key_file = value;
  return {};
}

Result<void> apply_argument(RedisOptions& options, const std::string& name, const std::string& value) {
  static constexpr std::array<std::string_view, 9> kKnown{
      "virtual_host", "socket_connect_timeout", "global_keyprefix", "master_name",       "ssl_cert_reqs",
      "ssl_ca_certs", "ssl_certfile",           "ssl_keyfile",      "ssl_check_hostname"};
  if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
    return fail(Errc::misconfigured, "unknown argument '" + name + "' in the Redis URL" + did_you_mean(name, kKnown));
  }
  if (name == "virtual_host") return store(options.db, database(value, "virtual_host"));
  if (name == "socket_connect_timeout") return store(options.connect_timeout, seconds(name, value));
  if (name == "global_keyprefix") {
    options.global_keyprefix = value;
  } else if (name == "master_name") {
    options.master_name = value;
  } else {
    if (!options.tls.enabled) return fail(Errc::misconfigured, "'" + name + "' needs a rediss:// URL");
    return apply_tls_argument(options.tls, name, value);
  }
  return {};
}

// What one URL of the list says, apart from where its server is.
Result<RedisOptions> read_one(const Url& url, Scheme scheme) {
  RedisOptions options;
  options.sentinel = scheme == Scheme::sentinel;
  options.tls.enabled = scheme == Scheme::rediss;
  options.user = url.user;
  options.password = url.password.value_or("");
  if (scheme == Scheme::unix_socket) {
    options.unix_path = url.host + url.path;
    if (options.unix_path.empty()) return fail(Errc::misconfigured, "'" + url.redacted() + "' names no socket");
  } else {
    options.hosts.emplace_back(url.host.empty() ? "localhost" : url.host,
                               url.port.value_or(options.sentinel ? kSentinelPort : kRedisPort));
    if (auto db = store(options.db, database(url.path, "'" + url.redacted() + "'")); !db) {
      return tl::unexpected(db.error());
    }
  }
  for (const auto& [name, value] : url.query) {
    if (auto applied = apply_argument(options, name, value); !applied) return tl::unexpected(applied.error());
  }
  return options;
}

// A later URL of a list may leave out what the first said, but not contradict it.
Result<void> join(RedisOptions& all, const RedisOptions& next, const Url& url) {
  const auto differs = [&](const std::string& what) {
    return fail(Errc::misconfigured,
                "'" + url.redacted() + "' has another " + what + " than the first URL of its list");
  };
  if (next.sentinel != all.sentinel || next.tls.enabled != all.tls.enabled || !next.unix_path.empty() ||
      !all.unix_path.empty()) {
    return differs("kind");
  }
  if (!next.user.empty() && next.user != all.user) return differs("user");
  if (!next.password.empty() && next.password != all.password) return differs("password");
  if (url.path.size() > 1 && next.db != all.db) return differs("database");
  if (!url.query.empty()) return fail(Errc::misconfigured, "arguments belong to the first URL of a list");
  all.hosts.push_back(next.hosts.front());
  return {};
}

}  // namespace

Result<RedisOptions> redis_options_from_url(const std::string& text) {
  const auto urls = parse_urls(text);
  if (!urls) return tl::unexpected(urls.error());
  std::optional<RedisOptions> all;
  std::string display;
  for (const auto& url : *urls) {
    const auto scheme = scheme_of(url);
    if (!scheme) return tl::unexpected(scheme.error());
    auto one = read_one(url, *scheme);
    if (!one) return tl::unexpected(one.error());
    if (!all) {
      all = std::move(*one);
    } else if (auto joined = join(*all, *one, url); !joined) {
      return tl::unexpected(joined.error());
    }
    display += (display.empty() ? "" : ";") + url.redacted();
  }
  all->display_url = display;
  return std::move(*all);
}

}  // namespace lovage::client
