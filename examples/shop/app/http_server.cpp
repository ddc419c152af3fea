#include "http_server.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <iostream>

namespace shop {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr std::size_t kThreads = 4;  // a handler may wait for the broker
constexpr std::uint64_t kBodyLimit = 1U << 20U;
constexpr std::chrono::seconds kTimeout{30};

HttpRequest take_apart(const http::request<http::string_body>& request) {
  const std::string target(request.target());
  return {std::string(request.method_string()), target.substr(0, target.find('?')), request.body()};
}

HttpResponse answer(const Handler& handler, const HttpRequest& request) {
  try {
    return handler(request);
  } catch (const std::exception& error) {
    std::cerr << request.method << ' ' << request.path << ": " << error.what() << '\n';
    return {500, "{\"error\": \"internal error\"}\n"};
  }
}

// One connection, request after request.
asio::awaitable<void> serve(beast::tcp_stream stream, const Handler& handler) {
  beast::flat_buffer buffer;
  while (true) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(kBodyLimit);
    stream.expires_after(kTimeout);
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    const HttpResponse answered = answer(handler, take_apart(parser.get()));
    http::response<http::string_body> response(static_cast<http::status>(answered.status), 11);
    response.set(http::field::content_type, answered.content_type);
    response.keep_alive(parser.get().keep_alive());
    response.body() = answered.body;
    response.prepare_payload();
    stream.expires_after(kTimeout);
    co_await http::async_write(stream, response, asio::use_awaitable);
    if (!response.keep_alive()) break;
  }
  beast::error_code ignored;  // the peer may be gone already
  stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
}

asio::awaitable<void> accept(tcp::acceptor& acceptor, const Handler& handler) {
  while (true) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    auto executor = socket.get_executor();
    // A connection that breaks is the peer's matter: the exception ends it alone.
    asio::co_spawn(executor, serve(beast::tcp_stream(std::move(socket)), handler), asio::detached);
  }
}

}  // namespace

void serve_http(std::uint16_t port, const Handler& handler, const std::function<void(std::uint16_t)>& ready) {
  asio::thread_pool threads(kThreads);
  tcp::acceptor acceptor(threads, {asio::ip::address_v4::loopback(), port});
  asio::signal_set signals(threads, SIGINT, SIGTERM);
  signals.async_wait([&](beast::error_code, int) { threads.stop(); });
  asio::co_spawn(threads, accept(acceptor, handler), asio::detached);
  ready(acceptor.local_endpoint().port());
  threads.join();
}

}  // namespace shop
