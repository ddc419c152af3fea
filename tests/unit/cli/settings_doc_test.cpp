// docs/settings.md is written from the table of settings. After a change to the table:
//   LOVAGE_WRITE_DOCS=1 build/bin/cli_unit_test --gtest_filter='SettingsDoc.*'
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "app/settings.hpp"

namespace lovage::cli {
namespace {

constexpr const char* kIntroduction = R"(# Settings

Names and meanings are Celery's, where Celery has the setting. They come from four places; later ones win:

1. a TOML file, its top-level keys settings: `app.config_from_file("shop.toml")`, or `lovage --config shop.toml`
2. the environment: `CELERY_BROKER_URL`, `CELERY_RESULT_BACKEND`, and `LOVAGE_<SETTING>` for every setting
   (`LOVAGE_TASK_ACKS_LATE=false`)
3. code: `app.config().task_acks_late = false`
4. the command line: `-b`, `--result-backend`, `--config`, the worker's options, and `lovage worker -- task_acks_late=0`

A `LOVAGE_` variable that is near a setting's name is an error; any other one that is no setting is named once, as a
warning. Relative paths of SQLite files start where the app was made, or at `--workdir`.

Durations are numbers of seconds. An unknown name, or a value of the wrong type, is an error that names the nearest
known one. `lovage report` prints what differs from the defaults, passwords hidden.

| Setting | Type | Default | Meaning |
|---|---|---|---|
)";

constexpr const char* kClosing = R"(
## Large messages

A message's body over `task_compression_threshold` is compressed with zlib, where that makes it smaller: every Celery
reads it. What names a compression (`task_compression`, a task's, a call's) gets that one, whatever its size; name zstd
where all consumers have it, and `none` in a call where it is not worth the time.

What is over `task_message_max_bytes`, counted before compression because its receiver has to hold all of it, is refused:
a send throws `lovage::MessageTooLarge`, a task whose result or callback is too large fails with an `EncodeError`, and a
worker moves such a message to the dead letters. Each says the size, the limit and this setting. Keep large data in a file
or an object store, and send its name.

Results are never compressed: Celery's result backends cannot read that.
)";

std::string_view type_name(app::SettingType type) {
  switch (type) {
    case app::SettingType::text:
      return "text";
    case app::SettingType::boolean:
      return "true or false";
    case app::SettingType::integer:
      return "number";
    case app::SettingType::duration:
      return "seconds";
    case app::SettingType::list:
      return "list";
    case app::SettingType::table:
      return "table";
  }
  return "";
}

std::string generated() {
  const Config defaults;
  std::string out = kIntroduction;
  for (const auto& setting : app::settings()) {
    out += "| `" + std::string(setting.name) + "` | " + std::string(type_name(setting.type)) + " | `" +
           to_json(setting.read(defaults)) + "` | " + std::string(setting.help) + " |\n";
  }
  return out + kClosing;
}

TEST(SettingsDoc, IsWhatTheTableSays) {
  const std::string path = LOVAGE_SOURCE_DIR "/docs/settings.md";
  if (std::getenv("LOVAGE_WRITE_DOCS") != nullptr) std::ofstream(path) << generated();
  std::ostringstream stored;
  stored << std::ifstream(path).rdbuf();
  EXPECT_EQ(stored.str(), generated()) << "see the top of this test";
}

}  // namespace
}  // namespace lovage::cli
