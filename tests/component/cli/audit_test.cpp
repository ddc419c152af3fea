// audit, explain, sweep, handback and dlq retry, by running the real program on stores that are in a known state.
#include <gmock/gmock.h>

#include <fstream>

#include <lovage/lovage.hpp>

#include "support/program.hpp"
#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"

namespace lovage::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class Operations : public testing::Test {
 protected:
  [[nodiscard]] virtual std::string broker() const { return "sqlite:///lovage.db"; }
  [[nodiscard]] Ended run(std::vector<std::string> arguments) const {
    const std::string url = broker();
    arguments.insert(arguments.begin(), {"--workdir", folder_.path().string(), "-b", url, "--result-backend", url});
    return run_program(LOVAGE_PROGRAM, arguments, {"LOVAGE_WORKER_LEASE=2"});
  }
  [[nodiscard]] Value json(std::vector<std::string> arguments, int code = 0) const {
    arguments.emplace_back("--json");
    const Ended ended = run(std::move(arguments));
    EXPECT_EQ(ended.code, code) << ended.out << ended.err;
    return from_json(ended.out);
  }
  void send(const std::string& id, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"call", "tasks.add", "--task-id", id});
    const Ended sent = run(std::move(more));
    ASSERT_EQ(sent.code, 0) << sent.err;
  }
  [[nodiscard]] std::string file_of(const std::string& ids) const {
    const auto path = folder_.path() / "ids";
    std::ofstream(path) << ids;
    return path.string();
  }
  static std::string text(const Value& value, const char* name) {
    const Value* const found = value.find(name);
    const std::string* const text = found == nullptr ? nullptr : found->if_string();
    return text == nullptr ? "" : *text;
  }
  static std::vector<std::string> kinds(const Value& audit) {
    std::vector<std::string> kinds;
    for (const auto& problem : *audit.find("problems")->if_array()) kinds.push_back(text(problem, "kind"));
    return kinds;
  }
  TempDir folder_;
};

TEST_F(Operations, AuditAccountsForEveryIdThatIsExpected) {
  send("one");
  send("two", {"--queue", "video"});
  const Ended whole = run({"audit", "--ids-from", file_of("one\n\n two \n")});
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_THAT(whole.out, AllOf(StartsWith("Place   Queue"), HasSubstr("queued  video"),
                               HasSubstr("Every one of 2 ids is accounted for.")));
  const Ended lost = run({"audit", "--ids-from", file_of("one\nnever\n")});
  EXPECT_EQ(lost.code, 1);
  EXPECT_THAT(lost.out, AllOf(HasSubstr("unexplained  never  no message and no result"), Not(HasSubstr("Every"))));
  const Value listed = json({"audit", "--ids"});
  EXPECT_EQ(text(*listed.find("ids")->find("two"), "where"), "video");
  EXPECT_THAT(kinds(listed), IsEmpty());
}

TEST_F(Operations, AuditFindsOneIdInTwoPlaces) {
  send("twin");
  send("twin", {"--queue", "video"});
  const Value audit = json({"audit"}, 1);
  EXPECT_THAT(kinds(audit), testing::ElementsAre("two places"));
  EXPECT_THAT(text(audit.find("problems")->if_array()->at(0), "detail"),
              AllOf(HasSubstr("queued in 'celery'"), HasSubstr("queued in 'video'")));
}

TEST_F(Operations, AuditOfAnIdsFileThatIsNotThereSaysSo) {
  send("one");
  const Ended ended = run({"audit", "--ids-from", "none"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, HasSubstr("cannot read 'none'"));
  const Ended crowded = run({"audit", "--ids-from", file_of("one\none two\n")});
  EXPECT_EQ(crowded.code, 2);
  EXPECT_THAT(crowded.err, HasSubstr("'one two' is not one id; it holds one a line"));
}

TEST_F(Operations, ExplainSaysWhereATaskWaitsAndWhetherAnybodyServesIt) {
  send("first");
  send("second");
  const Ended second = run({"explain", "second"});
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(second.out,
            "second (tasks.add) waits in the queue 'celery' behind about 1 message; no live Lovage worker takes from "
            "it: lovage worker -Q celery would.\n");
  EXPECT_EQ(*json({"explain", "first"}).find("ahead"), Value(0));
  send("later", {"--eta", "2100-01-01T00:00:00Z"});
  EXPECT_THAT(run({"explain", "later"}).out,
              HasSubstr("behind about 2 messages; it runs at 2100-01-01T00:00:00Z at the earliest, its eta; no live"));
  EXPECT_EQ(text(json({"explain", "later"}), "eta"), "2100-01-01T00:00:00Z");
  const Ended unknown = run({"explain", "none"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.out, StartsWith("none is unknown here: "));
}

// Stores of Redis, put by hand into the state that a killed worker leaves.
class RedisOperations : public Operations {
 protected:
  [[nodiscard]] std::string broker() const override { return server_.url(); }
  // Takes the message out of its queue.
  std::string taken(const std::string& id) {
    send(id);
    return server_.command({"RPOP", "celery"}).text;
  }
  void hold(const std::string& incarnation, const std::string& message) {
    server_.command({"HSET", "lovage:1:reserved:" + incarnation, "1:celery", message});
  }
  void register_dead(const std::string& incarnation) {
    server_.command({"HSET", "lovage:1:incarnations", incarnation, "7"});
    server_.command({"HSET", "lovage:1:about:" + incarnation, "node_name", "celery@gone", "list:celery", ""});
    server_.command({"SADD", "lovage:1:lists", "celery"});
  }
  void schedule(const std::string& message) {
    server_.command({"SADD", "lovage:1:lists", "celery"});
    server_.command({"ZADD", "lovage:1:schedule:celery", "99999999999999", "t1\n" + message});
  }
  std::string bury(const std::string& id, const std::string& message) {
    return server_
        .command({"XADD", "lovage:1:dead", "*", "queue", "celery", "step", "0", "id", id, "task", "tasks.add", "reason",
                  "poison", "detail", "signal 11", "message", message})
        .text;
  }
  RedisServer server_;
};

TEST_F(RedisOperations, AuditFindsWhatNobodyGivesBackAndWhatNobodyCanRead) {
  hold("nobody", taken("held"));
  server_.command({"RPUSH", "lovage:1:inbox:nobody:celery", taken("brought")});
  server_.command({"LPUSH", "celery", "no message"});
  const Value audit = json({"audit"}, 1);
  EXPECT_THAT(kinds(audit), testing::UnorderedElementsAre("unreadable", "held by nobody", "held by nobody"));
  EXPECT_THAT(run({"explain", "held"}).out, HasSubstr("nobody, which is not registered"));
}

TEST_F(RedisOperations, AuditTellsWhoHoldsWhatIsScheduledAndWhatIsDead) {
  register_dead("dead");
  hold("dead", taken("held"));
  schedule(taken("later"));
  bury("buried", taken("buried"));
  send("waiting");
  const Ended ended = run({"audit", "--ids-from", file_of("held\nlater\nburied\nwaiting\n")});
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("reserved"), HasSubstr("by celery@gone, which gives no sign of life"),
                               HasSubstr("delayed"), HasSubstr("poison"), HasSubstr("queued")));
  EXPECT_THAT(run({"explain", "held"}).out, HasSubstr("is held by celery@gone, which gives no sign of life"));
  EXPECT_THAT(run({"explain", "later"}).out, HasSubstr("is scheduled for "));
  EXPECT_THAT(run({"explain", "buried"}).out, HasSubstr("poison (signal 11)"));
}

TEST_F(RedisOperations, AMessageWhoseResultIsReadyIsInTwoPlaces) {
  send("done");
  server_.command({"SET", "celery-task-meta-done", R"({"status": "SUCCESS", "result": 5, "task_id": "done"})"});
  EXPECT_THAT(kinds(json({"audit"}, 1)), testing::ElementsAre("two places"));
  server_.command({"DEL", "celery"});
  EXPECT_THAT(kinds(json({"audit", "--ids-from", file_of("done\n")})), IsEmpty());
  EXPECT_THAT(run({"explain", "done"}).out, StartsWith("done is done: SUCCESS"));
}

TEST_F(RedisOperations, SweepGivesBackWhatTheDeadHeldAndMovesWhatIsDue) {
  register_dead("dead");
  hold("dead", taken("held"));
  server_.command({"ZADD", "lovage:1:schedule:celery", "1", "t1\n" + taken("due")});
  const Value swept = json({"sweep", "--once"});
  EXPECT_EQ(*swept.find("given_back"), Value(1));
  EXPECT_EQ(*swept.find("moved"), Value(1));
  EXPECT_EQ(server_.command({"LLEN", "celery"}).integer, 2);
  EXPECT_EQ(run({"sweep", "--once"}).out, "Nothing to give back.\n");
}

TEST_F(RedisOperations, HandbackLeavesNothingToLovageAlone) {
  register_dead("dead");
  hold("dead", taken("held"));
  schedule(taken("later"));
  const Ended ended = run({"handback"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out,
              AllOf(HasSubstr("Gave 1 message of celery@gone back"),
                    HasSubstr("Handed 2 messages back to the queues: 1 from dead workers, 1 from schedules.")));
  EXPECT_EQ(server_.command({"LLEN", "celery"}).integer, 2);
  EXPECT_THAT(kinds(json({"audit", "--ids-from", file_of("held\nlater\n")})), IsEmpty());
}

// Workflows of this test's own: add, then "second"; and a chord of two with "body" behind it, whose result "after"
// takes.
class RedisWorkflows : public RedisOperations {
 protected:
  RedisWorkflows() {
    Config config;
    config.broker_url = config.result_backend = broker();
    App app("flows", config);
    const auto add = app.signature("tasks.add", Array{1});
    const auto named = [&](const std::string& id) {
      auto signature = add;
      signature.set({.task_id = id});
      return signature;
    };
    chain(std::vector<Signature>{named("first"), named("second")}).delay();
    const auto header = group(std::vector<Signature>{named("left"), named("right")});
    const auto joined = chain(std::vector<Signature>{chord(header, named("body")), named("after")}).delay();
    chord_ = parent_group(joined.parent().value()).value().id();
  }
  [[nodiscard]] std::string ids() const { return file_of("first\nsecond\nleft\nright\nbody\nafter\n"); }
  std::string chord_;
};

TEST_F(RedisWorkflows, AuditAndExplainSayOfATaskWhatItWaitsFor) {
  const Ended audit = run({"audit", "--ids-from", ids()});
  EXPECT_EQ(audit.code, 0) << audit.out << audit.err;
  EXPECT_THAT(audit.out, AllOf(HasSubstr("for the task before it"), HasSubstr("for its chord")));
  EXPECT_EQ(run({"explain", "second"}).out, "second waits for the task before it: first, queued in 'celery'.\n");
  for (const std::string id : {"body", "after"}) {
    const std::string line = run({"explain", id}).out;
    EXPECT_THAT(line, StartsWith(id + " waits for the chord " + chord_ + ": 2 header tasks not done, such as "));
    const Value facts = json({"explain", id});
    EXPECT_EQ(text(facts, "chord"), chord_);
    EXPECT_EQ(*facts.find("left"), Value(2));
  }
}

TEST_F(RedisOperations, StepsThatAreStoredOnceAreKnown) {
  Config config;
  config.broker_url = config.result_backend = broker();
  config.task_queues = {{.name = "celery", .lovage_only = true}};
  App app("flows", config);
  std::vector<Signature> steps;
  std::string ids;
  for (int i = 0; i < 30; ++i) {
    const std::string id = "step-" + std::to_string(i);
    ids += id + "\n";
    steps.push_back(app.signature("tasks.add", Array{1}).set({.task_id = id}));
  }
  chain(steps).delay();
  const Ended audit = run({"audit", "--ids-from", file_of(ids)});
  EXPECT_EQ(audit.code, 0) << audit.out << audit.err;
  EXPECT_EQ(run({"explain", "step-15"}).out, "step-15 waits for the task before it: step-0, queued in 'celery'.\n");
}

TEST_F(RedisWorkflows, ContinuationsAreNamedAndStayWhenTheRestGoesBack) {
  server_.command({"DEL", "celery"});
  const std::string join = R"(["join-1", {"group_id": "g", "body": {"task": "tasks.add", "args": [], "kwargs": {}, )"
                           R"("options": {"task_id": "body"}}, "root_id": "r", "parent_id": "p"}])";
  server_.command({"RPUSH", "lovage:1:continuations", "celery\n" + join});
  EXPECT_THAT(run({"audit", "--ids-from", file_of("body\n")}).out, HasSubstr("for a continuation"));
  EXPECT_EQ(run({"explain", "body"}).out,
            "body is sent next: a continuation of its workflow waits for a worker that serves 'celery'.\n");
  EXPECT_THAT(run({"handback"}).out, HasSubstr("1 continuation of workflows stays: no Python worker can"));
  EXPECT_EQ(*json({"handback"}).find("continuations"), Value(1));
  EXPECT_EQ(server_.command({"LLEN", "lovage:1:continuations"}).integer, 1);
  register_dead("dead");
  hold("dead", "\x01" + join);
  EXPECT_THAT(run({"explain", "body"}).out, HasSubstr("a continuation of its workflow "));
}

TEST_F(RedisOperations, ADeadLetterIsSentAgainAsANewTaskWithItsHistory) {
  bury("old", taken("old"));
  const Value retried = json({"dlq", "retry", "old"});
  const std::string id = text(retried.find("sent")->if_array()->at(0), "id");
  EXPECT_NE(id, "old");
  EXPECT_THAT(id, SizeIs(36));
  const std::string again = server_.command({"RPOP", "celery"}).text;
  EXPECT_THAT(again, HasSubstr(id));
  bury(id, again);
  EXPECT_THAT(run({"dlq", "show", id}).out, AllOf(HasSubstr("before:"), HasSubstr("poison, as old")));

  const std::string key = bury("same", taken("same"));
  EXPECT_EQ(text(json({"dlq", "retry", "--same-id", key}).find("sent")->if_array()->at(0), "id"), "same");
  server_.command({"SET", "celery-task-meta-same", R"({"status": "FAILURE", "task_id": "same"})"});
  EXPECT_THAT(kinds(json({"audit", "--ids-from", file_of("same\n")})), IsEmpty())
      << "its earlier failure stands beside it, as asked for";
}

// What `lovage status` says on stderr of a server with these settings.
std::string warnings_of(const std::vector<std::string>& arguments) {
  RedisServer server({.arguments = arguments});
  return run_program(LOVAGE_PROGRAM, {"-b", server.url(), "status"}).err;
}

TEST(ServerSettings, ThatLoseDataAreSaidLoudly) {
  const std::string kept = warnings_of({"--appendonly", "yes", "--maxmemory-policy", "noeviction"});
  EXPECT_THAT(kept, Not(HasSubstr("Warning")));
  EXPECT_THAT(warnings_of({"--appendonly", "yes", "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"}),
              HasSubstr("Warning: MESSAGES CAN BE LOST: maxmemory-policy is allkeys-lru: when its memory is full"));
  EXPECT_THAT(warnings_of({"--appendonly", "yes", "--maxmemory-policy", "volatile-lru"}),
              HasSubstr("Warning: RESULTS CAN BE LOST: maxmemory-policy is volatile-lru: once it has a maxmemory"));
  EXPECT_THAT(warnings_of({"--appendonly", "no", "--save", ""}), HasSubstr("keeps nothing on disk"));
  EXPECT_THAT(warnings_of({"--appendonly", "no", "--save", "", "--rename-command", "CONFIG", ""}),
              AllOf(HasSubstr("Set appendonly"), Not(HasSubstr("cannot use the broker"))));
}

}  // namespace
}  // namespace lovage::test
