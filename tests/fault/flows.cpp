#include "fault/flows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "fault/scene.hpp"

namespace lovage::fault {
namespace {

using Kind = Flow::Kind;

// --- Made at random ------------------------------------------------------------------------------------

class Maker {
 public:
  Maker(std::mt19937& random, int number) : random_(random), number_(number) {}

  // `last`: nothing of the workflow follows it, so it may end in a group.
  Flow make(int depth, bool last) {
    const int dice = depth == 0 ? 0 : below(last ? 10 : 8);
    if (dice < 3) return step();
    if (dice < 5) return chain(depth, last);
    if (dice < 8) return chord(depth, last);
    return group(depth);
  }
  Flow make_several() {
    Flow flow = make(kDeepest, true);
    while (flow.kind == Kind::step) flow = make(kDeepest, true);
    return flow;
  }

 private:
  static constexpr int kDeepest = 3;

  int below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random_); }

  Flow step() {
    const int dice = below(40);
    return {.name = fmt::format("f{:04}s{:03}", number_, ++steps_),
            .way = dice == 0   ? "fails"
                   : dice == 1 ? "expires"
                   : dice < 4  ? "retries"
                               : "goes well",
            .milliseconds = below(8)};
  }
  Flow chain(int depth, bool last) {
    Flow flow{.kind = Kind::chain};
    const int steps = 2 + below(3);
    for (int i = 1; i <= steps; ++i) flow.flows.push_back(make(depth - 1, last && i == steps));
    return flow;
  }
  Flow group(int depth) {
    Flow flow{.kind = Kind::group};
    const int members = 1 + below(4);
    for (int i = 0; i < members; ++i) flow.flows.push_back(make(depth - 1, true));
    return flow;
  }
  Flow chord(int depth, bool last) {
    Flow flow{.kind = Kind::chord, .is_piped = below(2) == 0};
    flow.flows.push_back(group(depth));
    flow.flows.push_back(make(depth - 1, last));
    return flow;
  }

  std::mt19937& random_;
  int number_;
  int steps_ = 0;
};

// --- As signatures -------------------------------------------------------------------------------------

class Builder {
 public:
  Builder(const App& app, const std::string& notes_path) : app_(app), notes_path_(notes_path) {}

  [[nodiscard]] Signature note(const std::string& text) const {
    Signature signature = app_.signature("fault.note", Array{Value(text), Value(notes_path_)});
    signature.set_immutable(true).set({.queue = kLinkQueue});
    return signature;
  }
  // `is_first`: nobody hands it anything.
  [[nodiscard]] Signature build(const Flow& flow, bool is_first) const {
    switch (flow.kind) {
      case Kind::step:
        return step(flow, is_first);
      case Kind::chain:
        return lovage::chain(all(flow, is_first, false));
      case Kind::group:
        return lovage::group(all(flow, is_first, is_first));
      case Kind::chord:
        break;
    }
    const Signature header = build(flow.flows[0], is_first);
    const Signature body = build(flow.flows[1], false);
    if (flow.is_piped) return lovage::chain(std::vector<Signature>{header, body});
    return lovage::chord(header, body);
  }

 private:
  [[nodiscard]] std::vector<Signature> all(const Flow& flow, bool is_first, bool are_others_first) const {
    std::vector<Signature> signatures;
    for (const auto& one : flow.flows) {
      signatures.push_back(build(one, signatures.empty() ? is_first : are_others_first));
    }
    return signatures;
  }
  [[nodiscard]] Signature step(const Flow& flow, bool is_first) const {
    Array args{Value(flow.name), Value(flow.way), Value(flow.milliseconds)};
    if (is_first) args.insert(args.begin(), Value());
    Signature signature = app_.signature("fault.step", std::move(args));
    signature.link(note(flow.name));
    if (flow.way == "expires") signature.set({.expires = std::chrono::system_clock::now() - std::chrono::seconds(1)});
    return signature;
  }

  const App& app_;
  const std::string& notes_path_;
};

// --- What comes of it ----------------------------------------------------------------------------------

std::size_t results_of(const Flow& flow) {
  if (flow.kind == Kind::step) return 1;
  if (flow.kind != Kind::group) return results_of(flow.flows.back());
  std::size_t count = 0;
  for (const auto& member : flow.flows) count += results_of(member);
  return count;
}

class Model {
 public:
  Model(int number, Ending& ending) : errback_(fmt::format("{} failed", number)), ending_(ending) {}

  // `is_heard`: the errback hangs there. A header's tasks have none.
  std::vector<Ending::One> run(const Flow& flow, const std::string& input, bool is_heard) {
    switch (flow.kind) {
      case Kind::step:
        return {step(flow, input, is_heard)};
      case Kind::group: {
        std::vector<Ending::One> results;
        for (const auto& member : flow.flows) {
          auto some = run(member, input, is_heard);
          std::move(some.begin(), some.end(), std::back_inserter(results));
        }
        return results;
      }
      case Kind::chain:
      case Kind::chord:
        break;
    }
    std::vector<Ending::One> before{{.text = input}};
    for (const auto& one : flow.flows) {
      const bool is_header = flow.kind == Kind::chord && &one == &flow.flows.front();
      before = run(one, texts_of(before), is_heard && !is_header);
      const auto failed = std::ranges::find_if(before, [](const auto& each) { return !each.text; });
      if (&one == &flow.flows.back() || failed == before.end()) continue;
      if (is_header && is_heard) ending_.notes.insert(errback_);
      return {results_of(flow), *failed};
    }
    return before;
  }

 private:
  Ending::One step(const Flow& flow, const std::string& input, bool is_heard) {
    if (flow.way == "expires") return {.text = std::nullopt, .failed_step = "expired"};  // which no errback is told
    if (flow.way == "fails") {
      if (is_heard) ending_.notes.insert(errback_);
      return {.text = std::nullopt, .failed_step = flow.name};
    }
    ending_.notes.insert(flow.name);
    return {.text = flow.name + "(" + input + ")"};
  }
  static std::string texts_of(const std::vector<Ending::One>& results) {
    std::string all;
    for (const auto& one : results) all += (all.empty() ? "" : ",") + one.text.value_or("");
    return all;
  }

  std::string errback_;
  Ending& ending_;
};

void flatten(const Value& value, std::vector<Value>& leaves) {
  const Array* const list = value.if_array();
  if (list == nullptr) return leaves.push_back(value);
  for (const auto& one : *list) flatten(one, leaves);
}

std::string compare(const Ending::One& expected, const Value& found) {
  if (expected.text) return found == Value(*expected.text) ? "" : *expected.text + " expected, but " + to_json(found);
  const std::string text = to_json(found);
  const bool names_it = found.if_object() != nullptr && text.find(expected.failed_step) != std::string::npos;
  return names_it ? "" : "the failure of " + expected.failed_step + " expected, but " + text;
}

}  // namespace

Flow random_flow(std::mt19937& random, int number) {
  return Maker(random, number).make_several();
}

bool ends_in_group(const Flow& flow) {
  if (flow.kind == Kind::step) return false;
  return flow.kind == Kind::group || ends_in_group(flow.flows.back());
}

Signature signature_of(const App& app, const Flow& flow, int number, const std::string& notes_path) {
  const Builder builder(app, notes_path);
  Signature signature = builder.build(flow, true);
  signature.link_error(builder.note(fmt::format("{} failed", number)));
  return signature;
}

Ending ending_of(const Flow& flow, int number) {
  Ending ending;
  ending.results = Model(number, ending).run(flow, "", true);
  return ending;
}

SentFlow::SentFlow(const App& app, const Flow& flow, int number, const std::string& notes_path)
    : ending_(ending_of(flow, number)) {
  const Signature signature = signature_of(app, flow, number, notes_path);
  if (ends_in_group(flow)) {
    group_ = GroupSignature(signature).delay();
  } else {
    result_ = signature.delay();
  }
}

std::string SentFlow::wait_and_compare(std::chrono::seconds timeout) const {
  const GetOptions as_value{.propagate = false};
  std::vector<Value> found;
  flatten(group_ ? Value(group_->join(timeout, as_value)) : result_->get_value(timeout, as_value), found);
  if (found.size() != ending_.results.size())
    return fmt::format("{} results expected, but {}", ending_.results.size(), found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (auto wrong = compare(ending_.results[i], found[i]); !wrong.empty()) return wrong;
  }
  return "";
}

std::vector<std::string> SentFlow::task_ids() const {
  const Value graph = group_ ? to_graph(*group_) : to_graph(*result_);
  std::vector<std::string> ids;
  for (const auto& node : *graph.find("nodes")->if_array()) ids.push_back(*node.find("id")->if_string());
  return ids;
}

std::string text_of(const Flow& flow) {
  const char* const mark = flow.way == "fails" ? "!" : flow.way == "retries" ? "?" : flow.way == "expires" ? "~" : "";
  if (flow.kind == Kind::step) return flow.name + mark;
  std::string text = flow.kind == Kind::chain ? "chain(" : flow.kind == Kind::group ? "group(" : "chord(";
  if (flow.kind == Kind::chord && flow.is_piped) text = "piped(";
  for (const auto& one : flow.flows) text += (&one == &flow.flows.front() ? "" : ", ") + text_of(one);
  return text + ")";
}

}  // namespace lovage::fault
