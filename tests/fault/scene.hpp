// What the fault tests have in common: a store of the test's own, an application to send with, and workers
// in processes of their own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <lovage/lovage.hpp>

#include "broker/broker.hpp"
#include "support/program.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"
#include "support/worker_process.hpp"

namespace lovage::fault {

enum class Engine { redis, sqlite };
std::string name_of(Engine engine);

using Worker = std::unique_ptr<test::WorkerProcess>;

// The queue of the callbacks, which only a worker that nobody disturbs serves: so each one is counted once.
inline constexpr const char* kLinkQueue = "fault_links";

class Scene {
 public:
  explicit Scene(Engine engine, test::RedisServer::Options redis = {});
  // Every test ends with an audit: each task that it sent is in one place or done. The workers are gone by then.
  ~Scene();
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  [[nodiscard]] App& app() noexcept { return *app_; }
  [[nodiscard]] test::RedisServer& redis() { return redis_.value(); }
  [[nodiscard]] const std::string& broker_url() const noexcept { return broker_url_; }
  [[nodiscard]] const std::string& backend_url() const noexcept { return backend_url_; }
  [[nodiscard]] std::string path(const std::string& file) const { return (folder_.path() / file).string(); }

  struct WorkerOptions {
    std::string broker_url = {};                // empty: the store's own
    std::vector<std::string> arguments = {};    // as on the command line
    std::vector<std::string> environment = {};  // "NAME=value"
    std::string queues = "celery";
    double lease = 1.5;  // seconds: short, so that the dead are found while the test lasts
  };
  // A worker that is ready, "<name>@%h", whose log is log(name).
  [[nodiscard]] Worker worker(const std::string& name, const WorkerOptions& options) const;
  [[nodiscard]] Worker worker(const std::string& name) const { return worker(name, {}); }

  [[nodiscard]] std::string log(const std::string& worker) const { return contents(worker + ".log"); }
  // Waits until the text stands in the worker's log. False: not within half a minute.
  [[nodiscard]] bool wait_log(const std::string& worker, const std::string& text) const;
  // The lines of a file that tasks appended to.
  [[nodiscard]] std::vector<std::string> lines(const std::string& file) const;
  [[nodiscard]] bool wait_lines(const std::string& file, std::size_t count) const;

  // Sends fault.started: the run appends its id to the file "started", then takes so long. Its callback
  // appends its number to "links", by way of kLinkQueue.
  AsyncResult<> send(const std::string& id, std::chrono::milliseconds takes);
  // Of tasks that were sent by other means, for the audit.
  void add_sent(const std::vector<std::string>& ids);
  // The ids of all tasks sent so far, which the audit at the end will not ask for.
  std::vector<std::string> take_sent();
  // Runs the callbacks; returns the lines that they wrote, sorted.
  std::vector<std::string> run_callbacks();

  // What waits, is scheduled and is reserved of the queue "celery".
  broker::QueueInfo queue();
  // Waits until the condition holds for it. Nobody tells of changes in a store, so it is asked again and again.
  bool wait_queue(const std::function<bool(const broker::QueueInfo&)>& condition);
  std::vector<broker::DeadLetterEntry> dead_letters();

  // What `lovage audit` finds wrong with the store and these ids; empty: every one is accounted for.
  [[nodiscard]] std::string audit(const std::vector<std::string>& ids) const;
  // `lovage -b <store> ...` to its end.
  [[nodiscard]] test::Ended lovage(std::vector<std::string> arguments) const;

 private:
  [[nodiscard]] std::string contents(const std::string& file) const;
  [[nodiscard]] bool wait_file(const std::string& file, const std::function<bool(const std::string&)>& condition) const;

  test::TempDir folder_;
  std::optional<test::RedisServer> redis_;
  std::string broker_url_;
  std::string backend_url_;
  std::unique_ptr<App> app_;
  std::mutex mutex_;
  std::vector<std::string> sent_;  // guarded by mutex_: ids of tasks whose sends returned
};

// The same of a store without a scene.
std::string audit(const std::string& broker_url, const std::string& backend_url, const std::vector<std::string>& ids);

// A signal to a process and all its descendants. Returns when SIGSTOP has stopped them all.
void signal_tree(int pid, int signal);

// How often each line is there.
std::size_t count(const std::vector<std::string>& lines, const std::string& line);

}  // namespace lovage::fault
