// lovage-bench, by running the real program.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <lovage/value.hpp>

#include "support/program.hpp"
#include "support/redis_server.hpp"
#include "support/slowness.hpp"
#include "support/temp_dir.hpp"

namespace lovage::test {
namespace {

// Enough for the figures; a build with sanitizers does as little as it takes.
const std::string kTasks = std::to_string(10'000 / kSlowness);

Ended bench(const std::vector<std::string>& arguments) {
  Program program(LOVAGE_BENCH_PROGRAM, arguments);
  const int code = program.wait(std::chrono::minutes(5));  // a debug build on a busy machine drains slowly
  return {code, program.out(), program.err()};
}

void expect_all_figures(const std::string& out, bool with_relay) {
  const Value value = from_json(out);
  const Object* const figures = value.if_object();
  ASSERT_NE(figures, nullptr) << out;
  for (const char* name : {"enqueue_per_s", "enqueue_bulk_per_s", "drain_per_s", "lat_p50_ms", "lat_p99_ms", "pss_mib",
                           "startup_ms", "bare_drain_per_s"}) {
    const Value* const figure = figures->find(name);
    ASSERT_NE(figure, nullptr) << name;
    ASSERT_NE(figure->if_real(), nullptr) << name;
    EXPECT_GT(*figure->if_real(), 0) << name;
  }
  const Value* const relay = figures->find("relay_p50_ms");
  ASSERT_NE(relay, nullptr);
  EXPECT_EQ(relay->if_real() != nullptr, with_relay);
}

TEST(Bench, MeasuresEverythingOnRedis) {
  const RedisServer server;
  const auto ended =
      bench({"--broker", server.url(0), "--backend", server.url(1), "--tasks", kTasks, "--pool", "threads", "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  expect_all_figures(ended.out, true);
}

TEST(Bench, MeasuresEverythingOnAFile) {
  const TempDir folder;
  const std::string url = "sqlite:///" + (folder.path() / "bench.db").string();
  const auto ended = bench({"--broker", url, "--tasks", kTasks, "--pool", "prefork", "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  expect_all_figures(ended.out, false);
}

TEST(Bench, MeasuresTheMemoryEngineInOneProcess) {
  const auto ended = bench({"--broker", "memory://", "--tasks", "10000", "--json"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Value figures = from_json(ended.out);
  for (const char* name : {"enqueue_bulk_per_s", "drain_per_s"}) {
    ASSERT_NE(figures.find(name), nullptr) << ended.out;
    EXPECT_GT(*figures.find(name)->if_real(), 0) << name;
  }
}

TEST(Bench, MeasuresWorkflows) {
  const RedisServer server;
  const std::vector<std::pair<std::string, std::vector<const char*>>> workloads{
      {"group", {"group_s", "group_per_s", "group_sent_per_s", "pss_mib"}},
      {"chord", {"group_s", "chord_s", "chord_per_s", "chord_per_group", "pss_mib"}},
      {"chain", {"chain_s", "chain_step_ms", "relay_p50_ms", "relays_per_step", "pss_mib"}}};
  for (const auto& [workload, names] : workloads) {
    const auto ended = bench({"--broker", server.url(0), "--workload", workload, "--tasks", "100", "--calls", "20",
                              "--pool", "threads", "--json"});
    ASSERT_EQ(ended.code, 0) << workload << ": " << ended.err;
    const Value figures = from_json(ended.out);
    for (const char* name : names) {
      ASSERT_NE(figures.find(name), nullptr) << ended.out;
      EXPECT_GT(*figures.find(name)->if_real(), 0) << name;
    }
  }
}

// One process is killed in the middle of a commit, the others drain all that is left: so exit code 0 says it is whole.
TEST(Bench, MeasuresSeveralProcessesOnAFile) {
  const TempDir folder;
  const std::string url = "sqlite:///" + (folder.path() / "bench.db").string();
  const std::vector<std::pair<std::string, std::vector<const char*>>> workloads{
      {"crowd", {"drain_per_s", "sent_per_s", "drain_worker_cpu_us_per_task"}},
      {"turn", {"turns_per_s", "sent_per_s", "turn_p50_ms", "turn_p99_ms", "turn_max_ms"}}};
  for (const auto& [workload, names] : workloads) {
    const std::string tasks = workload == "crowd" ? kTasks : std::to_string(200 / kSlowness);
    const auto ended =
        bench({"--broker", url, "--workload", workload, "--tasks", tasks, "--pool", "threads", "--json"});
    ASSERT_EQ(ended.code, 0) << ended.err;
    const Value figures = from_json(ended.out);
    for (const char* name : names) {
      ASSERT_NE(figures.find(name), nullptr) << ended.out;
      EXPECT_GT(*figures.find(name)->if_real(), 0) << name;
    }
  }
}

TEST(Bench, SaysWhichOptionIsWrong) {
  const auto pool = bench({"--pool", "thread"});
  EXPECT_EQ(pool.code, 2);
  EXPECT_NE(pool.err.find("did you mean 'threads'?"), std::string::npos) << pool.err;
  EXPECT_EQ(bench({"--tasks", "none"}).code, 2);
  EXPECT_EQ(bench({"--no-such-option"}).code, 2);
  EXPECT_EQ(bench({"--broker", "memory://", "--pool", "prefork"}).code, 2);
  EXPECT_EQ(bench({"--broker", "memory://", "--workload", "crowd"}).code, 2);
}

TEST(Bench, SaysWhichServerCannotBeReachedWithoutItsPassword) {
  const std::string url = "redis://:secret@127.0.0.1:" + std::to_string(free_port()) + "/0";
  const auto ended = bench({"--broker", url, "--json"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_NE(ended.err.find("127.0.0.1"), std::string::npos) << ended.err;
  EXPECT_EQ(ended.err.find("secret"), std::string::npos) << ended.err;
  EXPECT_EQ(ended.out, "");
}

}  // namespace
}  // namespace lovage::test
