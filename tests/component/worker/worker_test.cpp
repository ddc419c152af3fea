// A whole worker, on every engine: from the send to the result.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <thread>

#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "app/producer.hpp"
#include "base/uuid.hpp"
#include "component/worker/test_app.hpp"
#include "execution/fork_server.hpp"
#include "net/child_process.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"
#include "wire/result_meta.hpp"
#include "worker/worker_process.hpp"

namespace lovage::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Deadline soon() {
  return Deadline::after(seconds(20));
}

// An app on one engine, and workers of it in threads of the test.
class Shop {
 public:
  explicit Shop(const std::string& engine, const std::string& pool = "threads") {
    config.worker_pool = pool;
    config.worker_concurrency = 2;
    config.broker_connection_retry_on_startup = false;
    config.broker_url = url_of(engine);
    testing::add_tasks(core);
  }
  ~Shop() {
    if (worker) stop();
  }
  Shop(const Shop&) = delete;
  Shop& operator=(const Shop&) = delete;

  void start(WorkerOptions options = {}) {
    options.quiet = true;
    options.hostname = "w@test";
    worker = std::make_unique<WorkerProcess>(core, options);
    exit_code = std::async(std::launch::async, [this] { return worker->run(); });
  }
  int stop(Shutdown::Signal signal = Shutdown::Signal::term) {
    worker->shut_down(signal);
    const int code = exit_code.get();
    worker.reset();
    return code;
  }

  std::string send(const std::string& task, Array args = {}, Object options = {}) {
    const wire::SignatureData call{
        .task = task, .args = std::move(args), .kwargs = {}, .options = std::move(options), .subtask_type = {}};
    const auto prepared = app::prepare(core, app::call_of(call), {});
    const auto sent = core.broker().publish(std::vector{prepared.message}, soon());
    EXPECT_TRUE(sent.at(0)) << sent.at(0).error().message;
    return prepared.message.id;
  }
  wire::ResultMeta result(const std::string& id) {
    const auto bytes = core.backend()->wait(id, soon());
    if (!bytes || !*bytes) {
      ADD_FAILURE() << "no result for " << id;
      return {};
    }
    return wire::decode_result_meta(**bytes).value();
  }
  // The state stored for an id becomes `state`.
  bool reaches(const std::string& id, std::string_view state) {
    for (const Deadline deadline = soon(); !deadline.passed(); std::this_thread::sleep_for(milliseconds(2))) {
      const auto bytes = core.backend()->get(id, soon());
      if (bytes && *bytes && wire::decode_result_meta(**bytes)->status == state) return true;
    }
    return false;
  }
  std::uint64_t ready() {
    const std::vector<std::string> names{"celery"};
    return core.broker().queues(names, soon())->at(0).ready;
  }

  std::string url_of(const std::string& engine) {
    if (engine == "memory") return "memory://" + new_uuid();
    if (engine == "sqlite") return "sqlite:///" + (folder.path() / "shop.db").string();
    return redis.emplace().url();
  }

  test::TempDir folder;
  std::optional<test::RedisServer> redis;
  app::Core core{"shop", Config{}};
  Config& config = core.config();
  std::unique_ptr<WorkerProcess> worker;
  std::future<int> exit_code;
};

class WorkerOn : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Engines, WorkerOn, ::testing::Values("memory", "sqlite", "redis"),
                         [](const auto& row) { return std::string(row.param); });

Value signature(const std::string& task, Array args = {}, Object options = {}) {
  return wire::to_value(wire::SignatureData{
      .task = task, .args = std::move(args), .kwargs = {}, .options = std::move(options), .subtask_type = {}});
}

TEST_P(WorkerOn, RunsTasksAndStoresResults) {
  Shop shop(GetParam());
  const auto early = shop.send("add", {Value(1), Value(2)});  // before there is a worker
  shop.start();
  std::vector<std::string> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(shop.send("add", {Value(i), Value(1)}));
  EXPECT_EQ(shop.result(early).result, Value(3));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(shop.result(ids[static_cast<std::size_t>(i)]).result, Value(i + 1));
  EXPECT_EQ(shop.stop(), 0);
  EXPECT_EQ(shop.ready(), 0U);
}

TEST_P(WorkerOn, SendsCallbacksAndChainSteps) {
  Shop shop(GetParam());
  shop.start();
  const std::string file = (shop.folder.path() / "notes").string();
  const Array chain{signature("add", {Value(100)}, {{"task_id", Value("last")}}),
                    signature("add", {Value(10)}, {{"task_id", Value("middle")}})};
  shop.send("add", {Value(1), Value(1)},
            {{"chain", Value(chain)}, {"link", signature("note", {Value(file)}, {{"task_id", Value("noted")}})}});
  EXPECT_EQ(shop.result("middle").result, Value(12));
  EXPECT_EQ(shop.result("last").result, Value(112));
  EXPECT_EQ(shop.result("noted").result, Value("2"));
}

TEST_P(WorkerOn, ReportsFailures) {
  Shop shop(GetParam());
  shop.start();
  const std::string file = (shop.folder.path() / "notes").string();
  const auto id = shop.send("fail", {},
                            {{"link_error", signature("note", {Value(file)}, {{"task_id", Value("noted")}})},
                             {"chain", Value(Array{signature("add", {}, {{"task_id", Value("never")}})})}});
  const auto meta = shop.result(id);
  EXPECT_EQ(meta.status, states::failure);
  EXPECT_EQ(*meta.result.find("exc_type"), Value("ValueError"));
  EXPECT_EQ(*meta.result.find("exc_message"), Value(Array{Value("boom")}));
  EXPECT_EQ(shop.result("never").status, states::failure);
  EXPECT_EQ(shop.result("noted").result, Value("\"" + id + "\""));
}

TEST_P(WorkerOn, RetriesThroughTheSchedule) {
  Shop shop(GetParam());
  shop.start();
  EXPECT_EQ(shop.result(shop.send("flaky", {Value(3)})).result, Value(3));
}

TEST_P(WorkerOn, HoldsBackWhatIsNotDueAndDropsWhatHasExpired) {
  Shop shop(GetParam());
  const auto late = shop.send("add", {Value(1), Value(2)}, {{"expires", Value(-1)}});
  const auto later = shop.send("add", {Value(3), Value(4)}, {{"countdown", Value(0.2)}});
  const auto before = Clock::system().now();
  shop.start();
  EXPECT_EQ(shop.result(late).status, states::revoked);
  EXPECT_EQ(shop.result(later).result, Value(7));
  EXPECT_GE(Clock::system().now() - before, milliseconds(100));
}

TEST_P(WorkerOn, MovesBadMessagesToTheDeadLetters) {
  Shop shop(GetParam());
  wire::SignatureData call;
  call.task = "add";
  auto message = app::prepare(shop.core, app::call_of(call), {}).message;
  message.content_type = "application/x-python-serialize";
  ASSERT_TRUE(shop.core.broker().publish(std::vector{message}, soon()).at(0));
  shop.start();
  EXPECT_EQ(shop.result(message.id).status, states::failure);
  const auto letters = shop.core.broker().dead_letters(10, soon());
  ASSERT_TRUE(letters);
  ASSERT_EQ(letters->size(), 1U);
  EXPECT_EQ(letters->at(0).letter.reason, "refused-content-type");
  EXPECT_EQ(shop.result(shop.send("add", {Value(1), Value(1)})).result, Value(2));  // the worker goes on
}

// Sends a task whose callback names an exchange that nothing is bound to.
void expect_the_callback_alone_dies(Shop& shop) {
  const std::string file = (shop.folder.path() / "notes").string();
  const Value errback = signature("note", {Value(file)}, {{"task_id", Value("noted")}});
  const Object options{{"task_id", Value("lost")},
                       {"exchange", Value("nowhere")},
                       {"routing_key", Value("key")},
                       {"link_error", Value(Array{errback})}};
  const auto id = shop.send("add", {Value(1), Value(1)}, {{"link", signature("add", {Value(1)}, options)}});
  EXPECT_EQ(shop.result(id).result, Value(2));
  EXPECT_EQ(shop.result("lost").status, states::failure);
  EXPECT_EQ(shop.result("noted").result, Value("\"lost\""));
  EXPECT_EQ(shop.stop(), 0);
  EXPECT_EQ(shop.ready(), 0U);
  const auto letters = shop.core.broker().dead_letters(10, soon());
  ASSERT_TRUE(letters);
  ASSERT_EQ(letters->size(), 1U);
  EXPECT_EQ(letters->at(0).letter.task_id, "lost");
  EXPECT_EQ(letters->at(0).letter.detail, "no queue is bound to exchange 'nowhere' for routing key 'key'");
}

TEST_P(WorkerOn, BuriesACallbackThatNoQueueTakes) {
  Shop shop(GetParam());
  shop.start();
  expect_the_callback_alone_dies(shop);
}

TEST_P(WorkerOn, BuriesItAfterAnEarlyAcknowledgementToo) {
  Shop shop(GetParam());
  shop.config.task_acks_late = false;
  shop.start();
  expect_the_callback_alone_dies(shop);
}

TEST_P(WorkerOn, StoresStatesWhileATaskRuns) {
  Shop shop(GetParam());
  shop.start();
  const auto gate = shop.folder.path() / "go";
  const auto id = shop.send("progress", {Value(gate.string())});
  EXPECT_TRUE(shop.reaches(id, "PROGRESS"));
  std::ofstream(gate).put('\n');
  EXPECT_EQ(shop.result(id).result, Value("done"));
}

TEST_P(WorkerOn, FinishesWhatRunsAndGivesTheRestBack) {
  Shop shop(GetParam());
  shop.config.worker_prefetch_multiplier = 4;
  const auto gate = shop.folder.path() / "go";
  const auto first = shop.send("progress", {Value(gate.string())});
  const auto second = shop.send("progress", {Value(gate.string())});
  for (int i = 0; i < 20; ++i) shop.send("add", {Value(i), Value(0)});
  shop.start();
  EXPECT_TRUE(shop.reaches(first, "PROGRESS"));
  EXPECT_TRUE(shop.reaches(second, "PROGRESS"));
  shop.worker->shut_down(Shutdown::Signal::term);
  for (const Deadline deadline = soon(); shop.ready() < 20 && !deadline.passed();)
    std::this_thread::sleep_for(milliseconds(2));
  EXPECT_EQ(shop.ready(), 20U);  // at once, while the first two still run
  std::ofstream(gate).put('\n');
  EXPECT_EQ(shop.exit_code.get(), 0);
  shop.worker.reset();
  EXPECT_EQ(shop.result(first).status, states::success);
  EXPECT_EQ(shop.result(second).status, states::success);
}

TEST_P(WorkerOn, AcknowledgesEarlyWhereAsked) {
  Shop shop(GetParam());
  shop.config.task_acks_late = false;
  shop.start();
  EXPECT_EQ(shop.result(shop.send("add", {Value(1), Value(1)})).result, Value(2));
  EXPECT_EQ(shop.result(shop.send("flaky", {Value(1)})).result, Value(1));
}

TEST_P(WorkerOn, PurgesWhenToldTo) {
  Shop shop(GetParam());
  shop.send("add", {Value(1), Value(1)});
  WorkerOptions options;
  options.purge = true;
  shop.start(std::move(options));
  for (const Deadline deadline = soon(); shop.ready() > 0 && !deadline.passed();)
    std::this_thread::sleep_for(milliseconds(2));
  EXPECT_EQ(shop.ready(), 0U);
}

TEST(Worker, SettlesInOrderWithTwoEngines) {
  Shop shop("sqlite");
  shop.config.result_backend = "memory://" + new_uuid();
  shop.start();
  shop.send("add", {Value(1), Value(1)}, {{"link", signature("add", {Value(5)}, {{"task_id", Value("next")}})}});
  EXPECT_EQ(shop.result("next").result, Value(7));
  EXPECT_EQ(shop.stop(), 0);
}

TEST(Worker, BuriesACallbackThatNoQueueTakesWithTwoEngines) {
  Shop shop("sqlite");
  shop.config.result_backend = "memory://" + new_uuid();
  shop.start();
  expect_the_callback_alone_dies(shop);
}

TEST(Worker, ExitsWithTwoWhereItsPathCannotWork) {
  Shop shop("sqlite");
  shop.config.broker_url = "sqlite:////nonexistent/folder/shop.db";
  shop.start();
  EXPECT_EQ(shop.exit_code.get(), 2);
  shop.worker.reset();
}

TEST(Worker, RefusesMemoryWithPrefork) {
  Shop shop("memory", "prefork");
  EXPECT_THROW(shop.start(), ConfigError);
}

TEST(Prefork, LosesOnlyTheTaskThatKillsItsChild) {
  Shop shop("sqlite", "prefork");
  shop.config.task_max_strikes = 2;
  shop.start();
  const auto poison = shop.send("die");
  std::vector<std::string> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(shop.send("add", {Value(i), Value(1)}));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(shop.result(ids[static_cast<std::size_t>(i)]).result, Value(i + 1));
  const auto meta = shop.result(poison);
  EXPECT_EQ(meta.status, states::failure);
  EXPECT_EQ(*meta.result.find("exc_type"), Value("WorkerLostError"));
  const auto letter = shop.core.broker().dead_letter(poison, soon());
  ASSERT_TRUE(letter && *letter);
  EXPECT_EQ((*letter)->letter.reason, "poison");
  EXPECT_THAT((*letter)->letter.detail, HasSubstr("SIGKILL"));
  EXPECT_EQ(shop.stop(), 0);
}

TEST(Prefork, ColdShutdownPutsBackWhatRan) {
  Shop shop("sqlite", "prefork");
  shop.start();
  const auto id = shop.send("progress", {Value((shop.folder.path() / "never").string())});
  EXPECT_TRUE(shop.reaches(id, "PROGRESS"));
  EXPECT_EQ(shop.stop(Shutdown::Signal::quit), 0);
  EXPECT_EQ(shop.ready(), 1U);
}

TEST(Prefork, WarmShutdownEndsAtItsLimit) {
  Shop shop("sqlite", "prefork");
  shop.config.worker_warm_shutdown_timeout = milliseconds(50);
  shop.start();
  const auto id = shop.send("progress", {Value((shop.folder.path() / "never").string())});
  EXPECT_TRUE(shop.reaches(id, "PROGRESS"));
  EXPECT_EQ(shop.stop(), 0);
  EXPECT_EQ(shop.ready(), 1U);
}

// --- A worker that dies at the worst moments -----------------------------------------------------------

// This program again, as a worker on the file that dies at the kill point; returns the signal.
int run_until_killed(const std::string& database, const std::string& kill_point) {
  auto child = net::ChildProcess::spawn({.path = "/proc/self/exe",
                                         .argv = {"worker_component_test", "--worker", database},
                                         .fds = {},
                                         .environment = {"LOVAGE_KILL_POINT=" + kill_point}});
  if (!child) return 0;
  for (const Deadline deadline = soon(); !deadline.passed(); std::this_thread::sleep_for(milliseconds(2)))
    if (const auto status = child->exit_status()) return status->signal;
  return 0;
}

std::size_t lines_of(const std::string& file) {
  std::ifstream in(file);
  return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(in), {}, '\n'));
}

struct KillCase {
  const char* point;
  std::size_t runs;  // of the task, in all
};
class KilledAt : public ::testing::TestWithParam<KillCase> {};
INSTANTIATE_TEST_SUITE_P(Points, KilledAt,
                         ::testing::Values(KillCase{"after_reserve", 1}, KillCase{"before_run", 1},
                                           KillCase{"after_run", 2}, KillCase{"before_settle", 2},
                                           KillCase{"after_settle", 1}),
                         [](const auto& row) { return std::string(row.param.point); });

TEST_P(KilledAt, LosesNothingAndSendsTheCallbackOnce) {
  Shop shop("sqlite");
  const std::string runs = (shop.folder.path() / "runs").string();
  const std::string links = (shop.folder.path() / "links").string();
  const auto id = shop.send("note", {Value("run"), Value(runs)}, {{"link", signature("note", {Value(links)})}});
  ASSERT_EQ(run_until_killed((shop.folder.path() / "shop.db").string(), GetParam().point), SIGKILL);
  shop.config.worker_lease = milliseconds(300);  // sweeps the dead one after four ticks of 100 ms
  shop.start();
  EXPECT_EQ(shop.result(id).status, states::success);
  for (const Deadline deadline = soon(); lines_of(links) == 0 && !deadline.passed();)
    std::this_thread::sleep_for(milliseconds(2));
  EXPECT_EQ(shop.stop(), 0);
  EXPECT_EQ(lines_of(runs), GetParam().runs);
  EXPECT_EQ(lines_of(links), 1U);
}

}  // namespace

// As main() does for "--worker".
int run_worker(const std::string& database) {
  app::Core core("shop", Config{});
  core.config().broker_url = "sqlite:///" + database;
  core.config().worker_pool = "threads";
  core.config().worker_lease = milliseconds(300);
  testing::add_tasks(core);
  WorkerOptions options;
  options.quiet = true;
  return run(core, options);
}

}  // namespace lovage::worker

int main(int argc, char** argv) {
  if (argc > 1 && lovage::execution::kForkServerFlag == argv[1]) {
    lovage::app::Core core("shop", lovage::Config{});
    lovage::worker::testing::add_tasks(core);
    return lovage::execution::run_fork_server(core.registry());
  }
  if (argc == 3 && std::string_view(argv[1]) == "--worker") return lovage::worker::run_worker(argv[2]);
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
