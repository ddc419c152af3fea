#include <lovage/signature.hpp>

#include <lovage/context.hpp>
#include <lovage/error.hpp>

#include "app/callbacks.hpp"
#include "app/canvas_shape.hpp"
#include "app/eager.hpp"
#include "app/invoke.hpp"
#include "app/producer.hpp"
#include "app/stamping.hpp"
#include "app/workflow.hpp"

namespace lovage {
namespace {

Value seconds_value(std::chrono::milliseconds duration) {
  if (duration.count() % 1000 == 0) return duration.count() / 1000;
  return static_cast<double>(duration.count()) / 1000;
}

Value signatures_value(const Signatures& signatures) {
  Array list;
  for (const auto& signature : signatures) list.push_back(signature.to_value());
  return list;
}

void set_text(Object& options, std::string_view name, const std::string& value) {
  if (!value.empty()) options[name] = value;
}

void set_seconds(Object& options, std::string_view name, const std::optional<std::chrono::milliseconds>& value) {
  if (value) options[name] = seconds_value(*value);
}

void set_times(Object& out, const ApplyOptions& options) {
  // Of countdown and eta the later given replaces the other.
  if (options.countdown || options.eta) {
    out.erase("countdown");
    out.erase("eta");
  }
  if (options.eta)
    out["eta"] = to_value(*options.eta);
  else
    set_seconds(out, "countdown", options.countdown);
  if (const auto* after = std::get_if<std::chrono::milliseconds>(&options.expires.when())) {
    out["expires"] = seconds_value(*after);
  } else if (const auto* at = std::get_if<std::chrono::system_clock::time_point>(&options.expires.when())) {
    out["expires"] = to_value(*at);
  }
  set_seconds(out, "time_limit", options.time_limit);
  set_seconds(out, "soft_time_limit", options.soft_time_limit);
}

void set_options(Object& out, const ApplyOptions& options) {
  set_text(out, "task_id", options.task_id);
  set_text(out, "queue", options.queue);
  set_text(out, "exchange", options.exchange);
  set_text(out, "routing_key", options.routing_key);
  set_times(out, options);
  if (options.priority) out["priority"] = *options.priority;
  if (!options.link.empty()) out["link"] = signatures_value(options.link);
  if (!options.link_error.empty()) out["link_error"] = signatures_value(options.link_error);
  set_text(out, "serializer", options.serializer);
  set_text(out, "compression", options.compression);
  if (!options.headers.empty()) out["headers"] = options.headers;
  if (options.ignore_result) out["ignore_result"] = *options.ignore_result;
  set_text(out, "shadow", options.shadow);
  set_text(out, "reply_to", options.reply_to);
}

// Adds a signature to a list among the options, once.
void append(Object& options, std::string_view name, const Signature& signature) {
  Value& list = options[name];
  if (list.if_array() == nullptr) list = list.is_null() ? Value(Array{}) : Value(Array{list});
  auto value = signature.to_value();
  for (const auto& present : *list.if_array()) {
    if (present == value) return;
  }
  list.if_array()->push_back(std::move(value));
}

ResultHandle single(const std::shared_ptr<const detail::ResultNode>& node, const std::shared_ptr<app::Core>& core) {
  if (node->is_group) throw Error("this workflow ends in a group: wrap it in a lovage::GroupSignature to send it");
  return {core, *node};
}

}  // namespace

Signature::Signature(std::shared_ptr<app::Core> core, std::string task, Array args, Object kwargs)
    : core_(std::move(core)), task_(std::move(task)), args_(std::move(args)), kwargs_(std::move(kwargs)) {}

Signature& Signature::set(const ApplyOptions& options) {
  set_options(options_, options);
  for (const auto& [name, value] : options.kwargs) kwargs_.set(name, value);
  if (options.retry) send_.retry = options.retry;
  if (options.retry_policy) send_.retry_policy = options.retry_policy;
  if (options.timeout) send_.timeout = options.timeout;
  return *this;
}

Signature& Signature::set_immutable(bool immutable) {
  immutable_ = immutable;
  return *this;
}

Signature& Signature::link(const Signature& callback) {
  append(options_, "link", callback);
  return *this;
}

Signature& Signature::link_error(const Signature& errback) {
  append(options_, "link_error", errback);
  return *this;
}

Signature& Signature::on_success(const Signature& callback) {
  append(options_, app::kOnSuccess, callback);
  return *this;
}

Signature& Signature::on_failure(const Signature& errback) {
  append(options_, app::kOnFailure, errback);
  return *this;
}

Signature& Signature::on_complete(const Signature& callback) {
  append(options_, app::kOnComplete, callback);
  return *this;
}

Signature& Signature::stamp(const Object& stamps, bool append_stamps) {
  Value value = to_value();
  if (auto stamped = app::stamp(value, stamps, {.appends = append_stamps}); !stamped) raise(stamped.error());
  return become(value);
}

Signature& Signature::stamp(StampingVisitor& visitor, const Object& stamps, bool append_stamps) {
  Value value = to_value();
  const app::Stamping stamping{.visitor = &visitor, .appends = append_stamps, .core = core_};
  if (auto stamped = app::stamp(value, stamps, stamping); !stamped) raise(stamped.error());
  return become(value);
}

Signature& Signature::become(const Value& value) {
  Signature other = from_value(core_, value);
  other.send_ = send_;
  return *this = std::move(other);
}

Signature Signature::clone(Array args, Object kwargs) const {
  Signature copy = *this;
  if (immutable_) return copy;
  copy.args_.insert(copy.args_.begin(), std::make_move_iterator(args.begin()), std::make_move_iterator(args.end()));
  for (auto& member : kwargs) copy.kwargs_.set(member.first, std::move(member.second));
  return copy;
}

AsyncResult<> Signature::delay() const {
  if (core_ == nullptr) throw Error("this signature of " + task_ + " belongs to no app: it cannot be sent");
  if (app::is_workflow(*this)) return AsyncResult<>(single(app::send_workflow(core_, *this), core_));
  core_->check_config();
  if (core_->config().task_always_eager) return apply();
  app::Outgoing outgoing;
  const auto& id = outgoing.add(*core_, app::call_of(*this), app::current_lineage()).id;
  const auto outcomes = app::publish(*core_, outgoing, send_);
  const auto& outcome = outcomes.front();
  if (outcome || outcome.error().code == Errc::uncertain) {
    if (auto* context = Context::current()) context->state().children.push_back(id);
  }
  if (!outcome) raise(outcome.error(), id);
  return AsyncResult<>(ResultHandle(core_, id));
}

AsyncResult<> Signature::apply_async(const ApplyOptions& options) const {
  return app::with_options(*this, options).delay();
}

AsyncResult<> Signature::apply() const {
  if (core_ == nullptr) throw Error("this signature of " + task_ + " belongs to no app: it cannot be run");
  if (app::is_workflow(*this)) return AsyncResult<>(single(app::run_workflow(core_, *this), core_));
  return AsyncResult<>(app::apply_eagerly(core_, *this));
}

Value Signature::to_value() const {
  return wire::to_value(app::to_data(*this));
}

Signature Signature::from_value(std::shared_ptr<app::Core> core, Value value) {
  auto data = wire::signature_from_value(std::move(value));
  if (!data) raise(data.error());
  Signature signature(std::move(core), std::move(data->task), std::move(data->args), std::move(data->kwargs));
  signature.options_ = std::move(data->options);
  signature.subtask_type_ = std::move(data->subtask_type);
  signature.immutable_ = data->immutable;
  return signature;
}

namespace app {

Call call_of(const Signature& signature) {
  return {signature.task(), signature.args(), signature.kwargs(), signature.options()};
}

Call call_of(const wire::SignatureData& signature) {
  return {signature.task, signature.args, signature.kwargs, signature.options};
}

wire::SignatureData to_data(const Signature& signature) {
  return {signature.task(),    signature.args(),         signature.kwargs(),
          signature.options(), signature.subtask_type(), signature.immutable()};
}

}  // namespace app
}  // namespace lovage
