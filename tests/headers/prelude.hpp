// What the code examples in headers and documentation take for granted.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <vector>

#include <lovage/lovage.hpp>

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace): as the examples do

struct Point {
  int x = 0;
  int y = 0;
};

std::optional<std::string> download(const std::string& url);

inline lovage::App app("shop");
inline auto add = app.task(
    "tasks.add", [](int x, int y) { return x + y; }, lovage::params("x", "y"));
inline auto fetch = app.task("tasks.fetch", [](std::string url) { return url; });
inline auto log_result = app.task("tasks.log_result", [](int) {});
inline auto on_error = app.task("tasks.on_error", [](std::string) {});

// The workflow of canvas.hpp.
inline const std::string url = "https://shop.example/";
inline auto split = app.task("tasks.split", [](std::string text) { return text; });
inline auto count =
    app.task("tasks.count", [](std::string text, int column) { return static_cast<long>(text.size()) + column; });
inline auto total = app.task("tasks.total", [](std::vector<long> counts) { return counts.front(); });
