// Broker and backend URLs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace lovage {

// "redis://user:secret@host:6379/0?timeout=5", taken apart and percent-decoded.
struct Url {
  std::string scheme;
  std::string user;
  std::optional<std::string> password;
  std::string host;  // without the brackets of an IPv6 address
  std::optional<std::uint16_t> port;
  std::string path;  // with its leading slash; may be empty
  std::map<std::string, std::string> query;

  // As text, the password as "**": fit for logs and messages.
  [[nodiscard]] std::string redacted() const;
};

Result<Url> parse_url(std::string_view text);

// A list "url;url" (fail-over, sentinels) taken apart.
Result<std::vector<Url>> parse_urls(std::string_view text);

// Any URL text with its password hidden, even one that does not parse.
std::string redact_url(std::string_view text);

}  // namespace lovage
