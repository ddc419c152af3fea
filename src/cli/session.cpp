#include "cli/session.hpp"

#include <chrono>
#include <filesystem>

#include <lovage/app.hpp>
#include <lovage/error.hpp>

#include "app/settings.hpp"
#include "cli/app_target.hpp"
#include "engines/engines.hpp"

namespace lovage::cli {
namespace {

// Looking at a store must not make one.
void expect_database(const std::string& url, const app::Core& core) {
  const auto path = engines::missing_database(url, core.folder());
  if (!path) return;
  raise({Errc::unavailable, "there is no database '" + *path +
                                "': the first worker or sender makes it; name another with -b URL, or its folder with "
                                "--workdir"});
}

}  // namespace

Session::Session(Globals globals, App* own, std::string command)
    : globals_(std::move(globals)), command_(std::move(command)), app_(own) {}

Session::~Session() = default;

void Session::load() {
  if (app_ == nullptr && !globals_.app.empty()) {
    app_ = &load_app(find_app(globals_.app, std::filesystem::current_path(), command_).path);
  } else if (app_ == nullptr) {
    made_ = std::make_unique<App>("lovage");
    app_ = made_.get();
  }
  // Where --workdir led, or the fork server of a worker was started.
  if (!globals_.workdir.empty() || globals_.fork_server) app_->core().set_folder(std::filesystem::current_path());
  app_->core().check_config();
  if (!globals_.config.empty()) app_->config_from_file(globals_.config);
  if (!globals_.broker.empty()) app_->set("broker_url", globals_.broker);
  if (!globals_.result_backend.empty()) app_->set("result_backend", globals_.result_backend);
  loaded_ = true;
}

App& Session::app() {
  if (!loaded_) load();
  return *app_;
}

app::Core& Session::core() {
  return app().core();
}

void Session::apply(const Override& setting) {
  Config& config = core().config();
  if (setting.typed) {
    app::apply_setting(config, setting.setting, setting.value);
  } else {
    app::apply_setting_text(config, setting.setting, *setting.value.if_string());
  }
}

broker::Broker& Session::broker() {
  expect_database(engines::broker_url_of(core().config()), core());
  broker::Broker& broker = core().broker();
  const auto timeout = core().config().broker_connection_timeout;
  auto report = broker.check(Deadline::after(timeout));
  if (!report) {
    raise({report.error().code, "cannot use the broker " + broker.display_url() + ": " + report.error().message});
  }
  warnings_ = std::move(report->warnings);
  if (!report->refusal.empty()) warnings_.insert(warnings_.begin(), std::move(report->refusal));
  return broker;
}

backend::Backend& Session::backend(Database database) {
  if (database == Database::must_exist) expect_database(engines::backend_url_of(core().config()), core());
  backend::Backend* const backend = core().backend();
  if (backend == nullptr) throw ConfigError("there is no result backend: result_backend is 'disabled://'");
  const auto timeout = core().config().broker_connection_timeout;
  if (const auto reached = backend->check(Deadline::after(timeout)); !reached) {
    raise({reached.error().code,
           "cannot use the result backend " + backend->display_url() + ": " + reached.error().message});
  }
  return *backend;
}

Deadline management_deadline() {
  constexpr std::chrono::seconds kLimit{60};
  return Deadline::after(kLimit);
}

}  // namespace lovage::cli
