// kill -9 at random, parents and children, under load: every task ends done, no result is lost and each
// link callback is sent exactly once.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <lovage/lovage.hpp>

#include "app/core.hpp"
#include "fault/fleet.hpp"
#include "fault/scene.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 3;
// How long the killing goes on: LOVAGE_TEST_KILL_SECONDS, a minute by default.
std::chrono::seconds killing_time() {
  const char* given = std::getenv("LOVAGE_TEST_KILL_SECONDS");
  return std::chrono::seconds(given != nullptr ? std::atoi(given) : 60);
}

struct Load {
  std::vector<AsyncResult<std::int64_t>> results;
  std::string links_path;
};

// Sends while the workers are killed: a few hundred tasks a second, each with a callback that goes to a
// queue which nobody serves until the end.
void send_until(App& app, std::chrono::steady_clock::time_point end, Load& load) {
  const auto work = app.remote<std::int64_t(std::int64_t, std::int64_t)>("fault.work");
  const auto linked = app.remote<void(std::int64_t, std::string)>("fault.linked");
  while (std::chrono::steady_clock::now() < end) {
    const auto number = static_cast<std::int64_t>(load.results.size());
    auto callback = linked.si(number, load.links_path);
    callback.set({.queue = kLinkQueue});
    load.results.push_back(work.apply_async({number, number % 4}, {.link = callback}));
    std::this_thread::sleep_for(2ms);  // the load's pace
  }
}

void expect_every_result(const Load& load) {
  for (std::size_t i = 0; i < load.results.size(); ++i) {
    ASSERT_EQ(load.results[i].get(60s), static_cast<std::int64_t>(i) * 2) << "task " << i;
  }
}

// Every callback's number once: the last fleet drains their queue and nobody is killed meanwhile.
void expect_each_link_once(App& app, const Load& load, const std::vector<std::string>& worker) {
  Fleet drain(1, worker, {"-Q", kLinkQueue});
  wait_until_empty(app, kLinkQueue);
  std::map<std::int64_t, int> seen;
  std::ifstream file(load.links_path);
  for (std::int64_t number = 0; file >> number;) ++seen[number];
  for (std::size_t i = 0; i < load.results.size(); ++i) {
    ASSERT_EQ(seen[static_cast<std::int64_t>(i)], 1) << "callback of task " << i;
  }
  EXPECT_EQ(seen.size(), load.results.size());
}

void survive_kills(const std::string& broker_url, const std::string& backend_url, const std::string& folder) {
  App app("fault");
  app.config().broker_url = broker_url;
  app.config().result_backend = backend_url;
  const std::vector<std::string> worker{FAULT_APP, "worker", "-b",    broker_url, "--result-backend", backend_url, "-c",
                                        "2",       "-l",     "ERROR", "-q"};
  Load load;
  load.links_path = folder + "/links";
  std::size_t kills = 0;
  {
    // A short lease, so that the dead are found while the test lasts. A task that runs during three kills is no poison.
    Fleet fleet(kWorkers, worker, {"-Q", "celery", "--", "worker_lease=1.5", "task_max_strikes=100"});
    const auto end = std::chrono::steady_clock::now() + killing_time();
    std::jthread killer([&](const std::stop_token& stop) { kills = fleet.kill_at_random(stop, 250ms); });
    send_until(app, end, load);
    killer.request_stop();
    killer.join();
    fleet.restart_dead();
    expect_every_result(load);
    wait_until_empty(app, "celery");
  }
  expect_each_link_once(app, load, worker);
  const auto dead = app.core().broker().dead_letters(10, Deadline::after(5s));
  ASSERT_TRUE(dead) << dead.error().message;
  EXPECT_TRUE(dead->empty()) << dead->front().letter.reason << ": " << dead->front().letter.detail;
  std::vector<std::string> ids;
  for (const auto& result : load.results) ids.push_back(result.id());
  EXPECT_EQ(audit(broker_url, backend_url, ids), "");
  std::printf("%zu tasks, %zu kills: all done, every callback once\n", load.results.size(), kills);
}

TEST(KillNine, NothingIsLostOnRedis) {
  const test::TempDir folder;
  const test::RedisServer server;
  survive_kills(server.url(0), server.url(1), folder.path().string());
}

TEST(KillNine, NothingIsLostOnSqlite) {
  const test::TempDir folder;
  const std::string url = "sqlite:///" + folder.path().string() + "/fault.db";
  survive_kills(url, url, folder.path().string());
}

}  // namespace
}  // namespace lovage::fault
