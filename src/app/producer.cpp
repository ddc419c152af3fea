#include "app/producer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <lovage/context.hpp>
#include <lovage/error.hpp>

#include "app/call_options.hpp"
#include "app/routing.hpp"
#include "app/sender.hpp"
#include "app/stamping.hpp"
#include "base/printable.hpp"
#include "base/suggest.hpp"
#include "base/uuid.hpp"
#include "wire/body.hpp"
#include "wire/canvas.hpp"
#include "wire/json.hpp"

namespace lovage::app {
namespace {

// Beyond this the sum with the clock could overflow; no message waits for a century.
constexpr double kMaxSeconds = 3.2e9;

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

void set_times(wire::TaskMessage& message, const CallOptions& options, const TaskOptions* task, const Clock& clock) {
  message.eta = options.time("eta");
  const auto countdown = message.eta ? std::nullopt : options.number("countdown");
  const bool counts_down = countdown && *countdown != 0;
  const Value* expires = options.find("expires");
  const bool expires_anyway = task != nullptr && task->expires;
  if (!counts_down && expires == nullptr && !expires_anyway) return;
  const Timestamp now = clock.now();  // of both: the time between them is as given
  if (counts_down) message.eta = wire::to_wire_time(after(now, *countdown, "countdown"));
  if (expires != nullptr && expires->if_string() == nullptr && expires->get_if<DateTime>() == nullptr) {
    set_expires(message, wire::to_wire_time(after(now, *options.number("expires"), "expires")), now);
  } else if (expires != nullptr) {
    set_expires(message, *options.time("expires"), now);
  } else if (expires_anyway) {
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

Destination destination_for(const Config& config, const std::string& name, const TaskOptions* task,
                            const CallOptions& options) {
  Wanted wanted{options.text_or_empty("queue"), options.text_or_empty("exchange"),
                options.text_or_empty("routing_key")};
  const bool open = wanted.queue.empty() && wanted.exchange.empty() && wanted.routing_key.empty();
  if (open && task != nullptr) wanted.queue = task->queue;
  return find_destination(config, name, std::move(wanted));
}

std::optional<wire::QueueDeclaration> set_destination(wire::TaskMessage& message, const CallOptions& options,
                                                      const TaskOptions* task, const Config& config) {
  auto destination = destination_for(config, message.task, task, options);
  message.priority = priority_of(options, task, destination, config);
  message.exchange = std::move(destination.exchange);
  message.routing_key = std::move(destination.routing_key);
  return std::move(destination.queue);
}

std::optional<std::string> copy_of(const std::string* text) {
  return text != nullptr ? std::optional(*text) : std::nullopt;
}

// The first of these that is given and not empty.
const std::string& first_of(const std::string* option, const std::string* second, const std::string& last) {
  if (option != nullptr && !option->empty()) return *option;
  return second != nullptr && !second->empty() ? *second : last;
}

void set_ids(wire::TaskMessage& message, const CallOptions& options, const Lineage& lineage) {
  message.id = options.text_or_empty("task_id");
  if (message.id.empty()) message.id = new_task_id();
  const std::string* const root_id = options.text("root_id");
  message.root_id = root_id != nullptr ? *root_id : lineage.root_id;
  if (message.root_id.empty()) message.root_id = message.id;
  message.parent_id = copy_of(options.text("parent_id"));
  if (!message.parent_id) message.parent_id = lineage.parent_id;
  message.group_id = copy_of(options.text("group_id"));
  message.group_index = options.integer("group_index");
  message.retries = options.integer("retries").value_or(0);
  message.replaced_task_nesting = options.integer("replaced_task_nesting").value_or(0);
  message.shadow = copy_of(options.text("shadow"));
  const Sender& self = sender();
  message.reply_to = first_of(options.text("reply_to"), nullptr, self.reply_address);
  message.origin = self.origin;
  message.delivery_tag = new_uuid();
}

wire::BodyFormat format_of(const CallOptions& options, const TaskOptions* task, const Config& config) {
  const std::string& serializer =
      first_of(options.text("serializer"), task != nullptr ? &task->serializer : nullptr, config.task_serializer);
  const std::string& compression =
      first_of(options.text("compression"), task != nullptr ? &task->compression : nullptr, config.task_compression);
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

void set_body(wire::TaskMessage& message, const Call& call, const wire::BodyFormat& format) {
  const CallOptions options(call.options);
  message.argsrepr = wire::args_repr(call.args);
  message.kwargsrepr = wire::kwargs_repr(call.kwargs);
  wire::Embed embed;
  embed.callbacks = options.list("link");
  embed.errbacks = options.list("link_error");
  embed.chain = options.list("chain");
  if (const Value* chord = options.find("chord")) embed.chord = *chord;
  const auto encoded = wire::encode_body(message, call.args, call.kwargs, embed, format);
  if (encoded) return;
  if (encoded.error().code == Errc::too_large) throw MessageTooLarge(encoded.error().message);
  throw EncodeError("task " + message.task + ": " + encoded.error().message);
}

// Fills a new message in, and returns the queue to be declared before the first message to it.
std::optional<wire::QueueDeclaration> fill_in(wire::TaskMessage& message, const Core& core, const Call& call,
                                              const Lineage& lineage) {
  const Config& config = core.config();
  const TaskDefinition* definition = core.registry().find(call.task);
  const TaskOptions* task = definition != nullptr ? &definition->options : nullptr;
  const CallOptions options(call.options);
  message.task = call.task;
  set_ids(message, options, lineage);
  set_times(message, options, task, core.wall_clock());
  set_time_limits(message, options, task);
  set_headers(message, options, json_types(config));
  set_stamps(message, call.options, json_types(config));
  auto ignore_result = options.flag("ignore_result");
  if (!ignore_result && task != nullptr) ignore_result = task->ignore_result;
  message.ignore_result = ignore_result.value_or(config.task_ignore_result);
  auto queue = set_destination(message, options, task, config);
  set_body(message, call, format_of(options, task, config));
  return queue;
}

}  // namespace

void set_size_rules(wire::BodyFormat& format, const Config& config) {
  if (config.task_compression_threshold > 0) format.compress_above = config.task_compression_threshold;
  format.max_bytes = config.task_message_max_bytes;
}

Destination destination_of(const Core& core, const std::string& task, const CallOptions& options) {
  const TaskDefinition* const definition = core.registry().find(task);
  return destination_for(core.config(), task, definition != nullptr ? &definition->options : nullptr, options);
}

Lineage current_lineage() {
  const Context* context = Context::current();
  if (context == nullptr) return {};
  const auto& request = context->request();
  return {request.root_id.empty() ? request.id : request.root_id, request.id};
}

Prepared prepare(const Core& core, const Call& call, const Lineage& lineage) {
  Prepared prepared;
  prepared.queue = fill_in(prepared.message, core, call, lineage);
  return prepared;
}

const wire::TaskMessage& Outgoing::add(const Core& core, const Call& call, const Lineage& lineage) {
  std::optional<wire::QueueDeclaration> queue;
  messages.emplace_back();  // in its place: a message has much to move
  try {
    queue = fill_in(messages.back(), core, call, lineage);
  } catch (...) {
    messages.pop_back();
    throw;
  }
  const auto same = [&](const auto& known) { return known.name == queue->name; };
  if (queue && std::ranges::none_of(queues, same)) queues.push_back(std::move(*queue));
  return messages.back();
}

}  // namespace lovage::app
