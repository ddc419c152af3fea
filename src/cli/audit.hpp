// Accounts for every id that a store knows, and for those that the caller believes he sent: each is in exactly one
// place, done, or a problem.
//
// A store at work is read in chunks, so a message that moves meanwhile may be seen twice or not at all. Ids that look
// wrong are therefore looked up again, some times, before they are called a problem.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/backend.hpp"
#include "broker/broker.hpp"
#include "cli/whereabouts.hpp"

namespace lovage::cli {

// One row of the summary.
struct AuditPlace {
  std::string place;  // "queued", ..., "started", "done"; "waits": for the tasks before it in its workflow
  std::string where;  // the queue
  std::string why;
  IncarnationId holder;  // inbox, reserved, started

  auto operator<=>(const AuditPlace&) const = default;  // NOLINT(modernize-use-nullptr): the compiler's own 0
};

struct AuditProblem {
  std::string kind;  // "unexplained", "two places", "unreadable", "held by nobody"
  std::string id;    // empty when it could not be read
  std::string detail;
};

class Audit {
 public:
  // `backend` may be nullptr: results are not kept, and what is done cannot be told from what is lost.
  Audit(broker::Broker& broker, backend::Backend* backend) : broker_(broker), backend_(backend) {}

  // `expected`: ids that have to be somewhere. Throws ConnectionError.
  void run(const std::vector<std::string>& expected);

  [[nodiscard]] const std::vector<AuditProblem>& problems() const noexcept { return problems_; }
  // What is in each place. A message whose place is a problem is not among them; continuations, which have no id, are.
  [[nodiscard]] std::map<AuditPlace, std::uint64_t> counts() const;
  [[nodiscard]] std::map<std::string, AuditPlace> ids() const;

 private:
  using PlaceNumber = std::uint32_t;
  using States = std::map<std::string, std::string>;  // by id

  void note(Seen seen);
  void note_structure(const Seen& seen);
  void expect(const std::vector<std::string>& expected);
  void compare_with_results();
  void look_again();
  // What one look found: where ids are, and of those that have no message yet, where what leads to them is.
  struct Look {
    std::map<std::string, std::vector<Seen>> places;
    std::map<std::string, AuditPlace> waiting;
    StoredGraphs graphs;
  };
  void note_in(Look& look, broker::Sighting sighting) const;
  bool is_explained(const std::string& id, Look& look, const States& before, const States& after);
  void add_problem(const std::string& id, const std::vector<Seen>& places, const std::string& state);
  [[nodiscard]] States states_of(const std::vector<std::string>& ids) const;
  PlaceNumber number_of(const AuditPlace& place);

  broker::Broker& broker_;
  backend::Backend* const backend_;
  std::map<AuditPlace, PlaceNumber> numbers_;
  std::vector<AuditPlace> places_;  // by number
  std::unordered_map<std::string, PlaceNumber> found_;
  std::map<AuditPlace, std::uint64_t> continuations_;
  std::set<std::string> doubtful_;
  std::vector<AuditProblem> problems_;
};

}  // namespace lovage::cli
