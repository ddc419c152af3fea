// The command line with a real worker behind it, on one SQLite file.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <memory>

#include <lovage/value.hpp>

#include "support/program.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"

namespace lovage::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

class WorkerCommand : public testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] std::vector<std::string> here(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--workdir", folder_.path().string()});
    return arguments;
  }
  [[nodiscard]] Ended run(std::vector<std::string> arguments) const {
    return run_program(LOVAGE_PROGRAM, here(std::move(arguments)));
  }
  // Returns when it is ready.
  [[nodiscard]] std::unique_ptr<Program> worker(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"worker", "-A", GetParam(), "-l", "INFO", "-c", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto started = std::make_unique<Program>(LOVAGE_PROGRAM, here(std::move(arguments)));
    started->wait_for(" ready.");
    return started;
  }
  TempDir folder_;
};

TEST_P(WorkerCommand, RunsWhatCallSends) {
  auto running = worker();
  const Ended sum = run({"call", "tests.add", "-a", "[2]", "-k", R"({"y": 3})", "--wait", "-t", "20"});
  EXPECT_EQ(sum.code, 0) << sum.err << running->err();
  EXPECT_EQ(sum.out, "5\n");

  const Ended failed = run({"call", "tests.fail", "--task-id", "unlucky", "--wait", "-t", "20"});
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, HasSubstr("task unlucky ended as FAILURE: ValueError('no luck')"));
  EXPECT_EQ(run({"result", "unlucky", "--state"}).out, "FAILURE\n");
  EXPECT_THAT(run({"result", "unlucky", "--traceback"}).out, HasSubstr("ValueError: no luck"));

  ASSERT_EQ(run({"call", "tests.greet", "-a", R"(["you"])", "--task-id", "greeting"}).code, 0);
  EXPECT_EQ(run({"result", "greeting", "--timeout", "20"}).out, "\"hello you\"\n");
  EXPECT_EQ(run({"result", "greeting", "--raw"}).out, "hello you\n");

  running->process().kill(SIGTERM);
  EXPECT_EQ(running->wait(), 0) << running->err();
}

INSTANTIATE_TEST_SUITE_P(Apps, WorkerCommand, testing::Values(LOVAGE_TEST_APP_LIBRARY, LOVAGE_TEST_APP_PROGRAM));

class OneWorker : public WorkerCommand {};

TEST_P(OneWorker, IsSeenByStatusAndByItsPidFile) {
  auto running = worker({"-P", "threads", "-n", "one@here", "--pidfile", "%n.pid", "--", "worker_lease=(float)1.5"});
  const Ended status = run({"status", "-t", "20"});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_EQ(status.out, "->  one@here: OK\n\n1 node online.\n");
  EXPECT_EQ(run({"status", "-q"}).out, "->  one@here: OK\n");
  EXPECT_EQ(from_json(run({"status", "--json"}).out), (Value{{"one@here", {{"ok", "pong"}}}}));
  EXPECT_EQ(run({"status", "-d", "other@here"}).code, 69);

  const Ended second = run({"worker", "-A", GetParam(), "-n", "one@here", "--pidfile", "%n.pid"});
  EXPECT_EQ(second.code, 73);
  EXPECT_THAT(second.err, HasSubstr("belongs to the running process " + std::to_string(running->process().pid())));

  running->process().kill(SIGTERM);
  EXPECT_EQ(running->wait(), 0) << running->err();
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "one.pid"));
  EXPECT_EQ(run({"status"}).code, 69);
}

TEST_P(OneWorker, LeavesUnknownTasksToTheDeadLettersWhereTheyCanBeLookedAt) {
  ASSERT_EQ(run({"call", "no.such.task", "--task-id", "stray"}).code, 0);
  auto running = worker({"-P", "threads", "--", "unknown_task_ttl=0"});
  const Ended result = run({"result", "stray", "--timeout", "20"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("NotRegistered"));
  running->process().kill(SIGTERM);
  EXPECT_EQ(running->wait(), 0) << running->err();

  EXPECT_THAT(run({"dlq", "list"}).out, AllOf(HasSubstr("Reason"), HasSubstr("no.such.task"), HasSubstr("stray")));
  EXPECT_THAT(run({"dlq", "show", "stray"}).out, AllOf(HasSubstr("message:"), HasSubstr("no.such.task")));
  EXPECT_THAT(run({"dlq", "retry", "stray"}).out,
              AllOf(HasSubstr("no.such.task is sent again as "), EndsWith("\nSent 1 message again.\n")));
  EXPECT_EQ(run({"dlq", "list"}).out, "No dead letters.\n");
  EXPECT_EQ(run({"purge", "-f"}).out, "Purged 1 message from 1 known task queue.\n");
}

TEST_P(OneWorker, GivesUpWithExitCode69WhereItsBrokerIsAwayAndItMayNotTryAgain) {
  const std::string broker = "redis://:hunter2@127.0.0.1:" + std::to_string(free_port()) + "/0";
  const Ended ended = run({"worker", "-A", GetParam(), "-b", broker, "--", "broker_connection_retry_on_startup=false"});
  EXPECT_EQ(ended.code, 69);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("consumer: Cannot connect to redis://:**@127.0.0.1"), HasSubstr("refused"),
                               Not(HasSubstr("hunter2"))));
}

TEST_P(OneWorker, ThatCannotReadItsArgumentsStartsNothing) {
  const Ended ended = run({"worker", "-A", GetParam(), "-Q", "vidoe", "--", "task_create_missing_queues=false"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("vidoe"));
}

INSTANTIATE_TEST_SUITE_P(Apps, OneWorker, testing::Values(LOVAGE_TEST_APP_LIBRARY));

}  // namespace
}  // namespace lovage::test
