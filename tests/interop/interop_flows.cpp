// Workflows that Lovage starts, whose steps run in C++ workers alone or alternate between C++ and Python. The same
// cases as in canvas_scenarios.py, where Celery starts them, and chords with their body on a chosen side.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "sending.hpp"

namespace lovage::interop {
namespace {

constexpr const char* kCpp = "canvas_cpp";
constexpr const char* kPython = "canvas_py";

// Signatures whose queues follow the placement in turn.
class Steps {
 public:
  Steps(App& app, const std::string& placement, std::string folder) : app_(app), folder_(std::move(folder)) {
    if (placement != "py-cpp") queues_.push_back(kCpp);
    if (placement != "cpp") queues_.push_back(kPython);
    if (placement == "py-cpp") queues_.push_back(kCpp);
  }
  Signature s(const std::string& name, Array args = {}, Object kwargs = {}) {
    return at(queues_[next_++ % queues_.size()], name, std::move(args), std::move(kwargs));
  }
  Signature si(const std::string& name, Array args = {}) { return s(name, std::move(args)).set_immutable(true); }
  [[nodiscard]] Signature at(const std::string& queue, const std::string& name, Array args, Object kwargs = {}) const {
    return app_.signature("interop." + name, std::move(args), std::move(kwargs)).set({.queue = queue});
  }
  // So many steps, each with its number as its argument.
  std::vector<Signature> numbered(const std::string& name, std::int64_t count) {
    std::vector<Signature> steps;
    for (std::int64_t i = 0; i < count; ++i) steps.push_back(s(name, {i}));
    return steps;
  }
  [[nodiscard]] std::string path() const { return fresh_path(folder_, "flow"); }

 private:
  App& app_;
  std::string folder_;
  std::vector<std::string> queues_;
  std::size_t next_ = 0;
};

Value get(const Signature& flow) {
  return flow.delay().get(kWait);
}
Value get_all(const Signature& flow) {
  return Value(GroupSignature(flow).delay().join(kWait));
}

void expect_failure(const ResultHandle& result, const std::string& type) {
  expect(failure_of(AsyncResult<>(result)).type, type, "the failure's type");
}

using Scenario = std::function<void(Steps&)>;
using Scenarios = std::vector<std::pair<std::string, Scenario>>;

// --- Chains and groups -----------------------------------------------------------------------------------

Scenarios chains() {
  return {
      {"simple_chain",
       [](Steps& t) {
         expect(get(t.s("add", {4, 4}) | t.s("add", {8}) | t.s("add", {16})), Value(32));
       }},
      {"complex_chain",
       [](Steps& t) {
         const auto inner = chain(t.s("add", {4}), t.s("add", {8}), t.s("add", {16}), t.s("add", {32}));
         expect(get_all(t.s("add", {2, 2}) | inner | group(t.numbered("add", 4))), Value(Array{64, 65, 66, 67}));
       }},
      {"chain_on_error",
       [](Steps& t) {
         const std::string path = t.path();
         auto flow = chain(t.s("add", {1, 2}), t.s("fail_with", {"boom"}), t.s("add", {4}));
         flow.link_error(t.s("failed", {path}));
         const auto result = flow.delay();
         expect_failure(result, "ValueError");
         expect_failure(result.parent().value(), "ValueError");
         expect(wait_for_lines(path, 1), {result.parent()->id()}, "what the errback was told");
       }},
      {"parent_ids",
       [](Steps& t) {
         const auto result = GroupSignature(t.si("ids", {1}) | t.si("ids", {2}) | group(t.si("ids", {3}))).delay();
         const auto second = result.parent().value();
         expect(Value(result.join(kWait)), Value(Array{Value(Array{second.parent().value().id(), second.id(), 3})}));
       }},
      {"chain_of_chords",
       [](Steps& t) {
         const auto first = group(t.s("add", {1, 1}), t.s("add", {2, 2})) | t.s("total");
         expect(get(first | group(t.s("add", {10}), t.s("add", {20})) | t.s("total") | t.s("add", {1000})),
                Value(1042));
       }},
      {"chain_children_with_callbacks",
       [](Steps& t) {
         const std::string path = t.path();
         std::vector<Signature> steps;
         for (std::int64_t i = 0; i < 4; ++i)
           steps.push_back(t.si("add", {1, i}).link(t.si("append", {"called", path})));
         expect(get(chain(steps)), Value(4));
         expect(wait_for_lines(path, 4), std::vector<std::string>(4, "called"), "the callbacks");
       }},
      {"large_group",
       [](Steps& t) {
         Array expected;
         for (std::int64_t i = 0; i < 300; ++i) expected.push_back(i);
         expect(get_all(group(t.numbered("echo", 300))), Value(expected));
       }},
      {"errback_called_by_group",
       [](Steps& t) {
         const std::string path = t.path();
         auto both = group(t.s("echo", {1}), t.s("fail", {"boom"}));
         both.link_error(t.s("failed", {path}));
         const auto result = GroupSignature(both).delay();
         expect_failure(result.results().at(1), "ValueError");
         expect(wait_for_lines(path, 1), {result.results().at(1).id()}, "what the errback was told");
       }},
  };
}

// --- Chords ----------------------------------------------------------------------------------------------

// Header tasks on both sides, the body on one.
void join_on(Steps& t, const char* queue) {
  std::vector<Signature> header;
  for (std::int64_t i = 0; i < 6; ++i) header.push_back(t.at(i % 2 == 0 ? kCpp : kPython, "add", {i, i}));
  expect(get(chord(header, t.at(queue, "total", {}))), Value(30));
  expect(get(chord(header, t.at(queue, "echo", {}))), Value(Array{0, 2, 4, 6, 8, 10}));
}

Scenarios chords() {
  return {
      {"chord_with_its_body_in_cpp", [](Steps& t) { join_on(t, kCpp); }},
      {"chord_with_its_body_in_python", [](Steps& t) { join_on(t, kPython); }},
      {"single_task_header",
       [](Steps& t) {
         expect(get(chord(group(t.s("add", {2, 5})), t.s("echo"))), Value(Array{7}));
       }},
      {"nested_chord",
       [](Steps& t) {
         const auto inner = chord(group(t.s("add", {1, 1}), t.s("add", {2, 2})), t.s("total"));
         expect(get(chord(group(inner, t.s("add", {10, 10})), t.s("total"))), Value(26));
       }},
      {"chord_in_chain_with_args",
       [](Steps& t) {
         const auto inner = chord(group(t.s("add", {1}), t.s("add", {2})), t.s("total"));
         expect(get(chain(t.s("echo", {3}), inner)), Value(9));
       }},
      {"chord_header_chain",
       [](Steps& t) {
         const auto member = chain(t.s("add", {1, 1}), t.s("add", {10}));
         expect(get(chord(group(member, t.s("add", {5, 5})), t.s("echo"))), Value(Array{12, 10}));
       }},
      {"group_at_the_end_of_a_headers_chain",
       [](Steps& t) {
         const auto member = chain(t.si("echo", {42}), group(t.s("echo"), t.s("add", {1})));
         expect(get(chord(group(member, t.s("echo", {7})), t.s("echo"))), Value(Array{Array{42, 43}, 7}));
       }},
      {"chord_body_chain",
       [](Steps& t) {
         const auto body = chain(t.s("total"), t.s("add", {1}), t.s("add", {2}));
         expect(get(chord(group(t.s("add", {1, 1}), t.s("add", {2, 2})), body)), Value(9));
       }},
      {"chord_body_group",
       [](Steps& t) {
         const auto header = group(t.s("add", {1, 1}), t.s("add", {2, 2}));
         expect(get_all(chord(header, group(t.s("total"), t.s("echo")))), Value(Array{6, Array{2, 4}}));
       }},
      {"large_header",
       [](Steps& t) { expect(get(chord(t.numbered("echo", 300), t.s("total"))), Value(300 * 299 / 2)); }},
      {"chord_header_with_retries",
       [](Steps& t) {
         expect(get(chord(group(t.s("flaky", {2}), t.s("flaky", {1}), t.s("add", {1, 1})), t.s("total"))), Value(5));
       }},
      {"chord_of_ignored_results",
       [](Steps& t) {
         auto header = t.numbered("echo", 4);
         for (auto& task : header) task.set({.ignore_result = true});
         expect(get(chord(header, t.s("total"))), Value(6));
       }},
  };
}

// --- Failures in chords ----------------------------------------------------------------------------------

// The body fails with ChordError, and its errback is told its id.
void fails(Steps& t, const Signature& member, const Signature& sibling) {
  const std::string path = t.path();
  auto body = t.s("total");
  const auto result = chord(group(member, sibling), body.link_error(t.s("failed", {path}))).delay();
  expect_failure(result, "ChordError");
  expect(wait_for_lines(path, 1), {result.id()}, "what the errback was told");
}

Scenarios chord_errors() {
  return {
      {"error_in_a_header", [](Steps& t) { fails(t, t.s("fail", {"boom"}), t.s("echo", {1})); }},
      {"error_in_a_headers_chain",
       [](Steps& t) {
         fails(t, chain(t.s("fail", {"boom"}), t.s("echo")), t.s("echo", {1}));
         fails(t, chain(t.s("echo", {1}), t.s("fail_with", {"boom"})), t.s("echo", {1}));
       }},
      {"expired_header_task",
       [](Steps& t) {
         auto late = t.s("add", {1, 1});
         late.set({.expires = std::chrono::system_clock::now() - 1min});
         expect_failure(chord(group(late, t.s("echo", {1})), t.s("total")).delay(), "ChordError");
       }},
      {"error_in_a_body",
       [](Steps& t) {
         const std::string path = t.path();
         auto flow = chord(group(t.s("echo", {1}), t.s("echo", {2})), t.s("fail_with", {"boom"}));
         flow.link_error(t.s("failed", {path}));
         const auto result = flow.delay();
         expect_failure(result, "ValueError");
         expect(wait_for_lines(path, 1), {result.id()}, "what the errback was told");
       }},
  };
}

// --- Replaced, added, mapped -----------------------------------------------------------------------------

Scenarios replaced() {
  return {
      {"task_replaced_with_chain",
       [](Steps& t) {
         const auto by = chain(t.si("echo", {20}), t.s("add", {22}));
         expect(get(t.s("replace_with", {by.to_value()})), Value(42));
         expect(get(chain(t.si("echo", {1}), t.si("replace_with", {by.to_value()}), t.s("add", {1}))), Value(43));
       }},
      {"chord_header_task_replaced_with_chain",
       [](Steps& t) {
         const auto by = chain(t.si("echo", {40}), t.s("add", {1}));
         expect(get(chord(group(t.si("replace_with", {by.to_value()}), t.si("echo", {1})), t.s("total"))), Value(42));
       }},
      {"task_replaced_with_group",
       [](Steps& t) {
         const auto by = group(t.si("echo", {0}), t.si("echo", {1}));
         expect(get(t.s("replace_with", {by.to_value()})), Value(Array{0, 1}));
       }},
      {"add_to_chord",
       [](Steps& t) {
         const auto added = t.si("echo", {100}).to_value();
         expect(get(chord(group(t.s("add_to_chord", {added}), t.si("echo", {10})), t.s("total"))), Value(111));
       }},
  };
}

}  // namespace

int send_flows(App& app, const std::string& placement, const std::string& folder, const std::string& only) {
  app.config().workflow_max_bytes = 16U << 20U;
  int failures = 0;
  for (const auto& family : {chains(), chords(), chord_errors(), replaced()}) {
    for (const auto& [name, scenario] : family) {
      const std::string full_name = "lovage_sends_" + name;
      if (full_name.find(only) == std::string::npos) continue;
      failures += report(full_name, [&, &run = scenario] {  // clang 14 captures no binding by itself
        Steps steps(app, placement, folder);
        run(steps);
      });
    }
  }
  return std::min(failures, 1);
}

}  // namespace lovage::interop
