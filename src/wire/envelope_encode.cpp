// Writes a task message as kombu's virtual transports do: one string, no values in between.
#include <array>
#include <charconv>

#include "wire/appender.hpp"
#include "wire/base64.hpp"
#include "wire/json.hpp"
#include "wire/names.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {
namespace {

class Writer {
 public:
  Writer(std::string& out, std::size_t expected) : out_(out, expected) {}

  // `name` comes with its quotes and what stands before it: `, "task": `.
  void text(std::string_view name, std::string_view value) {
    out_.add(name);
    append_json_string(out_, value);
  }
  void text_or_null(std::string_view name, const std::optional<std::string>& value) {
    value ? text(name, *value) : raw(name, "null");
  }
  void raw(std::string_view name, std::string_view value) {
    out_.add(name);
    out_.add(value);
  }
  void integer(std::string_view name, std::int64_t value) {
    out_.add(name);
    add_integer(value);
  }
  void time(std::string_view name, const std::optional<WireTime>& value) {
    value ? text(name, value->text) : raw(name, "null");
  }
  void limits(const TimeLimits& limits) {
    out_.add(R"(, "timelimit": [)");
    seconds(limits.hard);
    out_.add(", ");
    seconds(limits.soft);
    out_.add("]");
  }
  // A header's value is never worth losing a message: what JSON cannot carry is sent as null.
  void value(const Value& value) {
    if (value.is_null()) return out_.add("null");
    out_.by([&value](std::string& out) {
      const std::size_t start = out.size();
      if (append_json(out, value, JsonTypes::celery_5_6)) return;
      out.resize(start);
      out += "null";
    });
  }
  void custom(const Object& headers) {
    for (const auto& [name, member] : headers) {
      text(", ", name);
      out_.add(": ");
      value(member);
    }
  }
  void finish() { out_.finish(); }

 private:
  void add_integer(std::int64_t value) {
    std::array<char, 24> text;
    const char* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out_.add({text.data(), static_cast<std::size_t>(end - text.data())});
  }
  // Whole seconds as an int, as they mostly are given.
  void seconds(const std::optional<double>& value) {
    if (!value) {
      out_.add("null");
    } else if (*value >= -1e15 && *value <= 1e15 && *value == static_cast<double>(static_cast<std::int64_t>(*value))) {
      add_integer(static_cast<std::int64_t>(*value));
    } else {
      out_.by([&value](std::string& out) { append_json_double(out, *value); });
    }
  }
  Appender out_;
};

void write_headers(Writer& to, const TaskMessage& m) {
  to.raw(R"(, "headers": {"lang": )", kLanguageJson);
  to.text(R"(, "task": )", m.task);
  to.text(R"(, "id": )", m.id);
  to.text_or_null(R"(, "shadow": )", m.shadow);
  to.time(R"(, "eta": )", m.eta);
  to.time(R"(, "expires": )", m.expires);
  to.text_or_null(R"(, "group": )", m.group_id);
  if (m.group_index) {
    to.integer(R"(, "group_index": )", *m.group_index);
  } else {
    to.raw(R"(, "group_index": )", "null");
  }
  to.integer(R"(, "retries": )", m.retries);
  to.limits(m.timelimit);
  to.text(R"(, "root_id": )", m.root_id.empty() ? m.id : m.root_id);
  to.text_or_null(R"(, "parent_id": )", m.parent_id);
  to.text(R"(, "argsrepr": )", m.argsrepr);
  to.text(R"(, "kwargsrepr": )", m.kwargsrepr);
  to.text(R"(, "origin": )", m.origin);
  // Absent, the worker's own setting counts.
  if (m.ignore_result) to.raw(R"(, "ignore_result": )", *m.ignore_result ? "true" : "false");
  to.integer(R"(, "replaced_task_nesting": )", m.replaced_task_nesting);
  to.raw(R"(, "stamped_headers": )", "");
  to.value(m.stamped_headers);
  to.raw(R"(, "stamps": )", "");
  m.stamps.empty() ? to.raw("", "{}") : to.value(m.stamps);
  to.custom(m.custom_headers);
  if (!m.compression.empty()) to.text(R"(, "compression": )", m.compression);
  if (m.redelivered) to.raw(R"(, "redelivered": )", "true");
}

void write_properties(Writer& to, const TaskMessage& m) {
  to.text(R"(}, "properties": {"correlation_id": )", m.id);
  if (m.reply_to.empty()) {
    to.raw(R"(, "reply_to": )", "null");
  } else {
    to.text(R"(, "reply_to": )", m.reply_to);
  }
  to.integer(R"(, "delivery_mode": )", m.delivery_mode);
  if (m.expiration) to.text(R"(, "expiration": )", *m.expiration);
  to.text(R"(, "delivery_info": {"exchange": )", m.exchange);
  to.text(R"(, "routing_key": )", m.routing_key);
  if (m.redelivered) to.raw(R"(, "redelivered": )", "true");
  to.integer(R"(}, "priority": )", m.priority);
  to.text(R"(, "body_encoding": "base64", "delivery_tag": )", m.delivery_tag);
}

}  // namespace

void append_envelope(std::string& out, const TaskMessage& message) {
  // One allocation for most messages.
  const std::size_t expected = out.size() + envelope_size(message);
  out.reserve(expected);
  out += R"({"body": ")";
  append_base64(out, message.body);
  Writer to(out, expected - out.size());
  to.text(R"(", "content-encoding": )", message.content_encoding);
  to.text(R"(, "content-type": )", message.content_type);
  write_headers(to, message);
  write_properties(to, message);
  to.raw("}}", "");
  to.finish();
}

std::size_t envelope_size(const TaskMessage& message) noexcept {
  constexpr std::size_t kFixed = 1100;  // names, ids, routing
  return kFixed + base64_size(message.body.size()) + message.argsrepr.size() + message.kwargsrepr.size();
}

std::string encode_envelope(const TaskMessage& message) {
  std::string out;
  append_envelope(out, message);
  return out;
}

}  // namespace lovage::wire
