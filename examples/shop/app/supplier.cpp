#include "supplier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include <lovage/value.hpp>

namespace shop {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::chrono::seconds kTimeout{5};

struct Target {
  std::string host;
  std::string port = "80";
  std::string path = "/";
};

Target take_apart(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) throw std::runtime_error("'" + url + "' is no http:// URL");
  Target target;
  const auto slash = url.find('/', kScheme.size());
  target.host = url.substr(kScheme.size(), slash - kScheme.size());
  if (slash != std::string::npos) target.path = url.substr(slash);
  if (const auto colon = target.host.find(':'); colon != std::string::npos) {
    target.port = target.host.substr(colon + 1);
    target.host.resize(colon);
  }
  return target;
}

// One request with a time limit on the whole of it: Beast's limits work on asynchronous calls alone.
class Exchange {
 public:
  explicit Exchange(Target target) : target_(std::move(target)) {}

  http::response<http::string_body> run() {
    stream_.expires_after(kTimeout);
    // A name is looked up by the system, within the system's own limits.
    const auto endpoints = asio::ip::tcp::resolver(context_).resolve(target_.host, target_.port);
    stream_.async_connect(endpoints, [this](beast::error_code error, const auto&) {
      if (done(error)) return;
      http::async_write(stream_, request_, [this](beast::error_code failed, std::size_t) {
        if (done(failed)) return;
        http::async_read(stream_, buffer_, response_, [this](beast::error_code end, std::size_t) { error_ = end; });
      });
    });
    context_.run();
    if (error_) throw SupplierBusy(target_.host + ':' + target_.port + " does not answer: " + error_.message());
    return std::move(response_);
  }

 private:
  bool done(beast::error_code error) {
    error_ = error;
    return static_cast<bool>(error);
  }
  http::request<http::empty_body> make_request() const {
    http::request<http::empty_body> request(http::verb::get, target_.path, 11);
    request.set(http::field::host, target_.host);
    request.set(http::field::connection, "close");
    return request;
  }

  Target target_;
  asio::io_context context_;
  beast::tcp_stream stream_{context_};
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_ = make_request();
  http::response<http::string_body> response_;
  beast::error_code error_;
};

}  // namespace

double fetch_price(const std::string& product) {
  constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-";
  if (product.empty() || product.find_first_not_of(kNameCharacters) != std::string::npos) {
    throw std::invalid_argument("'" + product + "' is no product's name");
  }
  const char* const supplier = std::getenv("SHOP_SUPPLIER");
  const std::string base = supplier != nullptr ? supplier : "http://127.0.0.1:8000/supplier";
  const auto response = Exchange(take_apart(base + '/' + product)).run();
  if (response.result() == http::status::service_unavailable) {
    throw SupplierBusy("the supplier is overloaded (503), try again later");
  }
  if (response.result() != http::status::ok) {
    throw std::runtime_error("the supplier said " + std::to_string(response.result_int()));
  }
  const lovage::Value body = lovage::from_json(response.body());
  const lovage::Value* const price = body.find("price");
  if (price == nullptr || price->if_real() == nullptr) throw std::runtime_error("the supplier's answer has no price");
  return *price->if_real();
}

}  // namespace shop
