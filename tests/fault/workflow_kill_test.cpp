// kill -9 at random, parents and children, while workflows of every form run: each ends as it must, and every
// successor is sent exactly once.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fault/fleet.hpp"
#include "fault/flows.hpp"
#include "fault/scene.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 3;
constexpr int kFlows = 200;

// LOVAGE_TEST_FLOWS_SEED makes the same workflows again; the kills come when they come.
std::uint32_t seed() {
  const char* const given = std::getenv("LOVAGE_TEST_FLOWS_SEED");
  return given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
}

// How long the sending, and the killing, lasts: LOVAGE_TEST_KILL_SECONDS, half a minute by default.
std::chrono::milliseconds killing_time() {
  const char* const given = std::getenv("LOVAGE_TEST_KILL_SECONDS");
  return std::chrono::seconds(given != nullptr ? std::atoi(given) : 30);
}

class KillNineInWorkflows : public testing::TestWithParam<Engine> {
 protected:
  void send_all() {
    const auto first_seed = seed();
    std::printf("LOVAGE_TEST_FLOWS_SEED=%u\n", first_seed);
    std::mt19937 random(first_seed);
    for (int number = 0; number < kFlows; ++number) {
      const Flow flow = random_flow(random, number);
      texts.push_back(text_of(flow));
      sent.emplace_back(scene.app(), flow, number, scene.path("links"));
      std::this_thread::sleep_for(killing_time() / kFlows);  // the load's pace
    }
  }
  void expect_right_endings() {
    for (std::size_t i = 0; i < sent.size(); ++i) {
      EXPECT_EQ(sent[i].wait_and_compare(60s), "") << texts[i];
      scene.add_sent(sent[i].task_ids());
    }
  }
  // Every link and errback, once.
  void expect_right_notes() {
    std::multiset<std::string> expected;
    for (const auto& each : sent) expected.insert(each.ending().notes.begin(), each.ending().notes.end());
    const auto lines = scene.run_callbacks();
    const std::multiset<std::string> found(lines.begin(), lines.end());
    for (const auto& note : std::set<std::string>(expected.begin(), expected.end()))
      EXPECT_EQ(found.count(note), expected.count(note)) << note << " of " << form_of(note);
    EXPECT_EQ(found.size(), expected.size());
    std::printf("%zu callbacks, each as often as it must be\n", found.size());
  }

  // Of the workflow whose note that is: "f0017s003", "17 failed".
  [[nodiscard]] const std::string& form_of(const std::string& note) const {
    return texts.at(static_cast<std::size_t>(std::stoi(note.starts_with('f') ? note.substr(1) : note)));
  }

  Scene scene{GetParam()};
  std::vector<SentFlow> sent;
  std::vector<std::string> texts;
};
INSTANTIATE_TEST_SUITE_P(, KillNineInWorkflows, testing::Values(Engine::redis, Engine::sqlite),
                         [](const auto& made) { return name_of(made.param); });

TEST_P(KillNineInWorkflows, EachEndsAsItMustAndEverySuccessorIsSentOnce) {
  {
    const std::vector<std::string> worker{
        FAULT_APP, "worker", "-b", scene.broker_url(), "--result-backend", scene.backend_url(), "-c", "2",
        "-l",      "ERROR",  "-q"};
    // A short lease, so that the dead are found while the test lasts. A task that runs during three kills is no poison.
    Fleet fleet(kWorkers, worker, {"-Q", "celery", "--", "worker_lease=1.5", "task_max_strikes=100"});
    std::size_t kills = 0;
    std::jthread killer([&](const std::stop_token& stop) { kills = fleet.kill_at_random(stop, 250ms); });
    send_all();
    killer.request_stop();
    killer.join();
    fleet.restart_dead();
    expect_right_endings();
    wait_until_empty(scene.app(), "celery");
    std::printf("%zu workflows, %zu kills\n", sent.size(), kills);
  }
  expect_right_notes();
  EXPECT_TRUE(scene.dead_letters().empty());
}

}  // namespace
}  // namespace lovage::fault
