// The real program: what it prints, where, and with which exit code.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <lovage/value.hpp>

#include "support/program.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"

namespace lovage::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class Cli : public testing::Test {
 protected:
  // The program on a database of this test's own.
  Ended run(std::vector<std::string> arguments, const Environment& more = {}) const {
    arguments.insert(arguments.begin(), {"--workdir", folder_.path().string()});
    return run_program(LOVAGE_PROGRAM, arguments, more);
  }
  Value json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    const Ended ended = run(std::move(arguments));
    EXPECT_EQ(ended.code, 0) << ended.err;
    return from_json(ended.out);
  }
  TempDir folder_;
};

TEST_F(Cli, VersionIsQuickAndAlone) {
  const Ended ended = run({"--version"});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out, HasSubstr(" (lovage)\n"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(Cli, NoArgumentsPrintHelp) {
  const Ended ended = run_program(LOVAGE_PROGRAM, {});
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out, AllOf(HasSubstr("worker"), HasSubstr("dlq"), HasSubstr("--broker")));
}

struct Mistake {
  std::vector<std::string> arguments;
  std::string message;
};

class Mistakes : public Cli, public testing::WithParamInterface<Mistake> {};

TEST_P(Mistakes, AreExitCode2WithOneClearMessage) {
  const Ended ended = run(GetParam().arguments);
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, AllOf(StartsWith("Error: "), HasSubstr(GetParam().message)));
  EXPECT_THAT(ended.out, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Mistakes,
    testing::Values(Mistake{{"wroker"}, "did you mean 'worker'?"},
                    Mistake{{"status", "--josn"}, "did you mean '--json'?"},
                    Mistake{{"--json", "status"}, "the option --json goes after its command: lovage status --json"},
                    Mistake{{"inspect", "ping"}, "is not there yet"},
                    Mistake{{"-A", "proj.celery", "status"}, "drop -A and use -b URL"},
                    Mistake{{"-A", "./libnone.so", "report"}, "there is no such file"},
                    Mistake{{"-b", "rediss", "status"}, "scheme"}, Mistake{{"-b", "redsi://h", "status"}, "redis"},
                    Mistake{{"--config", "none.toml", "status"}, "none.toml"},
                    Mistake{{"--workdir", "/none/none", "report"}, "--workdir"}, Mistake{{"call"}, "name is missing"},
                    Mistake{{"call", "x", "-a", "{}"}, "-a/--args: '{}' is no JSON array"},
                    Mistake{{"call", "x", "-k", "[1]"}, "-k/--kwargs: '[1]' is no JSON object"},
                    Mistake{{"call", "x", "-a", "[1"}, "-a/--args: "},
                    Mistake{{"call", "x", "--eta", "tomorrow"}, "--eta: 'tomorrow'"},
                    Mistake{{"call", "x", "--serializer", "jsno"}, "json"}, Mistake{{"result"}, "id is missing"},
                    Mistake{{"worker", "-P", "thraeds"}, "unknown pool 'thraeds' (did you mean 'threads'?)"},
                    Mistake{{"worker", "-P", "gevent"}, "there is no 'gevent' pool"},
                    Mistake{{"worker", "-l", "INFOO"}, "unknown level 'INFOO' (did you mean 'INFO'?)"},
                    Mistake{{"worker", "-O", "fiar"}, "did you mean 'fair'?"},
                    Mistake{{"worker", "-c", "many"}, "-c/--concurrency"},
                    Mistake{{"worker", "--logformat", "yaml"}, "--logformat"},
                    Mistake{{"worker", "--", "task_ack_late=1"}, "did you mean 'task_acks_late'?"},
                    Mistake{{"worker", "--", "task_acks_late=maybe"}, "task_acks_late"},
                    Mistake{{"worker", "--", ".concurency=1"}, "did you mean 'worker_concurrency'?"},
                    Mistake{{"worker", "-B"}, "is not there yet"}, Mistake{{"dlq", "show"}, "which dead letter?"},
                    Mistake{{"dlq", "retry"}, "which dead letters?"}));

TEST_F(Cli, AConfigFileWithAnUnknownSettingIsRefused) {
  std::ofstream(folder_.path() / "shop.toml") << "task_acks_lat = true\n";
  const Ended ended = run({"report", "--config", "shop.toml"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("shop.toml:1"), HasSubstr("task_acks_late")));
}

TEST_F(Cli, SentTasksWaitInTheirQueuesUntilTheyArePurged) {
  const Ended sent = run({"call", "tasks.add", "-a", "[2, 3]"});
  ASSERT_EQ(sent.code, 0) << sent.err;
  EXPECT_EQ(sent.out.size(), 37) << sent.out;  // an id and a line's end
  ASSERT_EQ(run({"call", "tasks.add", "--queue", "video", "--countdown", "3600"}).code, 0);

  EXPECT_THAT(run({"list", "queues"}).out, AllOf(HasSubstr("Queue"), HasSubstr("celery"), HasSubstr("video")));
  const Value queues = json({"list", "queues"});
  ASSERT_NE(queues.if_array(), nullptr);
  ASSERT_EQ(queues.if_array()->size(), 2);
  EXPECT_EQ(*queues.if_array()->at(0).find("name"), Value("celery"));
  EXPECT_EQ(*queues.if_array()->at(0).find("ready"), Value(1));

  const Ended mistyped = run({"purge", "-f", "-Q", "celrey"});
  EXPECT_EQ(mistyped.code, 2);
  EXPECT_THAT(mistyped.err, HasSubstr("unknown queue 'celrey' (did you mean 'celery'?)"));
  EXPECT_EQ(run({"purge", "-f", "-Q", "celery"}).out, "Purged 1 message from 1 known task queue.\n");
  EXPECT_EQ(run({"purge", "-f", "-Q", "celery,video", "-X", "video"}).out, "No messages purged from 1 queue\n");
  EXPECT_EQ(json({"purge", "-f", "-Q", "video"}), (Value{{"purged", 1}, {"queues", {{"video", 1}}}}));
}

TEST_F(Cli, PurgeAsksAndAnythingButYesIsNo) {
  ASSERT_EQ(run({"call", "tasks.add"}).code, 0);
  const Ended ended = run({"purge"});  // nobody there to answer
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.out, HasSubstr("WARNING: This will remove all tasks from queue: celery."));
  EXPECT_EQ(ended.err, "Aborted!\n");
  EXPECT_EQ(*json({"list", "queues"}).if_array()->at(0).find("ready"), Value(1));
}

TEST_F(Cli, AnUnknownIdIsPendingAndWaitingForItEnds) {
  ASSERT_EQ(run({"call", "tasks.add"}).code, 0);  // makes the database
  EXPECT_EQ(run({"result", "none", "--state"}).out, "PENDING\n");
  const Ended ended = run({"result", "none", "--timeout", "0.05"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("not ready after 0.05 s (state: PENDING)"));
}

TEST_F(Cli, CallTakesTheIdAndTellsIt) {
  EXPECT_EQ(json({"call", "tasks.add", "--task-id", "mine"}), (Value{{"id", "mine"}}));
}

TEST_F(Cli, NobodyOnlineIsExitCode69) {
  ASSERT_EQ(run({"call", "tasks.add"}).code, 0);  // makes the database
  const Ended ended = run({"status"});
  EXPECT_EQ(ended.code, 69);
  EXPECT_EQ(ended.err, "Error: No nodes replied within time constraint\n");
}

TEST_F(Cli, NoDeadLettersIsNoError) {
  ASSERT_EQ(run({"call", "tasks.add"}).code, 0);  // makes the database
  EXPECT_EQ(run({"dlq", "list"}).out, "No dead letters.\n");
  EXPECT_EQ(json({"dlq", "list"}), Value(Array{}));
  const Ended ended = run({"dlq", "show", "none"});
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err, HasSubstr("no dead letter has the key or task id 'none'"));
}

TEST_F(Cli, ReportHasCelerysHeadingsAndNoSecrets) {
  const Ended ended =
      run({"report", "-b", "redis://:hunter2@127.0.0.1:1/0", "--result-backend", "redis://:hunter2@127.0.0.1:1/1"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("software -> lovage:"), HasSubstr("platform -> "), HasSubstr("loader   -> "),
                               HasSubstr("settings -> transport:redis"), Not(HasSubstr("hunter2"))));
}

using Arguments = std::vector<std::string>;
class UnreachableBroker : public Cli, public testing::WithParamInterface<Arguments> {};

TEST_P(UnreachableBroker, IsOneLineWithTheUrlAndNoPasswordAndExitCode69) {
  const std::string address = "127.0.0.1:" + std::to_string(free_port());
  Arguments arguments{"-b", "redis://:hunter2@" + address + "/0"};
  arguments.insert(arguments.end(), GetParam().begin(), GetParam().end());
  const Ended ended = run(arguments, {"LOVAGE_BROKER_CONNECTION_TIMEOUT=1", "LOVAGE_TASK_PUBLISH_TIMEOUT=1"});
  EXPECT_EQ(ended.code, 69);
  EXPECT_THAT(ended.err, AllOf(StartsWith("Error: "), HasSubstr(address), Not(HasSubstr("hunter2"))));
  EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
}

INSTANTIATE_TEST_SUITE_P(Commands, UnreachableBroker,
                         testing::Values(Arguments{"call", "tasks.add"}, Arguments{"result", "x"},
                                         Arguments{"purge", "-f"}, Arguments{"status"}, Arguments{"list", "queues"},
                                         Arguments{"dlq", "list"}, Arguments{"audit"}, Arguments{"explain", "x"},
                                         Arguments{"sweep"}, Arguments{"handback"}));

class NoDatabase : public Cli, public testing::WithParamInterface<Arguments> {};

TEST_P(NoDatabase, IsAnErrorAndNoneIsMade) {
  const Ended ended = run(GetParam());
  EXPECT_EQ(ended.code, 69);
  const std::string path = std::filesystem::canonical(folder_.path()) / "lovage.db";
  EXPECT_THAT(ended.err, StartsWith("Error: there is no database '" + path + "': "));
  EXPECT_THAT(ended.out, IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

INSTANTIATE_TEST_SUITE_P(Commands, NoDatabase,
                         testing::Values(Arguments{"result", "x"}, Arguments{"purge", "-f"}, Arguments{"status"},
                                         Arguments{"list", "queues"}, Arguments{"dlq", "list"}, Arguments{"audit"},
                                         Arguments{"explain", "x"}, Arguments{"sweep", "--once"},
                                         Arguments{"handback"}));

TEST_F(Cli, WhatComesFromTheWireCannotSteerTheTerminal) {
  ASSERT_EQ(run({"call", "tasks.add", "--queue", "evil\x1b[2J"}).code, 0);
  EXPECT_THAT(run({"list", "queues"}).out, AllOf(HasSubstr(R"(evil\x1b[2J)"), Not(HasSubstr("\x1b"))));
}

TEST_F(Cli, ReportNamesTheDatabaseInFull) {
  const std::string path = std::filesystem::canonical(folder_.path()) / "lovage.db";
  EXPECT_THAT(run({"report"}).out, HasSubstr("results:sqlite:///" + path));
}

TEST_F(Cli, TheAppIsALibraryOrAProgram) {
  for (const std::string app : {LOVAGE_TEST_APP_LIBRARY, LOVAGE_TEST_APP_PROGRAM}) {
    const Ended ended = run({"-A", app, "report"});
    EXPECT_EQ(ended.code, 0) << ended.err;
    EXPECT_THAT(ended.out, HasSubstr("loader   -> " + app));
  }
}

TEST_F(Cli, AProgramIsItsOwnApp) {
  EXPECT_EQ(run_program(LOVAGE_TEST_APP_PROGRAM, {"report"}, {"CELERY_APP=./libother.so"}).code, 0);
  const Ended ended = run_program(LOVAGE_TEST_APP_PROGRAM, {"-A", LOVAGE_TEST_APP_LIBRARY, "report"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("an app of its own"));
}

}  // namespace
}  // namespace lovage::test
