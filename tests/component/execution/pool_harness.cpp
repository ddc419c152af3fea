#include "execution/pool_harness.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include <gtest/gtest.h>

#include "execution/test_tasks.hpp"
#include "net/fd.hpp"
#include "support/slowness.hpp"
#include "wire/body.hpp"

namespace lovage::execution {

PoolHarness::PoolHarness(Options options) : options_(std::move(options)) {
  add_test_tasks(registry_);
  pool = make_pool(options_.pool, PoolOptions{.registry = registry_,
                                              .config = options_.config,
                                              .loop = loop,
                                              .concurrency = options_.concurrency,
                                              .hostname = "celery@test",
                                              .fair = options_.fair,
                                              .fork_server_arguments = options_.fork_server_arguments});
}

PoolHarness::~PoolHarness() {
  if (pool) stop();
}

void PoolHarness::start() {
  bool ready = false;
  pool->start(*this, [&] {
    ready = true;
    changed();
  });
  run_until([&] { return ready || !broken.empty(); });
}

JobId PoolHarness::submit(std::string task, Array args, const std::function<void(Request&)>& change) {
  Request request;
  request.job = ++last_job;
  request.message.edit().id = "id-" + std::to_string(request.job);
  request.message.edit().task = std::move(task);
  wire::Body body;
  body.args = std::move(args);
  EXPECT_TRUE(wire::encode_body(request.message.edit(), body, {}));
  if (change) change(request);
  pool->submit(std::move(request));
  return last_job;
}

void PoolHarness::run_until(const std::function<bool()>& condition) {
  if (condition()) return;
  awaited_ = condition;
  const auto patience = loop.after(std::chrono::seconds(60) * test::kSlowness, [&] {
    ADD_FAILURE() << "waited in vain";
    loop.stop();
  });
  loop.run();
  awaited_ = {};
}

const Outcome& PoolHarness::outcome_of(JobId job) {
  run_until([&] { return outcomes.contains(job); });
  return outcomes[job];
}

void PoolHarness::wait_for_start(JobId job) {
  run_until([&] { return started.contains(job); });
}

void PoolHarness::wait_for_all() {
  run_until([&] { return outcomes.size() == last_job; });
}

void PoolHarness::stop() {
  if (stopped) return;
  pool->stop([this] {
    stopped = true;
    changed();
  });
  run_until([&] { return stopped; });
}

void PoolHarness::on_started(JobId job, int pid) {
  if (outcomes.contains(job)) doubled.push_back(job);
  started[job] = pid;
  changed();
}

void PoolHarness::on_state(JobId job, std::string state, std::string meta_json) {
  states[job].emplace_back(std::move(state), std::move(meta_json));
  changed();
}

void PoolHarness::on_outcomes(std::vector<Outcome> batch) {
  for (Outcome& outcome : batch) {
    const JobId job = outcome.job;
    if (!outcomes.emplace(job, std::move(outcome)).second || job > last_job) doubled.push_back(job);
  }
  changed();
}

void PoolHarness::on_soft_time_limit(JobId job) {
  soft_limits.insert(job);
  changed();
}

void PoolHarness::on_broken(const Failure& why) {
  broken = why.message;
  changed();
}

void PoolHarness::changed() {
  if (awaited_ && awaited_()) loop.stop();
}

Gate::Gate() {
  std::string name = (std::filesystem::temp_directory_path() / "lovage-gate-XXXXXX").string();
  folder_ = ::mkdtemp(name.data());
  path_ = folder_ + "/gate";
  EXPECT_EQ(::mkfifo(path_.c_str(), 0600), 0);
}

Gate::~Gate() {
  std::filesystem::remove_all(folder_);
}

void Gate::open() const {
  const net::Fd gate(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
}

}  // namespace lovage::execution
