// Workflows made at random, and what has to come of each: a small model of what chain, group and chord do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <lovage/lovage.hpp>

namespace lovage::fault {

// One of the tasks, or what consists of several.
struct Flow {
  enum class Kind { step, chain, group, chord };
  Kind kind = Kind::step;
  // step: its name, of all flows' steps; "goes well", "fails", "retries" (once) or "expires" (before it runs); how long
  // it takes.
  std::string name = {};
  std::string way = {};
  std::int64_t milliseconds = 0;
  // chord: written as a chain of a group and the body.
  bool is_piped = false;
  std::vector<Flow> flows = {};  // chain: the steps; group: the members; chord: a group, and the body
};

// Flow number `number`, of several steps.
Flow random_flow(std::mt19937& random, int number);
// Whether it has a GroupResult.
bool ends_in_group(const Flow& flow);

// A signature whose steps each have a link that writes their name to a file, and that has an errback as a whole, which
// writes "<number> failed" there; both through a queue of their own.
Signature signature_of(const App& app, const Flow& flow, int number, const std::string& notes_path);

// What comes of it.
struct Ending {
  // Of each result, in their order: its text, or the name of the step whose failure is in it.
  struct One {
    std::optional<std::string> text = {};
    std::string failed_step = {};  // "expired": of a step that did
  };
  std::vector<One> results;
  std::multiset<std::string> notes;
};
Ending ending_of(const Flow& flow, int number);

// It was sent: waits for its results and compares. What is wrong with them; empty: nothing.
class SentFlow {
 public:
  SentFlow(const App& app, const Flow& flow, int number, const std::string& notes_path);
  [[nodiscard]] const Ending& ending() const noexcept { return ending_; }
  [[nodiscard]] std::string wait_and_compare(std::chrono::seconds timeout) const;
  [[nodiscard]] std::vector<std::string> task_ids() const;

 private:
  Ending ending_;
  std::optional<AsyncResult<>> result_;
  std::optional<GroupResult<>> group_;
};

// For messages: "chord(chain(a, b!), c)".
std::string text_of(const Flow& flow);

}  // namespace lovage::fault
