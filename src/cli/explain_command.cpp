// One line that says where a task is and why it does not run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "base/printable.hpp"
#include "cli/command.hpp"
#include "cli/liveness.hpp"
#include "cli/print.hpp"
#include "cli/result_text.hpp"
#include "cli/session.hpp"
#include "cli/whereabouts.hpp"

namespace lovage::cli {
namespace {

struct Options {
  std::string id;
  bool json = false;
};

// What the store has of one id.
struct Finding {
  std::vector<Seen> places;
  std::map<std::pair<std::string, int>, std::uint64_t> waiting;  // messages, by queue and priority list
  std::string state = std::string(states::pending);
  // What has to be done before it is sent: one of them, and how many there are.
  std::optional<Seen> before;
  bool joins = false;
  std::uint64_t before_count = 0;
};

std::string state_of(backend::Backend* backend, const std::string& id) {
  return backend == nullptr ? std::string(states::pending) : current_result(*backend, id).status;
}

void note_in(Finding& finding, SeenOnItsWay&& found, const std::string& id) {
  auto& [seen, successors] = found;
  const auto successor = std::ranges::find(successors, id, &Successor::id);
  if (successor != successors.end() && seen.at.place != broker::Place::dead) {
    ++finding.before_count;
    finding.joins = successor->joins;
    if (!finding.before) finding.before = seen;
  }
  if (seen.id == id) finding.places.push_back(std::move(seen));
}

// A message that moves may be missed or seen twice by one look: the last of some looks counts.
Finding find(broker::Broker& broker, backend::Backend* backend, const std::string& id) {
  constexpr int kLooks = 3;
  constexpr std::chrono::milliseconds kBetween{100};
  for (int look = 1;; ++look) {
    Finding finding;
    StoredGraphs graphs(broker);
    take(broker.survey(
        [&](broker::Sighting sighting) {
          if (sighting.place == broker::Place::queued) ++finding.waiting[{sighting.queue, sighting.step}];
          SeenOnItsWay found = read_with_successors(std::move(sighting));
          graphs.add_to(found.successors);
          note_in(finding, std::move(found), id);
        },
        kSurveyPatience));
    finding.state = state_of(backend, id);
    const bool is_explained = states::is_ready(finding.state) || finding.before;
    const bool clear = finding.places.size() == 1 || (finding.places.empty() && is_explained);
    if (clear || look == kLooks) return finding;
    std::this_thread::sleep_for(kBetween);
  }
}

// Told in words and as fields.
struct Answer {
  std::string text;
  Object facts;
  int code = kOk;
};

class Explanation {
 public:
  Explanation(broker::Broker& broker, std::chrono::milliseconds tick, const Finding& finding)
      : broker_(broker), tick_(tick), finding_(finding) {}

  Answer of(const Seen& seen) {
    switch (seen.at.place) {
      case broker::Place::queued:
        return queued(seen);
      case broker::Place::python:
        return {
            fmt::format("is held by a Python worker, of the queue '{}': it runs, or waits for a free process or its "
                        "eta there",
                        seen.at.queue),
            {},
            kOk};
      case broker::Place::inbox:
      case broker::Place::reserved:
        return held(seen);
      case broker::Place::scheduled:
        return scheduled(seen);
      case broker::Place::dead:
        return {
            fmt::format("is dead letter {}: {}{}; lovage dlq show {} tells more, lovage dlq retry {} sends it again",
                        seen.at.letter_key, seen.why,
                        seen.at.letter.detail.empty() ? "" : " (" + first_line(seen.at.letter.detail) + ")",
                        seen.at.letter_key, seen.at.letter_key),
            {{"reason", seen.why}, {"detail", seen.at.letter.detail}, {"key", seen.at.letter_key}},
            kOk};
      case broker::Place::adoption:
        return {fmt::format("waits for a worker that serves the queue '{}'", seen.at.queue), {}, kOk};
    }
    return {};
  }

 private:
  static std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

  Answer queued(const Seen& seen) {
    std::uint64_t ahead = seen.at.ahead;
    for (const auto& [list, count] : finding_.waiting) {
      if (list.first == seen.at.queue && list.second < seen.at.step) ahead += count;
    }
    Answer answer;
    answer.facts = {{"ahead", ahead}};
    answer.text =
        ahead == 0 ? fmt::format("is the next in the queue '{}'", seen.at.queue)
                   : fmt::format("waits in the queue '{}' behind about {}", seen.at.queue, count_of(ahead, "message"));
    if (seen.eta && *seen.eta > std::chrono::system_clock::now()) {
      answer.text += fmt::format("; it runs at {} at the earliest, its eta", iso(*seen.eta));
      answer.facts.set("eta", iso(*seen.eta));
    }
    WorkersSeen workers;
    watch_workers(broker_, {}, workers, Deadline::after(tick_));
    Array serving;
    std::string names;
    bool known = true;
    for (const auto& [incarnation, worker] : workers) {
      if (!worker.alive || !worker.serves(seen.at.queue)) continue;
      serving.push_back(worker.node_name);
      names += (names.empty() ? "" : ", ") + worker.node_name;
      known = known && worker.queues.has_value();
    }
    if (serving.empty()) {
      answer.text += fmt::format("; no live Lovage worker takes from it: lovage worker -Q {} would", seen.at.queue);
    } else if (known) {
      answer.text += fmt::format("; served by {}", names);
    } else {
      answer.text += fmt::format("; {} may serve it: this store does not tell which queues a worker takes from", names);
    }
    answer.facts.set("workers", std::move(serving));
    return answer;
  }

  Answer held(const Seen& seen) {
    WorkersSeen workers;
    watch_workers(broker_, {}, workers, Deadline::after(tick_));
    const auto worker = workers.find(seen.at.holder);
    if (worker == workers.end()) {
      return {seen.at.registered ? "was held by a worker that has just ended: ask again"
                                 : fmt::format("is held by {}, which is not registered: no sweeper gives it back",
                                               seen.at.holder.get()),
              {{"worker", Value()}, {"alive", false}},
              kOk};
    }
    const auto& name = worker->second.node_name;
    Object facts{{"worker", name}, {"alive", worker->second.alive}};
    if (!worker->second.alive) {
      return {fmt::format("is held by {}, which gives no sign of life: it goes back to the queue '{}' in about {} s, "
                          "once any live worker or lovage sweep looks",
                          name, seen.at.queue, std::chrono::ceil<std::chrono::seconds>(4 * tick_).count()),
              std::move(facts), kOk};
    }
    if (finding_.state == states::started || seen.at.started) {
      return {fmt::format("runs at {}", name), std::move(facts), kOk};
    }
    return {fmt::format("is reserved by {}: it runs, or is one of the next", name), std::move(facts), kOk};
  }

  static Answer scheduled(const Seen& seen) {
    const std::string until = seen.at.due ? iso(*seen.at.due) : "?";
    std::string because;
    if (seen.why == "unknown task") {
      because = fmt::format("because no worker that saw it knows the task '{}'; it is offered to the others meanwhile",
                            seen.task);
    } else if (seen.why == "suspect") {
      because = fmt::format("because its worker died holding it ({} of its starts were never settled)",
                            seen.at.marks.strikes);
    } else if (seen.why == "retry") {
      because = "because the task asked to be retried then";
    } else if (seen.why == "eta") {
      because = "because that is its eta";
    } else {
      because = "because a worker delayed it";
    }
    return {fmt::format("is scheduled for {} in the queue '{}' {}", until, seen.at.queue, because),
            {{"due", until}, {"reason", seen.why}},
            kOk};
  }

  broker::Broker& broker_;
  const std::chrono::milliseconds tick_;
  const Finding& finding_;
};

// It has no message yet.
Answer waits(const Finding& finding) {
  const Seen& before = *finding.before;
  Answer answer{.text = {}, .facts = {{"place", "waits"}, {"queue", before.at.queue}}, .code = kOk};
  if (before.at.is_continuation) {
    answer.text = fmt::format("is sent next: a continuation of its workflow {}", place_text(before));
    answer.facts.set("for", "a continuation");
    return answer;
  }
  answer.facts.set("for", before.id);
  if (!finding.joins) {
    answer.text = fmt::format("waits for the task before it: {}, {}", before.id, place_text(before));
    return answer;
  }
  answer.text = fmt::format("waits for the chord {}: {} not done, such as {}, {}", before.group_id,
                            count_of(finding.before_count, "header task"), before.id, place_text(before));
  answer.facts.set("chord", before.group_id);
  answer.facts.set("left", finding.before_count);
  return answer;
}

Answer explain(Session& session, broker::Broker& broker, backend::Backend* backend, const std::string& id) {
  const Finding finding = find(broker, backend, id);
  if (finding.places.size() == 1) {
    const auto& seen = finding.places.front();
    Answer answer = Explanation(broker, lease_tick(session.core().config()), finding).of(seen);
    answer.facts.set("place", std::string(name_of(seen.at.place)));
    answer.facts.set("queue", seen.at.queue);
    answer.facts.set("task", seen.task);
    if (states::is_ready(finding.state) && seen.at.place != broker::Place::dead) {
      answer.text += fmt::format("; yet its result is {}", finding.state);
    }
    return answer;
  }
  if (finding.places.size() > 1) {
    std::string text = "is in more than one place: ";
    for (const auto& seen : finding.places) text += (&seen == &finding.places.front() ? "" : "; ") + place_text(seen);
    return {text, {{"place", "two places"}}, kOk};
  }
  if (states::is_ready(finding.state)) {
    return {
        fmt::format("is done: {}; lovage result {} prints its result", finding.state, id), {{"place", "done"}}, kOk};
  }
  if (finding.before) return waits(finding);
  if (finding.state != states::pending) {
    return {fmt::format("has no message, though its state is {}: it was purged, acknowledged early (task_acks_late = "
                        "false), or is at a worker of another broker",
                        finding.state),
            {{"place", "unexplained"}},
            kFailure};
  }
  return {
      "is unknown here: it was never sent to this broker, was purged, has no result (ignore_result), or its result "
      "has expired",
      {{"place", "unknown"}},
      kFailure};
}

int explain(Session& session, const Options& options) {
  if (options.id.empty()) throw ConfigError("the task's id is missing: lovage explain ID");
  auto& broker = session.broker();
  backend::Backend* const backend = session.core().backend() == nullptr ? nullptr : &session.backend();
  Answer answer = explain(session, broker, backend, options.id);
  if (options.json) {
    answer.facts.set("id", options.id);
    answer.facts.set("state", state_of(backend, options.id));
    answer.facts.set("text", answer.text);
    print_json(std::move(answer.facts));
  } else {
    const Value* const task = answer.facts.find("task");
    const bool named = task != nullptr && !task->if_string()->empty();
    print(printable(fmt::format("{}{} {}.", options.id, named ? " (" + *task->if_string() + ")" : "", answer.text)));
  }
  return answer.code;
}

}  // namespace

Run declare_explain(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  parser.add_option("ID", options->id, "The task's id");
  parser.add_flag("-j,--json", options->json, "Print JSON");
  return [options](Session& session) { return explain(session, *options); };
}

}  // namespace lovage::cli
