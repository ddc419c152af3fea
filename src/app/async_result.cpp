#include <lovage/async_result.hpp>

#include <cctype>
#include <csignal>
#include <cstring>

#include <lovage/context.hpp>
#include <lovage/states.hpp>

#include <algorithm>

#include "app/core.hpp"
#include "app/result_node.hpp"
#include "app/stored_result.hpp"
#include "wire/control_message.hpp"
#include "wire/result_meta.hpp"

namespace lovage {
namespace {

using detail::StoredResult;

// How long reading one result may take.
constexpr std::chrono::seconds kReadTimeout{5};
// Clocks count nanoseconds: a longer wait would overflow.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::years(100);

backend::Backend& backend_of(app::Core& core) {
  if (auto* backend = core.backend()) return *backend;
  throw ConfigError("this app stores no results: result_backend is disabled");
}

StoredResult decode(const std::string& id, const std::string& bytes) {
  auto meta = wire::decode_result_meta(bytes);
  if (!meta) throw DecodeError("the stored result of " + id + " cannot be read: " + meta.error().message);
  return {std::move(meta->status), std::move(meta->result), std::move(meta->traceback), std::move(meta->children)};
}

StoredResult read(app::Core& core, const std::string& id) {
  const auto stored = backend_of(core).get(id, Deadline::after(kReadTimeout));
  if (!stored) raise(stored.error());
  if (!*stored) return {std::string(states::pending), {}};
  return decode(id, **stored);
}

// The node's tasks and those before it.
void append_ids(const detail::ResultNode* node, std::vector<std::string>& ids) {
  for (; node != nullptr; node = node->parent.get()) {
    if (!node->is_group) ids.push_back(node->id);
    for (const auto& child : node->children) append_ids(child.get(), ids);
  }
}

void check_may_wait(const GetOptions& options) {
  if (Context::current() == nullptr || options.allow_in_task) return;
  throw Error(
      "a task must not wait for another one with get(): it can fill the pool with waiting tasks. Use link or a chain, "
      "or say {.allow_in_task = true}");
}

std::string seconds_text(std::chrono::milliseconds timeout) {
  auto text = std::to_string(timeout.count() / 1000);
  if (const auto rest = timeout.count() % 1000; rest != 0) text += "." + std::to_string(1000 + rest).substr(1);
  return text + " s";
}

StoredResult wait_ready(app::Core& core, const std::string& id, std::optional<std::chrono::milliseconds> timeout) {
  const auto deadline =
      timeout && *timeout < kLongestWait ? Deadline::after(std::max(*timeout, -kLongestWait)) : Deadline::never();
  const auto stored = backend_of(core).wait(id, deadline);
  if (!stored) raise(stored.error());
  if (!*stored)
    throw Timeout("the result of " + id + " is not ready after " + seconds_text(timeout.value_or(kReadTimeout)));
  return decode(id, **stored);
}

std::string one_line(const wire::ExceptionInfo& exception) {
  std::string text;
  for (const auto& argument : exception.arguments) {
    const auto* words = argument.if_string();
    text += (text.empty() ? "" : ", ") + (words != nullptr ? *words : to_json(argument));
  }
  return text;
}

[[noreturn]] void throw_failure(const StoredResult& stored) {
  const auto exception = wire::exception_from_value(stored.result);
  auto message = one_line(exception);
  const auto what = exception.type + (message.empty() ? "" : ": " + message);
  TaskFailed::Details details{stored.state,        exception.type,     exception.module,
                              exception.arguments, std::move(message), stored.traceback.value_or(std::string())};
  if (stored.state == states::revoked) throw TaskRevoked(what, std::move(details));
  throw TaskFailed(what, std::move(details));
}

// "term" and "SIGTERM" are SIGTERM. Checked here: a worker that does not know the name would only log it.
std::string signal_name(std::string_view given) {
  std::string name;
  for (const char c : given) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int number = 1; number < NSIG; ++number) {
    const char* const known = sigabbrev_np(number);
    if (known != nullptr && name == known) return "SIG" + name;
  }
  throw ConfigError("'" + std::string(given) + "' is no signal: SIGTERM, SIGKILL, SIGUSR1, ...");
}

}  // namespace

ResultHandle::ResultHandle(std::shared_ptr<app::Core> core, std::string id,
                           std::shared_ptr<const detail::StoredResult> stored)
    : core_(std::move(core)), id_(std::move(id)), stored_(std::move(stored)) {}

ResultHandle::ResultHandle(std::shared_ptr<app::Core> core, const detail::ResultNode& node)
    : core_(std::move(core)), id_(node.id), parent_(node.parent), stored_(node.stored) {}

std::string ResultHandle::state() const {
  return stored_ ? stored_->state : read(*core_, id_).state;
}
bool ResultHandle::ready() const {
  return states::is_ready(state());
}
bool ResultHandle::successful() const {
  return state() == states::success;
}
bool ResultHandle::failed() const {
  return state() == states::failure;
}

Value ResultHandle::result() const {
  return stored_ ? stored_->result : read(*core_, id_).result;
}

std::optional<std::string> ResultHandle::traceback() const {
  return stored_ ? stored_->traceback : read(*core_, id_).traceback;
}

std::vector<ResultHandle> ResultHandle::children() const {
  const Value tuples = stored_ ? stored_->children : read(*core_, id_).children;
  std::vector<ResultHandle> children;
  if (tuples.if_array() == nullptr) return children;
  // Each is [[id, parent], null]; other writers' oddities are passed over.
  for (const auto& tuple : *tuples.if_array()) {
    const Array* pair = tuple.if_array();
    const Array* inner = pair != nullptr && !pair->empty() ? pair->front().if_array() : nullptr;
    const auto* id = inner != nullptr && !inner->empty() ? inner->front().if_string() : nullptr;
    if (id != nullptr) children.emplace_back(core_, *id);
  }
  return children;
}

std::optional<ResultHandle> ResultHandle::parent() const {
  if (!parent_ || parent_->is_group) return std::nullopt;
  return ResultHandle(core_, *parent_);
}

Value ResultHandle::as_tuple() const {
  return app::to_tuple({.id = id_, .is_group = false, .children = {}, .parent = parent_, .stored = {}});
}

std::string ResultHandle::wait(std::chrono::milliseconds timeout, const GetOptions& options) const {
  check_may_wait(options);
  return stored_ ? stored_->state : wait_ready(*core_, id_, timeout).state;
}

Value ResultHandle::get_value(std::optional<std::chrono::milliseconds> timeout, const GetOptions& options) const {
  check_may_wait(options);
  StoredResult stored = stored_ ? *stored_ : wait_ready(*core_, id_, timeout);
  if (options.propagate && states::is_propagated(stored.state)) throw_failure(stored);
  return std::move(stored.result);
}

void ResultHandle::revoke(bool terminate, std::string_view signal) const {
  wire::ControlCommand command;
  command.method = "revoke";
  command.arguments = Object{{"task_id", id_}, {"terminate", terminate}, {"signal", signal_name(signal)}};
  command.clock = core_->next_clock();
  const auto message = wire::to_broadcast(command);
  if (!message) raise(message.error());
  if (auto sent = core_->broker().broadcast(*message, Deadline::after(kReadTimeout)); !sent) raise(sent.error(), id_);
}

void ResultHandle::forget() const {
  const auto deadline = Deadline::after(kReadTimeout);
  std::vector<std::string> ids{id_};
  append_ids(parent_.get(), ids);
  for (const std::string& id : ids) {
    if (auto forgotten = backend_of(*core_).forget(id, deadline); !forgotten) raise(forgotten.error());
  }
}

namespace detail {

void throw_at_result(const std::string& id, const TypeError& inner) {
  throw TypeError("the result of " + id + " " + inner.what());
}

}  // namespace detail
}  // namespace lovage
