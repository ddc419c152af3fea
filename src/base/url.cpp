#include "base/url.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace lovage {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) {
      return fail(Errc::misconfigured, "a '%' that is not followed by two hexadecimal digits");
    }
    out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
    i += 2;
  }
  return out;
}

struct Authority {
  std::string_view user_info;
  bool has_user_info = false;
  std::string_view host;
  std::string_view port;
};

Result<Authority> split_authority(std::string_view text) {
  Authority out;
  if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    out.user_info = text.substr(0, at);
    out.has_user_info = true;
    text.remove_prefix(at + 1);
  }
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return fail(Errc::misconfigured, "an IPv6 address without its ']'");
    out.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (text.starts_with(':')) out.port = text.substr(1);
    return out;
  }
  const auto colon = text.find(':');
  out.host = text.substr(0, colon);
  if (colon != std::string_view::npos) out.port = text.substr(colon + 1);
  return out;
}

Result<void> read_authority(std::string_view text, Url& url) {
  const auto parts = split_authority(text);
  if (!parts) return tl::unexpected(parts.error());
  if (parts->has_user_info) {
    const auto colon = parts->user_info.find(':');
    const auto user = percent_decode(parts->user_info.substr(0, colon));
    if (!user) return tl::unexpected(user.error());
    url.user = *user;
    if (colon != std::string_view::npos) {
      const auto password = percent_decode(parts->user_info.substr(colon + 1));
      if (!password) return tl::unexpected(password.error());
      url.password = *password;
    }
  }
  const auto host = percent_decode(parts->host);
  if (!host) return tl::unexpected(host.error());
  url.host = *host;
  if (!parts->port.empty()) {
    std::uint16_t port = 0;
    const auto* end = parts->port.data() + parts->port.size();
    const auto [rest, error] = std::from_chars(parts->port.data(), end, port);
    if (error != std::errc() || rest != end || port == 0) {
      return fail(Errc::misconfigured, "port '" + std::string(parts->port) + "' is not a number from 1 to 65535");
    }
    url.port = port;
  }
  return {};
}

Result<void> read_query(std::string_view text, Url& url) {
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto item = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (item.empty()) continue;
    const auto equals = item.find('=');
    const auto key = percent_decode(item.substr(0, equals));
    const auto value = percent_decode(equals == std::string_view::npos ? "" : item.substr(equals + 1));
    if (!key) return tl::unexpected(key.error());
    if (!value) return tl::unexpected(value.error());
    url.query[*key] = *value;
  }
  return {};
}

}  // namespace

std::string Url::redacted() const {
  std::string out = scheme + "://";
  if (!user.empty() || password) {
    out += user;
    if (password) out += ":**";
    out += '@';
  }
  out += host.find(':') == std::string::npos ? host : '[' + host + ']';
  if (port) out += ':' + std::to_string(*port);
  return out + path;
}

Result<Url> parse_url(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return fail(Errc::misconfigured, "'" + redact_url(text) + "' is no usable URL: " + why);
  };
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0)
    return bad("it has no scheme (redis://, sqlite://, ...)");
  Url url;
  url.scheme = std::string(text.substr(0, scheme_end));
  std::transform(url.scheme.begin(), url.scheme.end(), url.scheme.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  auto rest = text.substr(scheme_end + 3);
  std::string_view query;
  if (const auto mark = rest.find('?'); mark != std::string_view::npos) {
    query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  const auto slash = rest.find('/');
  if (auto read = read_authority(rest.substr(0, slash), url); !read) return bad(read.error().message);
  if (slash != std::string_view::npos) {
    const auto path = percent_decode(rest.substr(slash));
    if (!path) return bad(path.error().message);
    url.path = *path;
  }
  if (auto read = read_query(query, url); !read) return bad(read.error().message);
  return url;
}

Result<std::vector<Url>> parse_urls(std::string_view text) {
  std::vector<Url> urls;
  while (!text.empty()) {
    const auto end = text.find(';');
    auto url = parse_url(text.substr(0, end));
    if (!url) return tl::unexpected(url.error());
    urls.push_back(std::move(*url));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  if (urls.empty()) return fail(Errc::misconfigured, "the URL is empty");
  return urls;
}

std::string redact_url(std::string_view text) {
  std::string out;
  while (true) {
    const auto end = text.find(';');
    const auto one = text.substr(0, end);
    const auto scheme_end = one.find("://");
    const auto start = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
    // A password may hold '/' or '?' unescaped by mistake: everything up to the last '@' is hidden.
    const auto at = one.rfind('@');
    const auto colon = one.find(':', start);
    if (at != std::string_view::npos && at >= start && colon < at) {
      out += std::string(one.substr(0, colon + 1)) + "**" + std::string(one.substr(at));
    } else {
      out += one;
    }
    if (end == std::string_view::npos) return out;
    out += ';';
    text.remove_prefix(end + 1);
  }
}

}  // namespace lovage
