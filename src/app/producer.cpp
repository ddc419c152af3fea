#include "app/producer.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <lovage/context.hpp>
#include <lovage/error.hpp>

#include "app/call_options.hpp"
#include "app/routing.hpp"
#include "app/stamping.hpp"
#include "base/printable.hpp"
#include "base/process_id.hpp"
#include "base/suggest.hpp"
#include "base/uuid.hpp"
#include "wire/body.hpp"
#include "wire/canvas.hpp"
#include "wire/json.hpp"

namespace lovage::app {
namespace {

// Beyond this the sum with the clock could overflow; no message waits for a century.
constexpr double kMaxSeconds = 3.2e9;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

double seconds_of(std::chrono::milliseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

Timestamp after(Timestamp now, double seconds, std::string_view option) {
  if (!(std::abs(seconds) <= kMaxSeconds)) {
    throw EncodeError("option '" + std::string(option) + "' is out of range");
  }
  return now + std::chrono::microseconds(std::llround(seconds * 1e6));
}

// `expires` and the property that brokers read: milliseconds from now, never negative.
void set_expires(wire::TaskMessage& message, wire::WireTime expires, Timestamp now) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(expires.at - now).count();
  message.expiration = std::to_string(std::max<std::int64_t>(0, left));
  message.expires = std::move(expires);
}

void set_times(wire::TaskMessage& message, const CallOptions& options, const TaskOptions* task, Timestamp now) {
  if (auto eta = options.time("eta")) {
    message.eta = std::move(eta);
  } else if (const auto countdown = options.number("countdown"); countdown && *countdown != 0) {
    message.eta = wire::to_wire_time(after(now, *countdown, "countdown"));
  }
  const Value* expires = options.find("expires");
  if (expires != nullptr && expires->if_string() == nullptr && expires->get_if<DateTime>() == nullptr) {
    set_expires(message, wire::to_wire_time(after(now, *options.number("expires"), "expires")), now);
  } else if (expires != nullptr) {
    set_expires(message, *options.time("expires"), now);
  } else if (task != nullptr && task->expires) {
    set_expires(message, wire::to_wire_time(after(now, seconds_of(*task->expires), "expires")), now);
  }
}

void set_time_limits(wire::TaskMessage& message, const CallOptions& options, const TaskOptions* task) {
  message.timelimit = {options.number("time_limit"), options.number("soft_time_limit")};
  if (task == nullptr) return;
  if (!message.timelimit.hard && task->time_limit) message.timelimit.hard = seconds_of(*task->time_limit);
  if (!message.timelimit.soft && task->soft_time_limit) message.timelimit.soft = seconds_of(*task->soft_time_limit);
}

wire::JsonTypes json_types(const Config& config) {
  return config.json_types == "5.2" ? wire::JsonTypes::celery_5_2 : wire::JsonTypes::celery_5_6;
}

// Headers are JSON, whatever the body is. Throws for what JSON cannot carry.
Value header_value(const std::string& name, const Value& value, wire::JsonTypes types) {
  std::string text;
  std::string name_text;
  Result<void> written = wire::append_json(text, value, types);
  if (!wire::append_json_string(name_text, name)) written = fail(Errc::bad_data, "its name is no UTF-8");
  if (!written) throw EncodeError("the header '" + printable(name) + "' cannot be sent: " + written.error().message);
  if (types == wire::JsonTypes::celery_5_6) return value;
  // With 5.2 a time is its text: the envelope would write 5.6's type.
  return from_json(text);
}

void set_stamps(wire::TaskMessage& message, const Object& options, wire::JsonTypes types) {
  const Value* names = options.find("stamped_headers");
  if (names == nullptr || names->if_array() == nullptr) return;
  message.stamped_headers = *names;
  for (const auto& [name, stamp] : stamps_of(options)) message.stamps.set(name, header_value(name, stamp, types));
}

// The protocol's own names in a sender's headers would make two headers of one name.
void set_headers(wire::TaskMessage& message, const CallOptions& options, wire::JsonTypes types) {
  static constexpr std::array<std::string_view, 21> kOwn{"lang",
                                                         "task",
                                                         "id",
                                                         "shadow",
                                                         "eta",
                                                         "expires",
                                                         "group",
                                                         "retries",
                                                         "timelimit",
                                                         "root_id",
                                                         "parent_id",
                                                         "argsrepr",
                                                         "origin",
                                                         "stamps",
                                                         "kwargsrepr",
                                                         "compression",
                                                         "group_index",
                                                         "ignore_result",
                                                         "replaced_task_nesting",
                                                         "stamped_headers",
                                                         wire::kGraphHeader};
  const Object* headers = options.table("headers");
  if (headers == nullptr) return;
  for (const auto& [name, value] : *headers) {
    if (std::ranges::find(kOwn, name) != kOwn.end()) {
      throw EncodeError("the header '" + name + "' is the protocol's own: it cannot be set");
    }
    message.custom_headers.set(name, header_value(name, value, types));
  }
}

int priority_of(const CallOptions& options, const TaskOptions* task, const Destination& destination,
                const Config& config) {
  if (const auto given = options.integer("priority")) return static_cast<int>(std::clamp<std::int64_t>(*given, 0, 255));
  if (task != nullptr && task->priority) return *task->priority;
  return destination.priority.value_or(config.task_default_priority);
}

void set_destination(Prepared& prepared, const CallOptions& options, const TaskOptions* task, const Core& core) {
  auto destination = destination_of(core, prepared.message.task, options);
  prepared.message.priority = priority_of(options, task, destination, core.config());
  prepared.message.exchange = std::move(destination.exchange);
  prepared.message.routing_key = std::move(destination.routing_key);
  prepared.queue = std::move(destination.queue);
}

void set_ids(wire::TaskMessage& message, const CallOptions& options, const Lineage& lineage) {
  message.id = options.text_or_empty("task_id");
  if (message.id.empty()) message.id = new_task_id();
  message.root_id = options.text("root_id").value_or(lineage.root_id);
  if (message.root_id.empty()) message.root_id = message.id;
  message.parent_id = options.text("parent_id");
  if (!message.parent_id) message.parent_id = lineage.parent_id;
  message.group_id = options.text("group_id");
  message.group_index = options.integer("group_index");
  message.retries = options.integer("retries").value_or(0);
  message.replaced_task_nesting = options.integer("replaced_task_nesting").value_or(0);
  message.shadow = options.text("shadow");
  message.reply_to = options.text_or_empty("reply_to");
  if (message.reply_to.empty()) message.reply_to = reply_address();
  message.origin = origin();
  message.delivery_tag = new_uuid();
}

// The first of the three that is given.
std::string first_of(std::string option, const std::string* task, const std::string& setting) {
  if (!option.empty()) return option;
  return task != nullptr && !task->empty() ? *task : setting;
}

wire::BodyFormat format_of(const CallOptions& options, const TaskOptions* task, const Config& config) {
  const auto serializer = first_of(options.text_or_empty("serializer"), task != nullptr ? &task->serializer : nullptr,
                                   config.task_serializer);
  const auto compression = first_of(options.text_or_empty("compression"),
                                    task != nullptr ? &task->compression : nullptr, config.task_compression);
  wire::BodyFormat format;
  format.json_types = json_types(config);
  set_size_rules(format, config);
  if (const auto known = wire::serializer_from_name(serializer)) {
    format.serializer = *known;
  } else {
    static constexpr std::array<std::string_view, 2> kNames{"json", "msgpack"};
    throw ConfigError("unknown serializer '" + serializer + "'" + did_you_mean(serializer, kNames));
  }
  if (compression == "none") format.compress_above = wire::kUnlimited;
  if (compression.empty() || compression == "none") return format;
  if (const auto known = wire::compression_from_name(compression)) {
    format.compression = *known;
  } else {
    static constexpr std::array<std::string_view, 3> kNames{"zlib", "bzip2", "zstd"};
    throw ConfigError("unknown compression '" + compression + "'" + did_you_mean(compression, kNames));
  }
  return format;
}

void set_body(wire::TaskMessage& message, wire::SignatureData call, const wire::BodyFormat& format) {
  const CallOptions options(call.options);
  message.argsrepr = wire::args_repr(call.args);
  message.kwargsrepr = wire::kwargs_repr(call.kwargs);
  wire::Body body;
  body.embed.callbacks = options.list("link");
  body.embed.errbacks = options.list("link_error");
  body.embed.chain = options.list("chain");
  if (const Value* chord = options.find("chord")) body.embed.chord = *chord;
  body.args = std::move(call.args);
  body.kwargs = std::move(call.kwargs);
  const auto encoded = wire::encode_body(message, body, format);
  if (encoded) return;
  if (encoded.error().code == Errc::too_large) throw MessageTooLarge(encoded.error().message);
  throw EncodeError("task " + message.task + ": " + encoded.error().message);
}

}  // namespace

void set_size_rules(wire::BodyFormat& format, const Config& config) {
  if (config.task_compression_threshold > 0) format.compress_above = config.task_compression_threshold;
  format.max_bytes = config.task_message_max_bytes;
}

Destination destination_of(const Core& core, const std::string& task, const CallOptions& options) {
  Wanted wanted{options.text_or_empty("queue"), options.text_or_empty("exchange"),
                options.text_or_empty("routing_key")};
  const TaskDefinition* const definition = core.registry().find(task);
  const bool open = wanted.queue.empty() && wanted.exchange.empty() && wanted.routing_key.empty();
  if (open && definition != nullptr) wanted.queue = definition->options.queue;
  return find_destination(core.config(), task, std::move(wanted));
}

Lineage current_lineage() {
  const Context* context = Context::current();
  if (context == nullptr) return {};
  const auto& request = context->request();
  return {request.root_id.empty() ? request.id : request.root_id, request.id};
}

std::string origin() {
  static const std::string kHost = host_name();
  return "gen" + std::to_string(process_id()) + "@" + kHost;
}

std::string reply_address() {
  struct Address {
    pid_t pid = 0;
    std::string text;
  };
  static thread_local Address address;
  // A child of fork() is another client than its parent.
  if (const pid_t pid = process_id(); address.pid != pid) address = {pid, new_uuid()};
  return address.text;
}

Prepared prepare(const Core& core, wire::SignatureData call, const Lineage& lineage) {
  const Config& config = core.config();
  const TaskDefinition* definition = core.registry().find(call.task);
  const TaskOptions* task = definition != nullptr ? &definition->options : nullptr;
  const CallOptions options(call.options);
  Prepared prepared;
  prepared.message.task = call.task;
  set_ids(prepared.message, options, lineage);
  set_times(prepared.message, options, task, core.wall_clock().now());
  set_time_limits(prepared.message, options, task);
  set_headers(prepared.message, options, json_types(config));
  set_stamps(prepared.message, call.options, json_types(config));
  auto ignore_result = options.flag("ignore_result");
  if (!ignore_result && task != nullptr) ignore_result = task->ignore_result;
  prepared.message.ignore_result = ignore_result.value_or(config.task_ignore_result);
  set_destination(prepared, options, task, core);
  const auto format = format_of(options, task, config);
  set_body(prepared.message, std::move(call), format);
  return prepared;
}

}  // namespace lovage::app
