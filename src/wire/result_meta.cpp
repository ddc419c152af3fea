#include "wire/result_meta.hpp"

#include <algorithm>
#include <array>

#include "wire/json.hpp"
#include "wire/names.hpp"
#include "wire/python_repr.hpp"

namespace lovage::wire {
namespace {

constexpr std::string_view kStatusStart = R"({"status": ")";

Value value_of(const std::optional<std::string>& text) {
  return text ? Value(*text) : Value();
}

Object to_object(const ResultMeta& meta) {
  std::vector<Object::Member> members{{"status", meta.status},
                                      {"result", meta.result},
                                      {"traceback", value_of(meta.traceback)},
                                      {"children", meta.children},
                                      {"date_done", value_of(meta.date_done)}};
  if (meta.group_id) members.emplace_back("group_id", *meta.group_id);
  if (meta.parent_id) members.emplace_back("parent_id", *meta.parent_id);
  for (const auto& member : meta.extended) members.push_back(member);
  members.emplace_back("task_id", meta.task_id);
  return Object::from_members(std::move(members));
}

// A text, or nothing for null and other types: readers take what is there.
std::optional<std::string> take_text(Object& from, std::string_view name) {
  Value* value = from.find(name);
  std::string* text = value == nullptr ? nullptr : value->get_if<std::string>();
  if (text == nullptr) return std::nullopt;
  return std::move(*text);
}

Value take(Object& from, std::string_view name) {
  Value* value = from.find(name);
  return value == nullptr ? Value() : std::move(*value);
}

Result<Value> decode(std::string_view bytes, const DecodeLimits& limits) {
  // A msgpack map begins with a byte that no JSON text begins with.
  const bool msgpack = !bytes.empty() && (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0;
  return decode_value(bytes, msgpack ? Serializer::msgpack : Serializer::json, limits);
}

}  // namespace

std::string ExceptionInfo::repr() const {
  std::string out = type + "(";
  bool first = true;
  for (const Value& argument : arguments) {
    if (!first) out += ", ";
    first = false;
    const std::string* text = argument.if_string();
    out += text == nullptr ? safe_repr(argument) : python_string(*text);
  }
  return out + ")";
}

Value to_value(const ExceptionInfo& exception) {
  return Object{{"exc_type", exception.type},
                {"exc_message", exception.arguments},
                {"exc_module", exception.module.empty() ? Value() : Value(exception.module)}};
}

ExceptionInfo exception_from_value(const Value& value) {
  ExceptionInfo exception;
  const auto text = [&value](std::string_view name) {
    const Value* member = value.find(name);
    const std::string* held = member == nullptr ? nullptr : member->if_string();
    return held == nullptr ? std::string() : *held;
  };
  exception.type = text("exc_type");
  exception.module = text("exc_module");
  if (exception.type.empty()) exception.type = "Exception";
  const Value* message = value.if_object() == nullptr ? &value : value.find("exc_message");
  if (message == nullptr || message->is_null()) return exception;
  if (const Array* arguments = message->if_array()) {
    exception.arguments = *arguments;
  } else {
    exception.arguments.push_back(*message);
  }
  return exception;
}

Result<std::string> encode_result_meta(const ResultMeta& meta, Serializer serializer, JsonTypes json_types) {
  return encode_value(to_object(meta), serializer, json_types);
}

Result<ResultMeta> decode_result_meta(std::string_view bytes, const DecodeLimits& limits) {
  auto value = decode(bytes, limits);
  if (!value) return tl::unexpected(std::move(value.error()));
  Object* members = value->if_object();
  if (members == nullptr) return fail(Errc::bad_data, "a result meta is not an object");
  auto status = take_text(*members, "status");
  if (!status) return fail(Errc::bad_data, "a result meta without a status");
  ResultMeta meta;
  meta.status = std::move(*status);
  meta.task_id = take_text(*members, "task_id").value_or("");
  meta.result = take(*members, "result");
  meta.traceback = take_text(*members, "traceback");
  meta.children = take(*members, "children");
  meta.date_done = take_text(*members, "date_done");
  meta.group_id = take_text(*members, "group_id");
  meta.parent_id = take_text(*members, "parent_id");
  std::vector<Object::Member> extended;
  static constexpr std::array<std::string_view, 8> kKnown{"status",   "task_id",   "result",   "traceback",
                                                          "children", "date_done", "group_id", "parent_id"};
  for (auto& [name, member] : *members) {
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
      extended.emplace_back(std::move(name), std::move(member));
    }
  }
  meta.extended = Object::from_members(std::move(extended));
  return meta;
}

std::string encode_success_meta(const SuccessMeta& meta) {
  std::string out;
  out.reserve(250 + meta.result_json.size() + meta.children_json.size());
  out += R"({"status": "SUCCESS", "result": )";
  out += meta.result_json;
  out += R"(, "traceback": null, "children": )";
  out += meta.children_json;
  out += R"(, "date_done": )";
  append_json_string(out, meta.date_done);
  if (meta.group_id) {
    out += R"(, "group_id": )";
    append_json_string(out, *meta.group_id);
  }
  if (meta.parent_id) {
    out += R"(, "parent_id": )";
    append_json_string(out, *meta.parent_id);
  }
  out += R"(, "task_id": )";
  append_json_string(out, meta.task_id);
  out += '}';
  return out;
}

std::string date_done_text(Timestamp at, JsonTypes json_types) {
  std::string text = to_wire_time(at).text;
  if (json_types == JsonTypes::celery_5_2) text.resize(text.size() - std::string_view("+00:00").size());
  return text;
}

std::string result_key(std::string_view task_id) {
  return std::string(kResultKeyPrefix).append(task_id);
}

std::optional<std::string> peek_status(std::string_view bytes) {
  if (bytes.starts_with(kStatusStart)) {
    const std::string_view rest = bytes.substr(kStatusStart.size());
    const std::size_t end = rest.find_first_of("\"\\");
    if (end != std::string_view::npos && rest[end] == '"') return std::string(rest.substr(0, end));
  }
  auto value = decode(bytes, {});
  Object* members = value ? value->if_object() : nullptr;
  return members == nullptr ? std::nullopt : take_text(*members, "status");
}

}  // namespace lovage::wire
