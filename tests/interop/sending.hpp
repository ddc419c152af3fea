// What programs that send the interop tests' scenarios have in common.
#pragma once

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <lovage/lovage.hpp>

namespace lovage::interop {

using namespace std::chrono_literals;

inline constexpr auto kWait = 30s;

class Wrong : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class T>
void expect(const T& got, const T& wanted, const std::string& what = "result") {
  if (got == wanted) return;
  throw Wrong(what + " is " + to_json(to_value(got)) + ", not " + to_json(to_value(wanted)));
}

inline std::string fresh_path(const std::string& folder, const std::string& kind) {
  static int number = 0;
  return folder + "/" + kind + "-cpp-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

inline std::vector<std::string> wait_for_lines(const std::string& path, std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + kWait;
  while (std::chrono::steady_clock::now() < deadline) {
    std::vector<std::string> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    if (lines.size() >= count) return lines;
    std::this_thread::sleep_for(20ms);
  }
  throw Wrong(path + " did not get its lines");
}

template <class Result>
TaskFailed::Details failure_of(Result result) {
  try {
    result.get(kWait);
  } catch (const TaskFailed& error) {
    return error.details();
  }
  throw Wrong("it succeeded");
}

// One line of JSON: how it went. 0 when it went well, else 1.
inline int report(const std::string& name, const std::function<void()>& run) {
  std::string detail;
  bool ok = true;
  try {
    run();
  } catch (const std::exception& error) {
    ok = false;
    detail = error.what();
  }
  std::cout << to_json(Object{{"scenario", name}, {"ok", ok}, {"detail", detail}}) << std::endl;
  return ok ? 0 : 1;
}

// Sends every workflow whose name contains `only`: the steps in turn to the C++ and to the Python workers' queue, as
// `placement` says ("cpp", "cpp-py", "py-cpp"). How many went wrong.
int send_flows(App& app, const std::string& placement, const std::string& folder, const std::string& only);

}  // namespace lovage::interop
