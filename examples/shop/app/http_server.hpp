// A small HTTP server on Boost.Beast: requests in, responses out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace shop {

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // "/tasks/5f3c", without a query
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
};

// Thread-safe: called by several threads at once. What it throws becomes a 500.
using Handler = std::function<HttpResponse(const HttpRequest&)>;

// Serves 127.0.0.1 alone until SIGINT or SIGTERM. Port 0: a free one. `ready` gets the port once connections are
// taken. Bodies are limited to 1 MiB, a request to 30 s. Throws std::exception when the port cannot be had.
void serve_http(std::uint16_t port, const Handler& handler, const std::function<void(std::uint16_t)>& ready);

}  // namespace shop
