// An app, a worker of two threads and an engine: what tests of whole workflows run on.
#pragma once

#include <gmock/gmock.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <lovage/lovage.hpp>

#include "app/core.hpp"
#include "base/uuid.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"
#include "worker/worker_process.hpp"

namespace lovage::worker {

using std::chrono_literals::operator""s;
using Numbers = std::vector<std::int64_t>;

// What tasks write down, in their order.
class Notes {
 public:
  void add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
    changed_.notify_all();
  }
  // Once there are so many of them, or ten seconds have passed.
  std::vector<std::string> lines(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 10s, [&] { return lines_.size() >= count; });
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

// Where as many threads as were asked for wait for each other.
class MeetingPoint {
 public:
  // Whether the others came within ten seconds.
  bool meet(std::int64_t expected) {
    std::unique_lock lock(mutex_);
    ++here_;
    changed_.notify_all();
    return changed_.wait_for(lock, 10s, [&] { return here_ >= expected; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t here_ = 0;
};

// Fixtures that derive from it may declare more tasks and change settings and options: the worker starts in SetUp.
class WorkflowOn : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr std::int64_t kThreads = 2;

  WorkflowOn() {
    Config& config = app.config();
    config.worker_pool = "threads";
    config.worker_concurrency = static_cast<int>(kThreads);
    config.broker_url = url_of(GetParam());
    if (std::string(GetParam()) == "two_stores")
      config.result_backend = "sqlite:///" + (folder.path() / "r.db").string();
    options.quiet = true;
    options.embedded = true;
    options.hostname = "w@test";
  }
  void SetUp() override {
    worker = std::make_unique<WorkerProcess>(app.core(), options);
    exit_code = std::async(std::launch::async, [this] { return worker->run(); });
  }
  void TearDown() override {
    worker->shut_down(Shutdown::Signal::term);
    EXPECT_EQ(exit_code.get(), 0);
  }

  std::string url_of(const std::string& engine) {
    if (engine == "memory") return "memory://" + new_uuid();
    if (engine == "sqlite") return "sqlite:///" + (folder.path() / "shop.db").string();
    return redis.emplace().url();
  }

  // Nothing of it is left in the store once it has ended.
  void expect_no_chords_left() {
    const auto queues = app.core().broker().queues(std::vector<std::string>{"celery"}, Deadline::after(10s));
    ASSERT_TRUE(queues);
    EXPECT_EQ(queues->at(0).ready + queues->at(0).scheduled, 0U);
  }

  // The notes once there are so many, and all else that was sent with what wrote them is done: every thread of the
  // worker is at the meeting point then.
  std::vector<std::string> all_notes(std::size_t count) {
    notes.lines(count);
    meetings += kThreads;
    const std::vector<TypedSignature<bool()>> everybody(static_cast<std::size_t>(kThreads), meet.s(meetings));
    EXPECT_EQ(group(everybody).delay().join(20s), Array(static_cast<std::size_t>(kThreads), Value(true)));
    return notes.lines(0);
  }

  test::TempDir folder;
  std::optional<test::RedisServer> redis;
  Notes notes;
  MeetingPoint meeting_point;
  std::int64_t meetings = 0;
  App app{"flows", Config{}};
  Task<Value(Value)> identity = app.task("identity", [](Value value) { return value; });
  Task<std::int64_t(std::int64_t, std::int64_t)> add =
      app.task("add", [](std::int64_t x, std::int64_t y) { return x + y; });
  Task<std::int64_t(std::int64_t)> same = app.task("same", [](std::int64_t x) { return x; });
  Task<std::int64_t(Numbers)> total = app.task("total", [](const Numbers& numbers) {
    std::int64_t sum = 0;
    for (const auto number : numbers) sum += number;
    return sum;
  });
  Task<Numbers(Numbers)> list = app.task("list", [](Numbers numbers) { return numbers; });
  Task<std::int64_t(std::int64_t)> boom =
      app.task("boom", [](std::int64_t) -> std::int64_t { throw std::invalid_argument("boom"); });
  Task<std::int64_t(std::int64_t)> flaky = app.task(
      "flaky",
      [](Context& self, std::int64_t x) {
        if (self.request().retries < 2) self.retry({.countdown = 0s});
        return x;
      },
      TaskOptions{.max_retries = 5});
  Task<std::int64_t(std::int64_t)> skip = app.task("skip", [](std::int64_t) -> std::int64_t { throw Ignore{}; });
  Task<std::string(std::string)> note = app.task("note", [this](std::string line) {
    notes.add(line);
    return line;
  });
  Task<void(std::string)> note_id = app.task("note_id", [this](const std::string& id) { notes.add("failed " + id); });
  Task<void(Value)> note_either = app.task("note_either", [this](const Value& told) { notes.add(to_json(told)); });
  Task<void(Value, Value, std::string)> note_all =
      app.task("note_all", [this](const Value& request, const Value& exception, const std::string&) {
        notes.add(*request.find("id")->if_string() + " " + *exception.find("exc_type")->if_string());
      });
  Task<std::vector<std::string>(std::int64_t)> ids = app.task("ids", [](Context& self, std::int64_t number) {
    const RequestInfo& request = self.request();
    return std::vector<std::string>{request.root_id, request.parent_id.value_or(""), std::to_string(number)};
  });
  Task<std::int64_t(Value)> replace_with =
      app.task("replace_with", [](Context& self, const Value& signature) -> std::int64_t {
        self.replace(Signature::from_value(nullptr, signature));
      });
  Task<std::int64_t(Value)> add_to_chord = app.task("add_to_chord", [](Context& self, const Value& signature) {
    self.add_to_chord(Signature::from_value(nullptr, signature));
    return std::int64_t{1};
  });
  Task<bool(std::int64_t)> meet =
      app.task("meet", [this](std::int64_t expected) { return meeting_point.meet(expected); });
  WorkerOptions options;
  std::unique_ptr<WorkerProcess> worker;
  std::future<int> exit_code;
};

inline auto engines() {
  return ::testing::Values("memory", "sqlite", "redis", "two_stores");
}
inline std::string engine_name(const ::testing::TestParamInfo<const char*>& row) {
  return row.param;
}

}  // namespace lovage::worker
