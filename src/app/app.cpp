#include <lovage/app.hpp>

#include "app/core.hpp"
#include "app/eager.hpp"
#include "app/invoke.hpp"
#include "app/producer.hpp"
#include "app/result_node.hpp"
#include "app/settings.hpp"

namespace lovage {
namespace {

// How many messages of send_many are made before those that are ready leave.
constexpr std::size_t kSendStep = 64;

std::exception_ptr to_exception(const Failure& failure, const std::string& id) {
  try {
    raise(failure, id);
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

App::App(std::string name) : core_(std::make_shared<app::Core>(std::move(name), Config{})), reads_environment_(true) {
  try {
    config_from_environment();
  } catch (const ConfigError& error) {
    core_->set_config_problem(error.what());
  }
}

App::App(std::string name, Config config) : core_(std::make_shared<app::Core>(std::move(name), std::move(config))) {}

App::~App() = default;

const std::string& App::name() const noexcept {
  return core_->name();
}
Config& App::config() noexcept {
  return core_->config();
}
const Config& App::config() const noexcept {
  return core_->config();
}

void App::set(std::string_view setting, const Value& value) {
  app::apply_setting(core_->config(), setting, value);
}

void App::config_from_file(const std::string& path) {
  app::apply_toml_file(core_->config(), path);
  if (reads_environment_) config_from_environment();
}

void App::config_from_environment() {
  reads_environment_ = true;
  app::apply_environment(core_->config(), app::process_environment());
  core_->set_config_problem({});
}

Signature App::signature(std::string task, Array args, Object kwargs) const {
  return {core_, std::move(task), std::move(args), std::move(kwargs)};
}

AsyncResult<> App::send_task(std::string task, Array args, Object kwargs, const ApplyOptions& options) const {
  return signature(std::move(task), std::move(args), std::move(kwargs)).apply_async(options);
}

std::vector<SendOutcome> App::send_many(std::span<const Signature> calls,
                                        std::optional<std::chrono::milliseconds> timeout) const {
  core_->check_config();
  std::vector<SendOutcome> outcomes;
  app::Outgoing outgoing;
  std::vector<std::size_t> places;
  outcomes.reserve(calls.size());
  outgoing.messages.reserve(calls.size());
  const auto lineage = app::current_lineage();
  app::Sending sending(*core_, {.timeout = timeout});
  // A router of the program's own may throw anything: then nothing may have been sent.
  const std::size_t step = config().task_router ? calls.size() : kSendStep;
  for (const auto& call : calls) {
    try {
      if (config().task_always_eager) {
        outcomes.push_back({call.apply()});
        continue;
      }
      outcomes.push_back({result(outgoing.add(*core_, app::call_of(call), lineage).id)});
      places.push_back(outcomes.size() - 1);
    } catch (const Error&) {
      outcomes.push_back({result({}), std::current_exception()});
      continue;
    }
    if (outgoing.messages.size() % step == 0) sending.send(outgoing);
  }
  const auto sent = sending.finish(outgoing);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    auto& outcome = outcomes[places[i]];
    const auto& id = outgoing.messages[i].id;
    if (!sent[i]) outcome.error = to_exception(sent[i].error(), id);
    auto* context = Context::current();
    if (context != nullptr && (sent[i] || sent[i].error().code == Errc::uncertain)) {
      context->state().children.push_back(id);
    }
  }
  return outcomes;
}

AsyncResult<> App::result(std::string task_id) const {
  return AsyncResult<>(ResultHandle(core_, std::move(task_id)));
}

std::optional<GroupResult<>> App::group_result(const std::string& group_id) const {
  auto* const backend = core_->backend();
  if (backend == nullptr) throw ConfigError("this app stores no results: result_backend is disabled");
  const auto text = backend->restore_group(group_id, Deadline::after(std::chrono::seconds(5)));
  if (!text) raise(text.error());
  if (!*text) return std::nullopt;
  const Value saved = from_json(**text);
  const Value* const tuple = saved.find("result");
  auto node = tuple != nullptr ? app::node_from_tuple(*tuple)
                               : Result<std::shared_ptr<const detail::ResultNode>>(fail(Errc::bad_data, "no result"));
  if (!node || !(*node)->is_group) throw DecodeError("what is saved of group " + group_id + " cannot be read");
  return GroupResult<>(GroupHandle(core_, std::move(*node)));
}

void App::add(detail::TaskDeclaration declaration) {
  core_->registry().add({std::move(declaration.name), std::move(declaration.options), std::move(declaration.parameters),
                         declaration.bound, std::move(declaration.call)});
}

}  // namespace lovage
