#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>

#include <fmt/format.h>
#include <lovage/error.hpp>

#include "base/printable.hpp"
#include "cli/audit.hpp"
#include "cli/command.hpp"
#include "cli/liveness.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"

namespace lovage::cli {
namespace {

struct Options {
  std::string ids_from;
  bool ids = false;
  bool json = false;
};

// One id a line; blank lines and blanks around ids do not count.
std::vector<std::string> read_ids(std::istream& from) {
  constexpr const char* kBlanks = " \t\r";
  std::vector<std::string> ids;
  for (std::string line; std::getline(from, line);) {
    const auto first = line.find_first_not_of(kBlanks);
    if (first == std::string::npos) continue;
    ids.push_back(line.substr(first, line.find_last_not_of(kBlanks) - first + 1));
    if (ids.back().find_first_of(kBlanks) != std::string::npos) {
      throw ConfigError("--ids-from: '" + printable(line) + "' is not one id; it holds one a line");
    }
  }
  return ids;
}

std::vector<std::string> expected_ids(const std::string& path) {
  if (path.empty()) return {};
  if (path == "-") return read_ids(std::cin);
  std::ifstream file(path);
  if (!file) throw ConfigError("--ids-from: cannot read '" + path + "'; it holds one id a line, - is standard input");
  return read_ids(file);
}

// The summary's rows, told by the node's name and whether it lives.
class Rows {
 public:
  explicit Rows(const WorkersSeen& workers) : workers_(workers) {}

  [[nodiscard]] std::string why(const AuditPlace& place) const {
    if (place.holder.get().empty()) return place.why;
    const std::string what = place.why.empty() ? "" : place.why + ", ";
    const auto worker = workers_.find(place.holder);
    if (worker == workers_.end()) return what + "by a worker that is gone by now: " + place.holder.get();
    return what + "by " + worker->second.node_name + (worker->second.alive ? "" : ", which gives no sign of life");
  }
  [[nodiscard]] Object json(const AuditPlace& place) const {
    Object row{{"place", place.place}, {"where", place.where}, {"why", why(place)}};
    const auto worker = workers_.find(place.holder);
    if (worker != workers_.end()) {
      row.set("worker", worker->second.node_name);
      row.set("alive", worker->second.alive);
    }
    return row;
  }

 private:
  const WorkersSeen& workers_;
};

Object as_json(const Audit& audit, const Rows& rows, const Options& options, std::size_t expected) {
  Array places;
  for (const auto& [place, count] : audit.counts()) {
    Object row = rows.json(place);
    row.set("messages", count);
    places.push_back(std::move(row));
  }
  Array problems;
  for (const auto& problem : audit.problems()) {
    problems.push_back(Object{{"kind", problem.kind}, {"id", problem.id}, {"detail", printable(problem.detail)}});
  }
  Object out{{"places", std::move(places)}, {"problems", std::move(problems)}};
  if (!options.ids_from.empty()) out.set("expected", expected);
  if (options.ids) {
    Object ids;
    for (const auto& [id, place] : audit.ids()) ids.set(id, rows.json(place));
    out.set("ids", std::move(ids));
  }
  return out;
}

void print_report(const Audit& audit, const Rows& rows, const Options& options, std::size_t expected) {
  std::vector<std::vector<std::string>> table{{"Place", "Queue", "Why", "Messages"}};
  for (const auto& [place, count] : audit.counts()) {
    table.push_back({place.place, place.where, rows.why(place), std::to_string(count)});
  }
  if (table.size() > 1) std::fputs(format_table(table).c_str(), stdout);
  if (options.ids) {
    std::vector<std::vector<std::string>> list{{"Id", "Place", "Queue", "Why"}};
    for (const auto& [id, place] : audit.ids()) list.push_back({id, place.place, place.where, rows.why(place)});
    if (list.size() > 1) std::fputs(("\n" + format_table(list)).c_str(), stdout);
  }
  if (!audit.problems().empty()) {
    std::vector<std::vector<std::string>> list{{"Problem", "Id", "Where"}};
    for (const auto& problem : audit.problems()) list.push_back({problem.kind, problem.id, problem.detail});
    std::fputs(((table.size() > 1 ? "\n" : "") + format_table(list)).c_str(), stdout);
    return;
  }
  if (table.size() == 1) print("The store holds no messages.");
  if (!options.ids_from.empty()) {
    print(fmt::format("Every one of {} is accounted for.", count_of(expected, "id")));
  } else if (table.size() > 1) {
    print("Every message is in one place.");
  }
}

int audit(Session& session, const Options& options) {
  auto expected = expected_ids(options.ids_from);
  auto& broker = session.broker();
  backend::Backend* const backend = session.core().backend() == nullptr ? nullptr : &session.backend();
  WorkersSeen workers;
  look_at_workers(broker, {}, workers);
  Audit audit(broker, backend);
  audit.run(expected);
  const auto counts = audit.counts();
  const bool held =
      std::any_of(counts.begin(), counts.end(), [](const auto& row) { return !row.first.holder.get().empty(); });
  if (held) watch_workers(broker, {}, workers, Deadline::after(lease_tick(session.core().config())));
  const Rows rows(workers);
  if (options.json) {
    print_json(as_json(audit, rows, options, expected.size()));
  } else {
    print_report(audit, rows, options, expected.size());
  }
  return audit.problems().empty() ? kOk : kFailure;
}

}  // namespace

Run declare_audit(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  parser.add_option("--ids-from", options->ids_from, "Ids that must be somewhere, one a line; - is standard input")
      ->type_name("FILE");
  parser.add_flag("--ids", options->ids, "List every id with its place");
  parser.add_flag("-j,--json", options->json, "Print JSON");
  return [options](Session& session) { return audit(session, *options); };
}

}  // namespace lovage::cli
