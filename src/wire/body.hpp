// The body of a task message: arguments, and what follows the task.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <lovage/value.hpp>

#include "wire/task_message.hpp"

namespace lovage::wire {

enum class Serializer { json, msgpack };
enum class Compression { none, zlib, bzip2, zstd };
// How bytes, datetime, Decimal and UUID are written in JSON: 5.6's tagged objects, or 5.2's ISO and
// string forms (bytes are then an error). Setting: json_types.
enum class JsonTypes { celery_5_6, celery_5_2 };

std::optional<Serializer> serializer_from_name(std::string_view name) noexcept;    // "json", "msgpack", MIME
std::optional<Compression> compression_from_name(std::string_view name) noexcept;  // "zlib", "gzip", "zstd", MIME, ...
std::string_view mime_name(Serializer serializer) noexcept;
std::string_view mime_name(Compression compression) noexcept;

// Signatures stay Values here; wire/signature.hpp reads them.
struct Embed {
  std::optional<Array> callbacks;
  std::optional<Array> errbacks;
  std::optional<Array> chain;  // remaining steps in reverse: the next one is the last
  std::optional<Value> chord;  // the chord's body; its presence makes the task a part
};

struct Body {
  Array args;
  Object kwargs;
  Embed embed;
};

inline constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

struct BodyFormat {
  Serializer serializer = Serializer::json;
  Compression compression = Compression::none;
  JsonTypes json_types = JsonTypes::celery_5_6;
  // Without a compression, a larger body gets the one that every Celery reads (zlib), where it makes it smaller.
  std::size_t compress_above = kUnlimited;
  // A larger body is too_large. Counted before compression: the receiver has to hold all of it.
  std::size_t max_bytes = kUnlimited;
};

// Writes the body into the message (body, content_type, content_encoding, compression).
// Errors: bad_data for values that the format cannot carry (bytes in 5.2's JSON), too_large.
Result<void> encode_body(TaskMessage& message, const Array& args, const Object& kwargs, const Embed& embed,
                         const BodyFormat& format);
inline Result<void> encode_body(TaskMessage& message, const Body& body, const BodyFormat& format) {
  return encode_body(message, body.args, body.kwargs, body.embed, format);
}

// `accept_content` holds MIME names; a type outside it is a BadMessage "refused-content-type".
// The decompressed size is bounded by limits.max_bytes.
tl::expected<Body, BadMessage> decode_body(const TaskMessage& message, std::span<const std::string> accept_content,
                                           const DecodeLimits& limits = {});

// The failure of a message or result that is over task_message_max_bytes. `what`: "the result of task x".
Failure over_limit(std::string_view what, std::size_t bytes, std::size_t allowed);

// True when the body surely carries no callbacks, errbacks, chain or chord: a look at its last bytes,
// without parsing. False means "decode to know".
bool has_no_embed(const TaskMessage& message, const DecodeLimits& limits = {});

// The text of a plain JSON body's third element, found without parsing the first two: bodies with the same text there
// are followed by the same. Empty where that cannot be told (another content type, compressed, no such array).
std::string_view embed_text(const TaskMessage& message) noexcept;

// The format that the message itself came in, to re-encode an edited body alike.
BodyFormat format_of(const TaskMessage& message, JsonTypes json_types) noexcept;

// One serialised value (results, states): JSON text or msgpack bytes.
Result<std::string> encode_value(const Value& value, Serializer serializer, JsonTypes json_types);
Result<Value> decode_value(std::string_view bytes, Serializer serializer, const DecodeLimits& limits = {});

// Python-like repr of args "(2, 3)" and kwargs "{'a': 1}" for logs, events and argsrepr headers:
// at most 1024 characters and three levels, as Celery's saferepr.
std::string args_repr(std::span<const Value> args);
std::string kwargs_repr(const Object& kwargs);
std::string safe_repr(const Value& value);

}  // namespace lovage::wire
