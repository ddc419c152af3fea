#include "wire/body.hpp"

#include <algorithm>
#include <array>

#include "wire/compression.hpp"
#include "wire/json.hpp"
#include "wire/msgpack.hpp"
#include "wire/protocol1.hpp"

namespace lovage::wire {
namespace {

template <class T>
struct Alias {
  std::string_view name;
  T value;
};
// The MIME name comes first: it is the one that is written.
constexpr std::array kSerializers{
    Alias<Serializer>{"application/json", Serializer::json}, Alias<Serializer>{"json", Serializer::json},
    Alias<Serializer>{"application/x-msgpack", Serializer::msgpack}, Alias<Serializer>{"msgpack", Serializer::msgpack}};
constexpr std::array kCompressions{
    Alias<Compression>{"", Compression::none},
    Alias<Compression>{"none", Compression::none},
    Alias<Compression>{"application/x-gzip", Compression::zlib},
    Alias<Compression>{"zlib", Compression::zlib},
    Alias<Compression>{"gzip", Compression::zlib},
    Alias<Compression>{"application/x-bz2", Compression::bzip2},
    Alias<Compression>{"bzip2", Compression::bzip2},
    Alias<Compression>{"bzip", Compression::bzip2},
    Alias<Compression>{"application/zstd", Compression::zstd},
    Alias<Compression>{"zstd", Compression::zstd},
    Alias<Compression>{"zstandard", Compression::zstd},
};

template <class Table>
auto from_name(const Table& table, std::string_view name) noexcept -> std::optional<decltype(table[0].value)> {
  for (const auto& alias : table) {
    if (alias.name == name) return alias.value;
  }
  return std::nullopt;
}

template <class Table, class T>
std::string_view first_name(const Table& table, T value) noexcept {
  for (const auto& alias : table) {
    if (alias.value == value) return alias.name;
  }
  return {};
}

constexpr std::string_view kNoEmbed = R"({"callbacks": null, "errbacks": null, "chain": null, "chord": null}])";

void append_member(std::string& out, std::string_view name, const Value& value, JsonTypes types, Result<void>& status) {
  out += name;
  if (status) status = append_json(out, value, types);
}

Value value_of(const std::optional<Array>& list) {
  return list ? Value(*list) : Value();
}

Result<std::string> body_to_json(const Array& args, const Object& kwargs, const Embed& embed, JsonTypes types) {
  std::string out;
  out.reserve(2 * kNoEmbed.size());  // enough for few and small arguments
  Result<void> status;
  append_member(out, "[", args, types, status);
  append_member(out, ", ", kwargs, types, status);
  out += ", ";
  if (!embed.callbacks && !embed.errbacks && !embed.chain && !embed.chord) {
    out += kNoEmbed;
  } else {
    append_member(out, R"({"callbacks": )", value_of(embed.callbacks), types, status);
    append_member(out, R"(, "errbacks": )", value_of(embed.errbacks), types, status);
    append_member(out, R"(, "chain": )", value_of(embed.chain), types, status);
    append_member(out, R"(, "chord": )", embed.chord.value_or(Value()), types, status);
    out += "}]";
  }
  if (!status) return tl::unexpected(std::move(status.error()));
  return out;
}

Result<std::string> body_to_msgpack(const Array& args, const Object& kwargs, const Embed& embed) {
  Object follows{{"callbacks", value_of(embed.callbacks)},
                 {"errbacks", value_of(embed.errbacks)},
                 {"chain", value_of(embed.chain)},
                 {"chord", embed.chord.value_or(Value())}};
  Array parts;
  parts.emplace_back(args);
  parts.emplace_back(kwargs);
  parts.emplace_back(std::move(follows));
  return encode_msgpack(Value(std::move(parts)));
}

// Moves a list of signatures out of the embed; false when it is something else.
bool take_list(Value* from, std::optional<Array>& to) {
  if (from == nullptr || from->is_null()) return true;
  Array* list = from->if_array();
  if (list == nullptr) return false;
  to = std::move(*list);
  return true;
}

bool take_embed(Value& from, Embed& to) {
  if (from.is_null()) return true;
  Object* members = from.if_object();
  if (members == nullptr) return false;
  Value* chord = members->find("chord");
  if (chord != nullptr && !chord->is_null()) to.chord = std::move(*chord);
  return take_list(members->find("callbacks"), to.callbacks) && take_list(members->find("errbacks"), to.errbacks) &&
         take_list(members->find("chain"), to.chain);
}

// Behind the array or object that begins at `at`, after spaces; npos where none begins there or it does not end. Its
// brackets are counted, and need not be valid.
std::size_t behind_container(std::string_view text, std::size_t at) noexcept {
  at = text.find_first_not_of(' ', at);
  if (at == std::string_view::npos || (text[at] != '[' && text[at] != '{')) return std::string_view::npos;
  for (int depth = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && --depth == 0) return at + 1;
    if (c != '"') continue;
    for (++at; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\') ++at;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::optional<Serializer> serializer_from_name(std::string_view name) noexcept {
  return from_name(kSerializers, name);
}
std::optional<Compression> compression_from_name(std::string_view name) noexcept {
  return from_name(kCompressions, name);
}
std::string_view mime_name(Serializer serializer) noexcept {
  return first_name(kSerializers, serializer);
}
std::string_view mime_name(Compression compression) noexcept {
  return first_name(kCompressions, compression);
}

Result<void> encode_body(TaskMessage& message, const Array& args, const Object& kwargs, const Embed& embed,
                         const BodyFormat& format) {
  auto bytes = format.serializer == Serializer::json ? body_to_json(args, kwargs, embed, format.json_types)
                                                     : body_to_msgpack(args, kwargs, embed);
  if (!bytes) return tl::unexpected(std::move(bytes.error()));
  if (bytes->size() > format.max_bytes) {
    return tl::unexpected(over_limit("the message of task " + message.task, bytes->size(), format.max_bytes));
  }
  Compression compression = format.compression;
  if (compression != Compression::none) {
    bytes = compress(*bytes, compression);
    if (!bytes) return tl::unexpected(std::move(bytes.error()));
  } else if (bytes->size() > format.compress_above) {
    auto packed = compress(*bytes, Compression::zlib);
    if (packed && packed->size() < bytes->size()) {
      bytes = std::move(packed);
      compression = Compression::zlib;
    }
  }
  message.body = std::move(*bytes);
  message.content_type = mime_name(format.serializer);
  message.content_encoding = format.serializer == Serializer::json ? "utf-8" : "binary";
  message.compression = mime_name(compression);
  message.protocol1 = false;
  return {};
}

tl::expected<Body, BadMessage> decode_body(const TaskMessage& message, std::span<const std::string> accept_content,
                                           const DecodeLimits& limits) {
  const auto bad = [&](std::string reason, std::string detail) {
    return tl::unexpected(bad_body(message, std::move(reason), std::move(detail)));
  };
  if (std::find(accept_content.begin(), accept_content.end(), message.content_type) == accept_content.end()) {
    return bad("refused-content-type", "content type '" + message.content_type + "' is not accepted");
  }
  auto content = decode_content(message, limits);
  if (!content) return tl::unexpected(std::move(content.error()));
  if (content->find("args") != nullptr || (message.protocol1 && content->if_object() != nullptr)) {
    return body_from_protocol1(message, std::move(*content));
  }
  Array* parts = content->if_array();
  if (parts == nullptr || parts->size() != 3) return bad("bad-body", "the body is not [args, kwargs, embed]");
  Array* args = (*parts)[0].if_array();
  Object* kwargs = (*parts)[1].if_object();
  if (args == nullptr) return bad("bad-body", "args is not an array");
  if (kwargs == nullptr) return bad("bad-body", "kwargs is not an object");
  Body body{std::move(*args), std::move(*kwargs), {}};
  if (!take_embed((*parts)[2], body.embed)) return bad("bad-body", "unreadable callbacks, errbacks, chain or chord");
  return body;
}

Failure over_limit(std::string_view what, std::size_t bytes, std::size_t allowed) {
  return {Errc::too_large, std::string(what) + " has " + std::to_string(bytes) +
                               " bytes, task_message_max_bytes allows " + std::to_string(allowed)};
}

bool has_no_embed(const TaskMessage& message, const DecodeLimits& limits) {
  if (message.content_type != mime_name(Serializer::json)) return false;
  const auto ends_empty = [](std::string_view body) { return body.starts_with('[') && body.ends_with(kNoEmbed); };
  if (message.compression.empty()) return ends_empty(message.body);
  const auto compression = compression_from_name(message.compression);
  if (!compression) return false;
  const auto body = decompress(message.body, *compression, limits.max_bytes);
  return body && ends_empty(*body);
}

std::string_view embed_text(const TaskMessage& message) noexcept {
  const std::string_view body = message.body;
  if (message.content_type != mime_name(Serializer::json) || !message.compression.empty() || message.protocol1 ||
      !body.starts_with('['))
    return {};
  std::size_t at = 1;
  for (int element = 0; element < 2; ++element) {
    at = behind_container(body, at);
    if (at == std::string_view::npos || at >= body.size() || body[at] != ',') return {};
    ++at;
  }
  return body.substr(at);
}

BodyFormat format_of(const TaskMessage& message, JsonTypes json_types) noexcept {
  return {serializer_from_name(message.content_type).value_or(Serializer::json),
          compression_from_name(message.compression).value_or(Compression::none), json_types};
}

Result<std::string> encode_value(const Value& value, Serializer serializer, JsonTypes json_types) {
  if (serializer == Serializer::msgpack) return encode_msgpack(value);
  std::string out;
  if (auto ok = append_json(out, value, json_types); !ok) return tl::unexpected(std::move(ok.error()));
  return out;
}

Result<Value> decode_value(std::string_view bytes, Serializer serializer, const DecodeLimits& limits) {
  return serializer == Serializer::msgpack ? decode_msgpack(bytes, limits) : parse_json(bytes, limits);
}

}  // namespace lovage::wire
