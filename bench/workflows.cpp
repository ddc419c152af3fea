#include "workflows.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bare.hpp"
#include "load.hpp"
#include "relay.hpp"

namespace lovage::bench {
namespace {

constexpr const char* kLog = "/dev/stderr";  // stdout holds the figures alone
constexpr int kRounds = 5;
constexpr std::chrono::milliseconds kLook{2};  // between two looks whether all is done
constexpr std::chrono::minutes kPatience{10};  // a stop of the worker ends the wait by itself

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

class Workflows {
 public:
  explicit Workflows(const Options& options) : options_(options), load_(options) {
    load_.purge();
    worker_.emplace(load_.worker_arguments(), kLog);
    for (int i = 0; i < 50; ++i) load_.noop().delay().get(std::chrono::seconds(10));  // both sides warm
  }
  ~Workflows() { worker_.reset(); }
  Workflows(const Workflows&) = delete;
  Workflows& operator=(const Workflows&) = delete;

  // Seconds until all members are done; `sent`: until they are sent.
  double run_group(std::vector<double>& sent) {
    const auto start = Clock::now();
    const GroupSignature members(detail::make_group(tasks()));
    static_cast<void>(members.delay());
    sent.push_back(since(start));
    while (load_.waiting() > 0) rest(start);
    return since(start);
  }

  double run_chord(std::vector<double>& sent) {
    const auto start = Clock::now();
    const Signature chord = detail::make_chord(detail::make_group(tasks()), task());
    const auto result = chord.delay();
    sent.push_back(since(start));
    result.get_value(kPatience);
    return since(start);
  }

  double run_chain() {
    const auto start = Clock::now();
    detail::make_chain(tasks()).delay().get_value(kPatience);
    return since(start);
  }

  [[nodiscard]] double worker_pss_mib() const { return worker_->pss_mib(); }
  [[nodiscard]] bool is_redis() const { return load_.is_redis(); }

 private:
  static double since(Clock::time_point start) { return Seconds(Clock::now() - start).count(); }

  // With its queue: the worker, which sends what follows, has another default.
  [[nodiscard]] Signature task() const { return Signature(load_.noop().si()).set({.queue = kQueue}); }
  [[nodiscard]] std::vector<Signature> tasks() const {
    std::vector<Signature> all(options_.tasks, task());
    return all;
  }

  void rest(Clock::time_point start) {
    if (!worker_->running()) throw std::runtime_error("the worker ended before the workflow");
    if (Clock::now() - start > kPatience) throw std::runtime_error("the workflow does not end");
    std::this_thread::sleep_for(kLook);
  }

  const Options options_;
  const Load load_;
  std::optional<test::WorkerProcess> worker_;
};

}  // namespace

Object group_workload(const Options& options) {
  Workflows workflows(options);
  std::vector<double> sent;
  std::vector<double> done;
  done.reserve(kRounds);
  for (int round = 0; round < kRounds; ++round) done.push_back(workflows.run_group(sent));
  const auto tasks = static_cast<double>(options.tasks);
  return {{"group_s", median(done)},
          {"group_sent_per_s", tasks / median(sent)},
          {"group_per_s", tasks / median(done)},
          {"pss_mib", workflows.worker_pss_mib()}};
}

Object chord_workload(const Options& options) {
  Workflows workflows(options);
  std::vector<double> sent;
  std::vector<double> groups;
  std::vector<double> chords;
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    groups.push_back(workflows.run_group(sent));
    chords.push_back(workflows.run_chord(sent));
    ratios.push_back(chords.back() / groups.back());
  }
  return {{"group_s", median(groups)},
          {"chord_s", median(chords)},
          {"chord_per_s", static_cast<double>(options.tasks) / median(chords)},
          {"chord_per_group", median(ratios)},
          {"pss_mib", workflows.worker_pss_mib()}};
}

Object chain_workload(const Options& options) {
  Workflows workflows(options);
  std::vector<double> chains;
  std::vector<double> relays;
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    chains.push_back(workflows.run_chain() * 1'000 / static_cast<double>(options.tasks));
    if (!workflows.is_redis()) continue;
    // Right behind it: a relay's time changes by the minute.
    relays.push_back(relay_p50_ms(options.broker, options.calls));
    ratios.push_back(chains.back() / relays.back());
  }
  Object figures{{"chain_s", median(chains) * static_cast<double>(options.tasks) / 1'000},
                 {"chain_step_ms", median(chains)}};
  if (workflows.is_redis()) {
    figures.set("relay_p50_ms", median(relays));
    figures.set("relays_per_step", median(ratios));
  }
  figures.set("pss_mib", workflows.worker_pss_mib());
  return figures;
}

}  // namespace lovage::bench
