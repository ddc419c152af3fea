// The shop's web service: takes work in, hands it to the worker, and tells how it goes. `main.py` of a FastAPI project.
//
//   POST /tasks/thumbnail {"file": "harbour.png", "width": 96}   -> 202 {"id": ...}
//   POST /tasks/report    {"file": "orders.csv"}
//   POST /tasks/pi        {"digits": 4000}
//   POST /tasks/price     {"product": "lamp"}
//   GET  /tasks/ID                                                -> {"id", "state", "info"}
//   GET  /tasks/ID/result                                         -> 200 when ready, 202 before
#include <charconv>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include <lovage/app.hpp>
#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "celery_app.hpp"
#include "http_server.hpp"
#include "tasks.hpp"

namespace shop {
namespace {

using lovage::Value;

HttpResponse json(int status, const Value& value) {
  return {status, lovage::to_json(value) + '\n'};
}

HttpResponse problem(int status, const std::string& what) {
  return json(status, {{"error", what}});
}

// A field of the request's body. Throws lovage::TypeError, which becomes a 422.
template <class T>
T field(const Value& body, std::string_view name) {
  const Value* const value = body.find(name);
  if (value == nullptr) throw lovage::TypeError("the field '" + std::string(name) + "' is missing");
  try {
    return lovage::from_value<T>(*value);
  } catch (const lovage::TypeError& error) {
    throw lovage::TypeError("the field '" + std::string(name) + "': " + error.what());
  }
}

std::string send(std::string_view kind, const Value& body) {
  if (kind == "thumbnail") {
    return tasks().thumbnail.delay(field<std::string>(body, "file"), field<std::int64_t>(body, "width")).id();
  }
  if (kind == "report") return tasks().report.delay(field<std::string>(body, "file")).id();
  if (kind == "pi") return tasks().pi.delay(field<std::int64_t>(body, "digits")).id();
  if (kind == "price") return tasks().fetch_price.delay(field<std::string>(body, "product")).id();
  return {};
}

HttpResponse submit(std::string_view kind, const std::string& text) {
  try {
    const std::string id = send(kind, lovage::from_json(text));
    if (id.empty()) return problem(404, "no such task; there are thumbnail, report, pi and price");
    return json(202, {{"id", id}, {"status", "/tasks/" + id}, {"result", "/tasks/" + id + "/result"}});
  } catch (const lovage::DecodeError& error) {
    return problem(400, error.what());
  } catch (const lovage::TypeError& error) {
    return problem(422, error.what());
  } catch (const lovage::ConnectionError& error) {
    return problem(503, error.what());
  }
}

HttpResponse status(const std::string& id) {
  const auto result = celery_app().result(id);
  const std::string state = result.state();
  // A failed task's info is its exception; a custom state's is what update_state() was given.
  return json(200,
              {{"id", id}, {"state", state}, {"info", state == lovage::states::pending ? Value() : result.info()}});
}

HttpResponse result(const std::string& id) {
  const auto result = celery_app().result(id);
  const std::string state = result.state();
  if (!lovage::states::is_ready(state)) return json(202, {{"id", id}, {"state", state}});
  const char* const what = state == lovage::states::success ? "result" : "error";
  return json(200, {{"id", id}, {"state", state}, {what, result.result()}});
}

// Stands for a service of somebody else: two of three requests for a product find it overloaded.
HttpResponse supplier(const std::string& product) {
  constexpr int kBusy = 2;
  static std::mutex mutex;
  static std::map<std::string, int, std::less<>> asked;  // guarded by mutex
  const std::lock_guard lock(mutex);
  if (asked.size() > 1'000) asked.clear();
  if (asked[product]++ < kBusy) return problem(503, "overloaded");
  asked.erase(product);
  return json(200, {{"product", product}, {"price", 19.9}});
}

HttpResponse handle(const HttpRequest& request) {
  constexpr std::string_view kTasks = "/tasks/";
  constexpr std::string_view kResult = "/result";
  constexpr std::string_view kSupplier = "/supplier/";
  std::string path = request.path;
  const bool get = request.method == "GET";
  if (path == "/" && get) return json(200, {{"service", "shop"}});
  if (path.starts_with(kSupplier) && get) return supplier(path.substr(kSupplier.size()));
  if (!path.starts_with(kTasks)) return problem(404, "no such page");
  path.erase(0, kTasks.size());
  if (request.method == "POST") return submit(path, request.body);
  if (!get) return problem(405, "GET or POST");
  try {
    if (!path.ends_with(kResult)) return status(path);
    path.resize(path.size() - kResult.size());
    return result(path);
  } catch (const lovage::ConnectionError& error) {
    return problem(503, error.what());
  }
}

}  // namespace
}  // namespace shop

// shop-web [PORT]: 8000 by default, 0 for a free one.
int main(int argc, char** argv) {
  try {
    std::uint16_t port = 8'000;
    if (argc > 1) {
      const std::string_view text = argv[1];
      const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
      if (error != std::errc() || rest != text.data() + text.size()) {
        std::cerr << "usage: shop-web [PORT]\n";
        return 2;
      }
    }
    shop::serve_http(port, shop::handle, [](std::uint16_t bound) {
      std::cout << "Listening on http://127.0.0.1:" << bound << std::endl;  // flushed: scripts wait for it
    });
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "shop-web: " << error.what() << '\n';
    return 1;
  }
}
