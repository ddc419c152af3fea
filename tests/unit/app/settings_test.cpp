// Settings by name: from values, text, the environment and TOML files.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <lovage/error.hpp>

#include "app/settings.hpp"
#include "base/logging.hpp"

namespace lovage::app {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

// A file of this test's own, removed at its end.
class TomlFile {
 public:
  explicit TomlFile(std::string_view text) {
    std::string folder = (std::filesystem::temp_directory_path() / "lovage-settings-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = folder;
    path_ = folder + "/celery.toml";
    std::ofstream(path_) << text;
  }
  ~TomlFile() { std::filesystem::remove_all(folder_); }
  TomlFile(const TomlFile&) = delete;
  TomlFile& operator=(const TomlFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string folder_;
  std::string path_;
};

TEST(Settings, EveryRowReadsBackWhatItShows) {
  std::set<std::string_view> names;
  for (const auto& setting : settings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name << " is there twice";
    EXPECT_FALSE(setting.help.empty()) << setting.name;
    const Config defaults;
    Config config;
    setting.apply(config, setting.read(defaults));
    EXPECT_EQ(setting.read(config), setting.read(defaults)) << setting.name;
  }
  EXPECT_EQ(names.size(), settings().size());
}

TEST(Settings, ApplyByName) {
  Config config;
  apply_setting(config, "task_acks_late", false);
  apply_setting(config, "task_time_limit", 2.5);
  apply_setting(config, "result_expires", nullptr);
  apply_setting(config, "task_publish_retry_policy", Object{{"max_retries", nullptr}, {"interval_max", 0.5}});
  apply_setting(config, "json_types", 5.2);
  EXPECT_FALSE(config.task_acks_late);
  EXPECT_EQ(config.task_time_limit, 2500ms);
  EXPECT_EQ(config.result_expires, 0s);
  EXPECT_EQ(config.task_publish_retry_policy.max_retries, -1);
  EXPECT_EQ(config.task_publish_retry_policy.interval_max, 500ms);
  EXPECT_EQ(config.json_types, "5.2");
}

TEST(Settings, UnknownNamesAreErrorsThatNameTheNearest) {
  Config config;
  EXPECT_THAT([&] { apply_setting(config, "task_ack_late", true); },
              ThrowsMessage<ConfigError>("unknown setting 'task_ack_late' (did you mean 'task_acks_late'?)"));
  EXPECT_THAT([&] { apply_setting(config, "BROKER_URL", "redis://"); },
              ThrowsMessage<ConfigError>("unknown setting 'BROKER_URL' (did you mean 'broker_url'?)"));
  EXPECT_THAT([&] { apply_setting(config, "worker_pool", "treads"); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("worker_pool: "), HasSubstr("did you mean 'threads'?"))));
}

TEST(Settings, RefuseValuesOfTheWrongTypeOrRange) {
  Config config;
  const auto refuse = [&](std::string_view name, const Value& value, const std::string& reason) {
    EXPECT_THAT([&] { apply_setting(config, name, value); },
                ThrowsMessage<ConfigError>(std::string(name) + ": " + reason));
  };
  refuse("task_acks_late", "maybe", "must be true or false, not 'maybe'");
  refuse("worker_concurrency", -1, "must be at least 0, not -1");
  refuse("worker_concurrency", std::int64_t{1} << 40,
         "must be a number from -2147483648 to 2147483647, not 1099511627776");
  refuse("task_publish_timeout", -1, "must be a number of seconds, not negative, not -1");
  refuse("result_expires", 0.5, "must be whole seconds, not 0.5");
  refuse("broker_url", 5, "must be text, not 5");
  refuse("task_queues", "celery", "must be a list of queues, not 'celery'");
  EXPECT_EQ(changed_settings(config), Object()) << "a refused value changes nothing";
}

TEST(Settings, ReadText) {
  Config config;
  apply_setting_text(config, "worker_concurrency", "8");
  apply_setting_text(config, "task_acks_late", "off");
  apply_setting_text(config, "task_publish_timeout", "0.25");
  apply_setting_text(config, "accept_content", "json, msgpack");
  apply_setting_text(config, "task_routes", R"({"tasks.io.*": {"queue": "io"}, "tasks.*": "other"})");
  apply_setting_text(config, "task_default_queue", "12");
  EXPECT_EQ(config.worker_concurrency, 8);
  EXPECT_FALSE(config.task_acks_late);
  EXPECT_EQ(config.task_publish_timeout, 250ms);
  EXPECT_THAT(config.accept_content, testing::ElementsAre("json", "msgpack"));
  ASSERT_EQ(config.task_routes.size(), 2U);
  EXPECT_EQ(config.task_routes[0].first, "tasks.io.*");
  EXPECT_EQ(config.task_routes[1].second.queue, "other");
  EXPECT_EQ(config.task_default_queue, "12");
  EXPECT_THAT([&] { apply_setting_text(config, "worker_concurrency", "8 cores"); },
              ThrowsMessage<ConfigError>("worker_concurrency: must be a whole number, not '8 cores'"));
  EXPECT_THROW(apply_setting_text(config, "task_routes", "{nonsense"), ConfigError);
}

TEST(Settings, EnvironmentTakesCelerysNamesAndOurs) {
  Config config;
  const std::vector<std::string> environment{
      "LOVAGE_BROKER_URL=redis://b/1", "CELERY_BROKER_URL=redis://a/0", "CELERY_RESULT_BACKEND=redis://c/2",
      "LOVAGE_WORKER_CONCURRENCY=3",   "LOVAGE_HOME=/opt/shop",         "PATH=/bin"};
  apply_environment(config, environment);
  EXPECT_EQ(config.broker_url, "redis://b/1");
  EXPECT_EQ(config.result_backend, "redis://c/2");
  EXPECT_EQ(config.worker_concurrency, 3);
  EXPECT_THAT(
      [&] { apply_environment(config, std::vector<std::string>{"LOVAGE_WORKER_CONCURENCY=3"}); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("LOVAGE_WORKER_CONCURENCY"), HasSubstr("'worker_concurrency'"))));
}

TEST(Settings, VariablesThatAreNoSettingsAreNamedOnce) {
  const auto said = [] {
    const auto lines = log::recent_lines();
    return std::count_if(lines.begin(), lines.end(),
                         [](const auto& line) { return line.find("LOVAGE_ZZ_QUUX") != std::string::npos; });
  };
  Config config;
  for (int i = 0; i < 2; ++i) {
    apply_environment(config, std::vector<std::string>{"LOVAGE_ZZ_QUUX=1", "CELERY_ZZ_QUUX2=1",
                                                       "LOVAGE_KILL_POINT=", "LOVAGE_TEST_KILL_SECONDS=5"});
  }
  EXPECT_EQ(said(), 1);
  EXPECT_NE(log::recent_lines().back().find("LOVAGE_ZZ_QUUX"), std::string::npos) << "not of what is for tests";
}

TEST(Settings, TomlFile) {
  const TomlFile file(R"(
broker_url = "redis://localhost/0"
task_time_limit = 30
task_queues = [{name = "io"}, {name = "topics", exchange = "tex", exchange_type = "topic", routing_key = "a.#"}, "plain"]
task_routes = { "tasks.io.*" = {queue = "io", priority = 3}, "a.*" = "plain" }
[broker_transport_options]
global_keyprefix = "shop:"
)");
  Config config;
  apply_toml_file(config, file.path());
  EXPECT_EQ(config.broker_url, "redis://localhost/0");
  EXPECT_EQ(config.task_time_limit, 30s);
  ASSERT_EQ(config.task_queues.size(), 3U);
  EXPECT_EQ(config.task_queues[1].exchange_type, "topic");
  EXPECT_EQ(config.task_queues[2].name, "plain");
  ASSERT_EQ(config.task_routes.size(), 2U);
  EXPECT_EQ(config.task_routes[0].first, "tasks.io.*") << "routes keep the order of the file";
  EXPECT_EQ(config.task_routes[0].second.priority, 3);
  EXPECT_EQ(config.broker_transport_options.at("global_keyprefix"), Value("shop:"));
}

TEST(Settings, TomlErrorsNameFileLineAndKeyAndComeTogether) {
  const TomlFile file("broker_url = 'x://'\ntask_acks_lat = true\nworker_concurrency = 'many'\n");
  Config config;
  EXPECT_THAT([&] { apply_toml_file(config, file.path()); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr(file.path() + ":2: unknown setting 'task_acks_lat'"),
                                               HasSubstr(file.path() + ":3: worker_concurrency: must be"))));
  EXPECT_EQ(config.broker_url, "") << "a file with errors changes nothing";
  const TomlFile broken("broker_url = \n");
  EXPECT_THAT([&] { apply_toml_file(config, broken.path()); },
              ThrowsMessage<ConfigError>(HasSubstr(broken.path() + ":1: ")));
  EXPECT_THAT([&] { apply_toml_file(config, "/nowhere/celery.toml"); },
              ThrowsMessage<ConfigError>(HasSubstr("/nowhere/celery.toml")));
}

TEST(Settings, ListingsHideSecrets) {
  Config config;
  config.broker_url = "redis://user:hush@host/0";
  config.broker_transport_options = {{"sentinel_kwargs", Object{{"password", "hush"}}}, {"global_keyprefix", "a"}};
  const auto text = to_json(changed_settings(config));
  EXPECT_THAT(text, Not(HasSubstr("hush")));
  EXPECT_THAT(text, AllOf(HasSubstr("global_keyprefix"), HasSubstr("redis://user:")));
}

}  // namespace
}  // namespace lovage::app
