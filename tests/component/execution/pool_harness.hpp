// A pool with a loop, and a record of all it told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <lovage/config.hpp>

#include "app/registry.hpp"
#include "execution/make_pool.hpp"
#include "execution/pool.hpp"
#include "net/loop.hpp"

namespace lovage::execution {

class PoolHarness : public PoolEvents {
 public:
  struct Options {
    std::string pool = "prefork";
    std::size_t concurrency = 2;
    Config config = {};
    bool fair = false;
    std::vector<std::string> fork_server_arguments = {};
  };
  explicit PoolHarness(Options options);
  ~PoolHarness() override;

  void start();  // and waits until the pool is ready
  // The job's number; `change` may set limits and the like.
  JobId submit(std::string task, Array args = {}, const std::function<void(Request&)>& change = {});
  // Turns the loop until the condition holds; a test failure after 60 s.
  void run_until(const std::function<bool()>& condition);
  const Outcome& outcome_of(JobId job);  // waits for it
  void wait_for_start(JobId job);
  void wait_for_all();  // an outcome for everything submitted
  void stop();          // idempotent

  net::Loop loop;
  std::unique_ptr<Pool> pool;
  std::map<JobId, int> started;  // pid
  std::map<JobId, std::vector<std::pair<std::string, std::string>>> states;
  std::map<JobId, Outcome> outcomes;
  std::set<JobId> soft_limits;
  std::vector<JobId> doubled;  // jobs with a second outcome, or an outcome nobody waits for
  std::string broken;
  JobId last_job = 0;
  bool stopped = false;

 private:
  void on_started(JobId job, int pid) override;
  void on_state(JobId job, std::string state, std::string meta_json) override;
  void on_outcomes(std::vector<Outcome> batch) override;
  void on_soft_time_limit(JobId job) override;
  void on_broken(const Failure& why) override;
  void changed();

  Options options_;
  app::Registry registry_;
  std::function<bool()> awaited_;
};

// A FIFO at which tasks wait ("wait") until open() is called.
class Gate {
 public:
  Gate();
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Lets those through that are waiting; blocks until there is one.
  void open() const;

 private:
  std::string folder_;
  std::string path_;
};

}  // namespace lovage::execution
