// Where a Redis server is and how to talk to it: taken from a URL.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace lovage::client {

struct RedisTls {
  bool enabled = false;
  bool verify = true;          // ssl_cert_reqs=required | optional (the same for a client) | none
  bool check_hostname = true;  // ssl_check_hostname=true | false
  std::string ca_file;         // ssl_ca_certs
  std::string cert_file;       // ssl_certfile
  std::string key_file;        // ssl_keyfile
};

// redis://, rediss:// (TLS), redis+socket:// and socket:// (path), sentinel:// with several hosts.
struct RedisOptions {
  std::vector<std::pair<std::string, std::uint16_t>> hosts;  // one; several for sentinels or fail-over
  std::string unix_path;                                     // instead of hosts
  bool sentinel = false;
  std::string master_name;  // sentinel: which master; transport option master_name or ?master_name=
  std::string user;
  std::string password;
  std::string sentinel_user;  // of the sentinels themselves (transport option sentinel_kwargs)
  std::string sentinel_password;
  int db = 0;
  RedisTls tls;
  std::chrono::milliseconds connect_timeout{4'000};
  std::string global_keyprefix;  // put before every key by the callers, never here
  std::string display_url;       // password hidden
};

// Query arguments: virtual_host (the database), socket_connect_timeout (seconds), global_keyprefix,
// master_name, and for rediss:// the ssl_* ones above; others are refused. URLs separated by ';' are one
// server after the other to try; they share user, password and database. "misconfigured" failures name the part of the
// URL that cannot work.
Result<RedisOptions> redis_options_from_url(const std::string& url);

}  // namespace lovage::client
