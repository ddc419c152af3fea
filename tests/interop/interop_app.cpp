// The interop tests' tasks in C++: the same names and behaviour as in pyapp.py. As a program:
//   interop_app worker ...            a Lovage worker (any worker option)
//   interop_app send --folder DIR     sends every scenario to whoever serves the queue, one JSON line each
//   interop_app send-flows --placement cpp|cpp-py|py-cpp --folder DIR [NAME]   the same with workflows
//   interop_app send-mixed            sends to a queue that Python and C++ workers share
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <lovage/lovage.hpp>

#include "sending.hpp"

using namespace std::chrono_literals;
using lovage::Array;
using lovage::Context;
using lovage::Object;
using lovage::Value;
using lovage::interop::expect;
using lovage::interop::failure_of;
using lovage::interop::fresh_path;
using lovage::interop::kWait;
using lovage::interop::report;
using lovage::interop::wait_for_lines;
using lovage::interop::Wrong;

namespace {

lovage::App& interop() {
  static lovage::App app("interop");
  app.config().task_default_queue = "interop";
  return app;
}

void append_line(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::app) << text + "\n";
}

std::string as_line(const Value& value) {
  const auto* text = value.if_string();
  return text != nullptr ? *text : lovage::to_json(value);
}

void declare_tasks(lovage::App& app) {
  using lovage::params;
  app.task(
      "interop.add", [](std::int64_t x, std::int64_t y) { return x + y; }, params("x", "y"));
  app.task(
      "interop.echo", [](Value value) { return value; }, params("value"));
  app.task(
      "interop.type_name", [](Value value) { return std::string(lovage::python_type_name(value.kind())); },
      params("value"));
  app.task(
      "interop.fail", [](std::string message) { throw std::invalid_argument(message); }, params("message"));
  app.task("interop.flaky",
           [](Context& self, std::int64_t times) {
             if (self.request().retries < times) self.retry({.countdown = 200ms});
             return self.request().retries;
           },
           params("times"), {.max_retries = 5});
  app.task("interop.exhausted",
           [](Context& self) {
             try {
               throw std::invalid_argument("still broken");
             } catch (const std::invalid_argument&) {
               self.retry({.countdown = 100ms});
             }
           },
           {.max_retries = 1});
  app.task(
      "interop.progress",
      [](Context& self, std::string path) {
        self.update_state("PROGRESS", {{"done", 5}, {"total", 10}});
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (!std::filesystem::exists(path) && std::chrono::steady_clock::now() < deadline) {
          std::this_thread::sleep_for(20ms);
        }
        return std::string("done");
      },
      params("path"));
  app.task(
      "interop.append",
      [](Value value, std::string path) {
        append_line(path, as_line(value));
        return value;
      },
      params("value", "path"));
  app.task(
      "interop.hold",
      [](std::string path) {
        append_line(path, "cpp");
        return std::string("cpp");
      },
      params("path"));
  app.task(
      "interop.failed", [](std::string task_id, std::string path) { append_line(path, task_id); },
      params("task_id", "path"));
  app.task(
      "interop.total",
      [](std::vector<std::int64_t> numbers) {
        return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
      },
      params("numbers"));
  app.task(
      "interop.fail_with", [](Value, std::string message) { throw std::invalid_argument(message); },
      params("value", "message"));
  app.task(
      "interop.ids",
      [](Context& self, std::int64_t number) {
        const auto& request = self.request();
        return Array{request.root_id, request.parent_id ? Value(*request.parent_id) : Value(), number};
      },
      params("number"));
  app.task(
      "interop.replace_with",
      [](Context& self, Value signature) { self.replace(lovage::Signature::from_value(nullptr, signature)); },
      params("signature"));
  app.task(
      "interop.add_to_chord",
      [](Context& self, Value signature) {
        self.add_to_chord(lovage::Signature::from_value(nullptr, signature));
        return 1;
      },
      params("signature"));
  app.task("interop.clock",
           [] { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); });
  app.task("interop.whoami", [] {
    std::this_thread::sleep_for(5ms);
    return std::string("cpp");
  });
  app.task("interop.silent",
           [](std::string path) {
             append_line(path, "ran");
             return std::string("nobody reads this");
           },
           params("path"), {.ignore_result = true});
}

// --- Sending to Python -----------------------------------------------------------------------------

// The tasks as a C++ program that lives far from their code declares them.
struct Remote {
  lovage::App& app = interop();
  lovage::Task<std::int64_t(std::int64_t, std::int64_t)> add =
      app.remote<std::int64_t(std::int64_t, std::int64_t)>("interop.add");
  lovage::Task<Value(Value)> echo = app.remote<Value(Value)>("interop.echo");
  lovage::Task<std::string(Value)> type_name = app.remote<std::string(Value)>("interop.type_name");
  lovage::Task<void(std::string)> fail = app.remote<void(std::string)>("interop.fail");
  lovage::Task<std::int64_t(std::int64_t)> flaky = app.remote<std::int64_t(std::int64_t)>("interop.flaky");
  lovage::Task<void()> exhausted = app.remote<void()>("interop.exhausted");
  lovage::Task<std::string(std::string)> progress = app.remote<std::string(std::string)>("interop.progress");
  lovage::Task<Value(Value, std::string)> append = app.remote<Value(Value, std::string)>("interop.append");
  lovage::Task<double()> clock = app.remote<double()>("interop.clock");
  lovage::Task<std::string()> whoami = app.remote<std::string()>("interop.whoami");
  lovage::Task<std::string(std::string)> silent = app.remote<std::string(std::string)>("interop.silent");
};

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void echoes(Remote& to, const Value& value) {
  expect(to.echo.delay(value).get(kWait), value);
}

bool old_types() {
  return interop().config().json_types == "5.2";
}

// With 5.2's JSON a value travels as its old form; with 5.6's it comes back as itself.
void echoes_typed(Remote& to, const Value& value, const Value& old_form) {
  expect(to.echo.delay(value).get(kWait), old_types() ? old_form : value);
}

template <class Result>
void wait_for_state(const Result& result, const std::string& wanted) {
  const auto deadline = std::chrono::steady_clock::now() + kWait;
  while (result.state() != wanted) {
    if (std::chrono::steady_clock::now() > deadline) throw Wrong("state is " + result.state() + ", not " + wanted);
    std::this_thread::sleep_for(20ms);
  }
}

using Scenario = std::function<void(Remote&, const std::string& folder)>;

std::vector<std::pair<std::string, Scenario>> scenarios() {
  return {
      {"plain", [](Remote& to, const std::string&) { expect(to.add.delay(2, 3).get(kWait), std::int64_t{5}); }},
      {"kwargs",
       [](Remote& to, const std::string&) {
         auto result = to.app.send_task("interop.add", {}, {{"x", 4}, {"y", 5}});
         expect(result.get(kWait), Value(9));
       }},
      {"eta",
       [](Remote& to, const std::string&) {
         const auto due = std::chrono::system_clock::now() + 1500ms;
         const double ran = to.clock.apply_async({}, {.eta = due}).get(kWait);
         const double wanted = std::chrono::duration<double>(due.time_since_epoch()).count();
         if (ran < wanted - 0.05) throw Wrong("it ran before its eta");
       }},
      {"countdown",
       [](Remote& to, const std::string&) {
         const double sent = now_seconds();
         if (to.clock.apply_async({}, {.countdown = 1s}).get(kWait) < sent + 0.95) throw Wrong("it ran early");
       }},
      {"expires",
       [](Remote& to, const std::string&) {
         auto late = to.add.apply_async({1, 1}, {.expires = std::chrono::system_clock::now() - 5s});
         try {
           late.get(kWait);
           throw Wrong("an expired task ran");
         } catch (const lovage::TaskRevoked& error) {
           expect(error.details().arguments, Value(Array{"expired"}), "arguments");
         }
         expect(to.add.apply_async({1, 2}, {.expires = 60s}).get(kWait), std::int64_t{3});
       }},
      {"revoke",
       [](Remote& to, const std::string& folder) {
         const std::string path = fresh_path(folder, "revoked");
         auto waiting = to.append.apply_async({"ran", path}, {.countdown = 2s});
         waiting.revoke();
         expect(waiting.wait(kWait), std::string("REVOKED"), "state");
         expect(to.append.apply_async({"ran", path + "-after"}, {.countdown = 2s}).get(kWait), Value("ran"));
         if (std::filesystem::exists(path)) throw Wrong("the revoked task ran");
       }},
      {"revoke_terminate",
       [](Remote& to, const std::string& folder) {
         auto running = to.progress.delay(fresh_path(folder, "never"));
         wait_for_state(running, "PROGRESS");
         running.revoke(true, "SIGKILL");
         expect(running.wait(kWait), std::string("REVOKED"), "state");
         expect(to.add.delay(1, 1).get(kWait), std::int64_t{2});
       }},
      {"priority",
       [](Remote& to, const std::string&) {
         for (const int number : {0, 3, 6, 9}) {
           expect(to.add.apply_async({number, 1}, {.priority = number}).get(kWait), std::int64_t{number + 1});
         }
       }},
      {"link",
       [](Remote& to, const std::string& folder) {
         const std::string path = fresh_path(folder, "link");
         const auto callback = to.app.signature("interop.append", {path}, {});
         auto result = to.add.apply_async({2, 2}, {.link = {callback, callback}});
         expect(result.get(kWait), std::int64_t{4});
         if (wait_for_lines(path, 2) != std::vector<std::string>{"4", "4"})
           throw Wrong("the callbacks wrote something else");
       }},
      {"link_immutable",
       [](Remote& to, const std::string& folder) {
         const std::string path = fresh_path(folder, "link");
         to.add.apply_async({2, 2}, {.link = to.append.si("fixed", path)}).get(kWait);
         if (wait_for_lines(path, 1) != std::vector<std::string>{"fixed"})
           throw Wrong("the callback wrote something else");
       }},
      {"link_error",
       [](Remote& to, const std::string& folder) {
         const std::string path = fresh_path(folder, "error");
         auto result = to.fail.apply_async({"linked"}, {.link_error = to.app.signature("interop.failed", {path}, {})});
         failure_of(result);
         if (wait_for_lines(path, 1) != std::vector<std::string>{result.id()})
           throw Wrong("the errback wrote something else");
       }},
      {"retry", [](Remote& to, const std::string&) { expect(to.flaky.delay(2).get(kWait), std::int64_t{2}); }},
      {"retries_exhausted",
       [](Remote& to, const std::string&) {
         const auto details = failure_of(to.exhausted.delay());
         expect(details.type, std::string("ValueError"), "type");
         expect(details.arguments, Value(Array{"still broken"}), "arguments");
       }},
      {"failure",
       [](Remote& to, const std::string&) {
         const auto details = failure_of(to.fail.delay("boom \u00e9"));
         expect(details.type, std::string("ValueError"), "type");
         expect(details.module, std::string("builtins"), "module");
         expect(details.arguments, Value(Array{"boom \u00e9"}), "arguments");
         if (details.traceback.find("ValueError") == std::string::npos) throw Wrong("no traceback");
       }},
      {"wrong_arguments",
       [](Remote& to, const std::string&) {
         expect(failure_of(to.app.send_task("interop.add", {1}, {})).type, std::string("TypeError"), "type");
       }},
      {"custom_state",
       [](Remote& to, const std::string& folder) {
         const std::string path = fresh_path(folder, "go");
         auto result = to.progress.delay(path);
         wait_for_state(result, "PROGRESS");
         expect(result.info(), Value(Object{{"done", 5}, {"total", 10}}), "meta");
         std::ofstream(path) << "go";
         expect(result.get(kWait), std::string("done"));
       }},
      {"unicode",
       [](Remote& to, const std::string&) {
         using namespace std::string_literals;
         echoes(to, "na\u00efve \u4f60\u597d \U0001f600 \"quoted\" \\ \u2028 \0 end"s);
       }},
      {"numbers",
       [](Remote& to, const std::string&) {
         const double infinity = std::numeric_limits<double>::infinity();
         for (const Value& value : {Value(0), Value(-1), Value(INT64_MIN), Value(INT64_MAX),
                                    Value(lovage::BigInt{"1" + std::string(30, '0')}), Value(1.5), Value(-0.1),
                                    Value(1e300), Value(true), Value(), Value(infinity)}) {
           echoes(to, value);
         }
       }},
      {"containers",
       [](Remote& to, const std::string&) {
         echoes(to,
                Object{{"list", Array{1, Array{2, Object{{"three", nullptr}}}}}, {"empty", Object{}}, {"text", "x"}});
       }},
      {"bytes_value",
       [](Remote& to, const std::string&) {
         if (old_types()) {
           try {
             to.echo.delay(lovage::Bytes{"abc"});
           } catch (const lovage::EncodeError&) {
             return;
           }
           throw Wrong("bytes were sent");
         }
         echoes(to, lovage::Bytes{"abc"});
         echoes(to, lovage::Bytes{std::string("\xff\x00\xfe", 3)});
       }},
      {"datetime_value",
       [](Remote& to, const std::string&) {
         echoes_typed(to, lovage::DateTime{"2024-01-02T03:04:05.678900"}, "2024-01-02T03:04:05.678900");
         echoes_typed(to, lovage::DateTime{"2024-01-02T03:04:05+00:00"}, "2024-01-02T03:04:05Z");
         echoes_typed(to, lovage::Date{"2024-01-02"}, "2024-01-02T00:00:00");
         echoes_typed(to, lovage::TimeOfDay{"03:04:05.000006"}, "03:04:05.000006");
         if (!old_types()) {
           expect(to.type_name.delay(lovage::DateTime{"2024-01-02T03:04:05"}).get(kWait), std::string("datetime"));
         }
       }},
      {"decimal_value", [](Remote& to, const std::string&) { echoes_typed(to, lovage::Decimal{"1.500"}, "1.500"); }},
      {"uuid_value",
       [](Remote& to, const std::string&) {
         echoes_typed(to, lovage::Uuid{"12345678123456781234567812345678"}, "12345678-1234-5678-1234-567812345678");
       }},
      {"compressed_zlib",
       [](Remote& to, const std::string&) {
         const Value text(std::string(20000, 'z'));
         expect(to.echo.apply_async({text}, {.compression = "zlib"}).get(kWait), text);
       }},
      {"compressed_zstd",
       [](Remote& to, const std::string&) {
         const Value text(std::string(20000, 's'));
         expect(to.echo.apply_async({text}, {.compression = "zstd"}).get(kWait), text);
       }},
      {"compressed_bzip2",
       [](Remote& to, const std::string&) {
         const Value text(std::string(20000, 'b'));
         expect(to.echo.apply_async({text}, {.compression = "bzip2"}).get(kWait), text);
       }},
      {"msgpack",
       [](Remote& to, const std::string&) {
         const Value value(Array{1, "two", nullptr});
         expect(to.echo.apply_async({value}, {.serializer = "msgpack"}).get(kWait), value);
         const Value bytes(lovage::Bytes{std::string("\xff\x00", 2)});
         expect(to.type_name.apply_async({bytes}, {.serializer = "msgpack"}).get(kWait), std::string("bytes"));
       }},
      {"ignore_result",
       [](Remote& to, const std::string& folder) {
         const std::string path = fresh_path(folder, "ignored");
         auto result = to.silent.apply_async({path}, {.ignore_result = true});
         wait_for_lines(path, 1);
         expect(to.add.delay(1, 1).get(kWait), std::int64_t{2});
         expect(to.app.result(result.id()).state(), std::string("PENDING"), "state");
       }},
      {"queue_routing",
       [](Remote& to, const std::string&) {
         expect(to.add.apply_async({20, 3}, {.queue = "interop_other"}).get(kWait), std::int64_t{23});
       }},
      {"large", [](Remote& to, const std::string&) { echoes(to, std::string(3'000'000, 'x')); }},
      {"many",
       [](Remote& to, const std::string&) {
         std::vector<lovage::AsyncResult<std::int64_t>> results;
         for (int i = 0; i < 300; ++i) results.push_back(to.add.delay(i, 1));
         for (int i = 0; i < 300; ++i) expect(results[static_cast<std::size_t>(i)].get(kWait), std::int64_t{i + 1});
       }},
  };
}

int send_all(const std::string& folder) {
  Remote to;
  int failures = 0;
  for (const auto& [name, scenario] : scenarios()) {
    failures += report(name, [&, &run = scenario] { run(to, folder); });  // clang 14 captures no binding by itself
  }
  return failures == 0 ? 0 : 1;
}

int send_mixed() {
  constexpr int kCount = 400;
  return report("shared_queue_lovage_sends", [] {
    Remote to;
    std::vector<lovage::AsyncResult<std::string>> results;
    for (int i = 0; i < kCount; ++i) results.push_back(to.whoami.delay());
    std::map<std::string, int> ran;
    for (auto& result : results) ++ran[result.get(60s)];
    if (ran["py"] + ran["cpp"] != kCount || ran["py"] == 0 || ran["cpp"] == 0) {
      throw Wrong("py ran " + std::to_string(ran["py"]) + ", cpp ran " + std::to_string(ran["cpp"]));
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  declare_tasks(interop());
  if (argc == 4 && std::strcmp(argv[1], "send") == 0) return send_all(argv[3]);
  if (argc >= 6 && std::strcmp(argv[1], "send-flows") == 0)
    return lovage::interop::send_flows(interop(), argv[3], argv[5], argc > 6 ? argv[6] : "");
  if (argc == 2 && std::strcmp(argv[1], "send-mixed") == 0) return send_mixed();
  return lovage::main(interop(), argc, argv);
}
