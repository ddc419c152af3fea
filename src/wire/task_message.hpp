// A task message (Celery's protocol 2): what a producer sends and a worker receives, taken apart as
// far as routing and scheduling need it. The body stays encoded; see body.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace lovage::wire {

// A time as it travels: the text is kept because a retry forwards it unchanged.
struct WireTime {
  std::string text;
  Timestamp at;  // naive texts are UTC, as Celery's workers take them
};

// ISO 8601 with microseconds and offset, as Celery writes an aware UTC time.
WireTime to_wire_time(Timestamp at);
Result<WireTime> parse_wire_time(std::string_view text);

struct TimeLimits {
  std::optional<double> hard;  // seconds; Celery: time_limit
  std::optional<double> soft;
};

struct TaskMessage {
  // Headers, in the order of the wire.
  std::string task;
  std::string id;
  std::optional<std::string> shadow;
  std::optional<WireTime> eta;
  std::optional<WireTime> expires;
  std::optional<std::string> group_id;
  std::optional<std::int64_t> group_index;
  std::int64_t retries = 0;
  TimeLimits timelimit;
  std::string root_id;  // empty on a protocol 1 message: the task's own id is meant
  std::optional<std::string> parent_id;
  std::string argsrepr;
  std::string kwargsrepr;
  std::string origin;
  std::optional<bool> ignore_result;
  std::int64_t replaced_task_nesting = 0;
  Value stamped_headers;  // array of names, or null
  Object stamps;
  Object custom_headers;    // every other header, as received
  std::string compression;  // MIME name, empty: none

  // Properties.
  std::string reply_to;
  int priority = 0;  // as given; the list that is used is clamped
  int delivery_mode = 2;
  std::optional<std::string> expiration;
  std::string exchange;  // empty: the anonymous exchange, routing_key names the queue
  std::string routing_key;
  std::string delivery_tag;  // chosen by the producer; a payload, never a key of ours
  bool redelivered = false;

  // Body: serialised and, with `compression`, compressed; never base64 here.
  std::string content_type = "application/json";
  std::string content_encoding = "utf-8";
  std::string body;
  // The body is a protocol 1 object (or a hybrid), not [args, kwargs, embed].
  bool protocol1 = false;

  // Celery: request.name
  [[nodiscard]] const std::string& display_name() const noexcept { return shadow ? *shadow : task; }
};

// Why bytes from a queue are no task message, with as much as could be read.
struct BadMessage {
  std::string reason;  // short and stable: "bad-envelope", "bad-header", "unknown-compression", ...
  std::string detail;  // one line for people
  std::string id;      // empty when it could not be read
  std::string task;
};

// The limits on what a worker takes apart; beyond them a message is a BadMessage "too-large".
struct DecodeLimits {
  std::size_t max_bytes = 64u << 20;
  int max_depth = 100;
};

// One entry of a Redis list or SQLite row: the JSON envelope of kombu's virtual transports, body in base64.
std::string encode_envelope(const TaskMessage& message);
// Its size in bytes, about: without escapes and headers of the sender's own.
std::size_t envelope_size(const TaskMessage& message) noexcept;
void append_envelope(std::string& out, const TaskMessage& message);
tl::expected<TaskMessage, BadMessage> decode_envelope(std::string_view bytes, const DecodeLimits& limits = {});

}  // namespace lovage::wire
