#include "wire/protocol1.hpp"

#include "wire/compression.hpp"
#include "wire/header_fields.hpp"
#include "wire/headers.hpp"

namespace lovage::wire {
namespace {

// A body that could be an object; without a look at the headers' task there is no need to be sure.
bool looks_like_object(const TaskMessage& message) {
  if (!message.compression.empty() || message.content_type != mime_name(Serializer::json)) return false;
  const std::size_t start = message.body.find_first_not_of(" \t\r\n");
  return start != std::string::npos && message.body[start] == '{';
}

// Holds the text that a Scalar points to.
struct HeldScalar {
  std::string text;
  Scalar scalar;
  explicit HeldScalar(const Value& value) {
    if (const auto* flag = value.if_bool()) {
      scalar = {Scalar::Kind::boolean, *flag, {}};
    } else if (const auto* string = value.if_string()) {
      scalar = {Scalar::Kind::string, false, *string};
    } else if (!value.is_null()) {
      text = to_json(value);
      scalar = {Scalar::Kind::number, false, text};
    }
  }
};

bool set_time_limits(TimeLimits& limits, const Value& value) {
  if (value.is_null()) return true;
  const Array* items = value.if_array();
  if (items == nullptr || items->size() != 2) return false;
  return set_time_limit(limits.hard, HeldScalar((*items)[0]).scalar) &&
         set_time_limit(limits.soft, HeldScalar((*items)[1]).scalar);
}

bool take_member(TaskMessage& message, Field field, const Value& value) {
  if (field == Field::timelimit) return set_time_limits(message.timelimit, value);
  if (value.if_array() != nullptr || value.if_object() != nullptr) return false;
  return set_header(message, field, HeldScalar(value).scalar);
}

bool is_given(const TaskMessage& m, Field field) {
  switch (field) {
    case Field::task:
      return !m.task.empty();
    case Field::id:
      return !m.id.empty();
    case Field::shadow:
      return m.shadow.has_value();
    case Field::eta:
      return m.eta.has_value();
    case Field::expires:
      return m.expires.has_value();
    case Field::group:
      return m.group_id.has_value();
    case Field::group_index:
      return m.group_index.has_value();
    case Field::retries:
      return m.retries != 0;
    case Field::timelimit:
      return m.timelimit.hard || m.timelimit.soft;
    case Field::root_id:
      return !m.root_id.empty();
    case Field::parent_id:
      return m.parent_id.has_value();
    case Field::argsrepr:
      return !m.argsrepr.empty();
    case Field::kwargsrepr:
      return !m.kwargsrepr.empty();
    case Field::origin:
      return !m.origin.empty();
    default:
      return true;  // protocol 1 does not know it
  }
}

void set_reprs(TaskMessage& message, const Object& content) {
  const Value* args = content.find("args");
  const Value* kwargs = content.find("kwargs");
  const Array* items = args == nullptr ? nullptr : args->if_array();
  const Object* members = kwargs == nullptr ? nullptr : kwargs->if_object();
  if (message.argsrepr.empty()) message.argsrepr = args_repr(items == nullptr ? Array() : *items);
  if (message.kwargsrepr.empty()) message.kwargsrepr = kwargs_repr(members == nullptr ? Object() : *members);
}

}  // namespace

BadMessage bad_body(const TaskMessage& message, std::string reason, std::string detail) {
  return {std::move(reason), std::move(detail), message.id, message.task};
}

tl::expected<Value, BadMessage> decode_content(const TaskMessage& message, const DecodeLimits& limits) {
  const auto bad = [&](std::string reason, std::string detail) {
    return tl::unexpected(bad_body(message, std::move(reason), std::move(detail)));
  };
  const auto failed = [&](const Failure& why) {
    return bad(why.code == Errc::too_large ? "too-large" : "bad-body", why.message);
  };
  const auto serializer = serializer_from_name(message.content_type);
  // Short names are for settings only.
  if (!serializer || message.content_type != mime_name(*serializer)) {
    return bad("refused-content-type", "content type '" + message.content_type + "' is not accepted");
  }
  if (message.compression.empty()) {
    auto value = decode_value(message.body, *serializer, limits);
    return value ? tl::expected<Value, BadMessage>(std::move(*value)) : failed(value.error());
  }
  const auto compression = compression_from_name(message.compression);
  if (!compression) return bad("unknown-compression", "compression '" + message.compression + "' is not known");
  const auto bytes = decompress(message.body, *compression, limits.max_bytes);
  if (!bytes) return failed(bytes.error());
  auto value = decode_value(*bytes, *serializer, limits);
  return value ? tl::expected<Value, BadMessage>(std::move(*value)) : failed(value.error());
}

tl::expected<void, BadMessage> adopt_protocol1(TaskMessage& message, const DecodeLimits& limits) {
  if (!message.task.empty() && !looks_like_object(message)) return {};
  auto content = decode_content(message, limits);
  if (!content) return tl::unexpected(std::move(content.error()));
  const Object* members = content->if_object();
  if (members == nullptr) return {};
  const bool hybrid = !message.task.empty();
  message.protocol1 = true;
  for (const FieldName& known : kHeaderFields) {
    const Value* value = members->find(known.name);
    if (value == nullptr || is_given(message, known.field)) continue;
    if (!take_member(message, known.field, *value)) {
      return tl::unexpected(bad_body(message, "bad-header", "unusable member '" + std::string(known.name) + "'"));
    }
  }
  // Protocol 1's old name for a group's id wins over the new one.
  const Value* taskset = members->find("taskset");
  if (!hybrid && taskset != nullptr && !take_member(message, Field::group, *taskset)) {
    return tl::unexpected(bad_body(message, "bad-header", "unusable member 'taskset'"));
  }
  set_reprs(message, *members);
  return {};
}

tl::expected<Body, BadMessage> body_from_protocol1(const TaskMessage& message, Value content) {
  Object& members = *content.if_object();
  const auto bad = [&](std::string detail) { return tl::unexpected(bad_body(message, "bad-body", std::move(detail))); };
  const auto take = [&members](std::string_view name) {
    Value* value = members.find(name);
    return value == nullptr ? Value() : std::move(*value);
  };
  Value args = take("args");
  Value kwargs = take("kwargs");
  Body body;
  if (!args.is_null() && args.if_array() == nullptr) return bad("args is not an array");
  if (!kwargs.is_null() && kwargs.if_object() == nullptr) return bad("kwargs is not an object");
  if (args.if_array() != nullptr) body.args = std::move(*args.if_array());
  if (kwargs.if_object() != nullptr) body.kwargs = std::move(*kwargs.if_object());
  Value chord = take("chord");
  if (!chord.is_null()) body.embed.chord = std::move(chord);
  Value callbacks = take("callbacks");
  Value errbacks = take("errbacks");
  if (!callbacks.is_null()) {
    if (callbacks.if_array() == nullptr) return bad("callbacks is not an array");
    body.embed.callbacks = std::move(*callbacks.if_array());
  }
  if (!errbacks.is_null()) {
    if (errbacks.if_array() == nullptr) return bad("errbacks is not an array");
    body.embed.errbacks = std::move(*errbacks.if_array());
  }
  return body;
}

}  // namespace lovage::wire
