#include "cli/parser.hpp"

#include <gmock/gmock.h>

#include <cstdlib>

#include <lovage/error.hpp>

namespace lovage::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

// An environment variable for the length of a test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

std::variant<Text, Parsed> parse_words(std::vector<std::string> words, bool app_from_environment = true) {
  return parse("lovage", std::move(words), app_from_environment);
}

Parsed command(std::vector<std::string> words) {
  return std::get<Parsed>(parse_words(std::move(words)));
}

std::string text(std::vector<std::string> words) {
  return std::get<Text>(parse_words(std::move(words))).text;
}

// The message of the ConfigError that these words make.
std::string refusal(std::vector<std::string> words) {
  try {
    parse_words(std::move(words));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Parser, NoCommandIsHelp) {
  EXPECT_THAT(text({}), HasSubstr("worker"));
  EXPECT_THAT(text({"--help"}), HasSubstr("dlq"));
  EXPECT_THAT(text({"list"}), HasSubstr("queues"));
  EXPECT_THAT(text({"worker", "--help"}), HasSubstr("--concurrency"));
}

TEST(Parser, VersionIsOneLine) {
  EXPECT_EQ(text({"--version"}), LOVAGE_VERSION " (lovage)\n");
}

TEST(Parser, GlobalOptionsStandBeforeAndAfterTheCommand) {
  for (const auto& words : {std::vector<std::string>{"-A", "x.so", "-b", "redis://h", "-q", "-C", "status"},
                            {"status", "-A", "x.so", "-b", "redis://h", "-q", "-C"},
                            {"--app=x.so", "status", "--broker=redis://h", "--quiet", "--no-color"}}) {
    const auto parsed = command(words);
    EXPECT_EQ(parsed.command->name, "status");
    EXPECT_EQ(parsed.globals.app, "x.so");
    EXPECT_EQ(parsed.globals.broker, "redis://h");
    EXPECT_TRUE(parsed.globals.quiet);
    EXPECT_TRUE(parsed.globals.no_color);
  }
}

TEST(Parser, NestedCommandsTakeGlobalOptionsToo) {
  EXPECT_EQ(command({"dlq", "list", "-b", "redis://h"}).globals.broker, "redis://h");
  EXPECT_EQ(command({"list", "queues", "-b", "redis://h"}).globals.broker, "redis://h");
}

TEST(Parser, ArgumentsMayBeNamedLikeCommands) {
  EXPECT_EQ(command({"call", "worker"}).command->name, "call");
}

TEST(Parser, SettingsFollowTwoDashes) {
  EXPECT_EQ(command({"worker", "-c", "2", "--", "task_acks_late=0", ".concurrency=1"}).command->name, "worker");
}

struct Refused {
  std::vector<std::string> words;
  std::string message;
};

class Refusals : public testing::TestWithParam<Refused> {};

TEST_P(Refusals, NameTheNearestKnownOne) {
  EXPECT_THAT(refusal(GetParam().words), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Unknown, Refusals,
                         testing::Values(Refused{{"wroker"}, "no such command 'wroker' (did you mean 'worker'?)"},
                                         Refused{{"wroker", "-c", "4"}, "no such command 'wroker'"},
                                         Refused{{"dlq", "lst"}, "no such command 'dlq lst' (did you mean 'list'?)"},
                                         Refused{{"list", "qeues"}, "(did you mean 'queues'?)"},
                                         Refused{{"worker", "--concurency=4"},
                                                 "no such option: --concurency (did you mean '--concurrency'?)"},
                                         Refused{{"status", "--brokr", "x"}, "(did you mean '--broker'?)"},
                                         Refused{{"call", "--zzzzzzzz"}, "no such option: --zzzzzzzz"},
                                         Refused{{"status", "extra"}, "unexpected argument 'extra'"}));

INSTANTIATE_TEST_SUITE_P(NotYet, Refusals,
                         testing::Values(Refused{{"beat"}, "beat is not there yet"},
                                         Refused{{"inspect", "ping"}, "is not there yet"},
                                         Refused{{"worker", "-E"}, "-E/--task-events/--events is not there yet"},
                                         Refused{{"worker", "--autoscale=4,1"}, "--autoscale is not there yet"},
                                         Refused{{"worker", "-B"}, "-B/--beat is not there yet"},
                                         Refused{{"worker", "-D"}, "-D/--detach is not there yet"}));

INSTANTIATE_TEST_SUITE_P(BadValues, Refusals,
                         testing::Values(Refused{{"call", "x", "--priority", "many"}, "--priority"},
                                         Refused{{"call", "x", "--countdown"}, "--countdown"},
                                         Refused{{"status", "-t", "-3"}, "--timeout"}));

TEST(Environment, GivesGlobalOptions) {
  const Variable app("CELERY_APP", "from_environment.so");
  const Variable broker("BROKER_URL", "redis://environment");
  EXPECT_EQ(command({"status"}).globals.app, "from_environment.so");
  EXPECT_EQ(command({"status"}).globals.broker, "redis://environment");
  EXPECT_EQ(command({"-A", "given.so", "status"}).globals.app, "given.so");
}

TEST(Environment, DoesNotReplaceTheAppOfAProgram) {
  const Variable app("CELERY_APP", "other.so");
  EXPECT_EQ(std::get<Parsed>(parse_words({"status"}, false)).globals.app, "");
}

TEST(Environment, NoColorCountsWithAnyValue) {
  const Variable variable("NO_COLOR", "foo");
  EXPECT_TRUE(command({"status"}).globals.no_color);
}

TEST(Environment, GivesOptionsOfCommands) {
  const Variable variable("CELERY_STATUS_TIMEOUT", "not a number");
  EXPECT_THAT(refusal({"status"}), HasSubstr("CELERY_STATUS_TIMEOUT"));
  EXPECT_EQ(refusal({"status", "-t", "1"}), "accepted");
  EXPECT_EQ(refusal({"report"}), "accepted");
}

TEST(Environment, OptionsThatAreNotThereYetAreRefusedHereToo) {
  const Variable variable("CELERY_WORKER_AUTOSCALE", "4,1");
  EXPECT_THAT(refusal({"worker"}), HasSubstr("CELERY_WORKER_AUTOSCALE: --autoscale is not there yet"));
  EXPECT_THAT(refusal({"status"}), Not(HasSubstr("AUTOSCALE")));
}

}  // namespace
}  // namespace lovage::cli
