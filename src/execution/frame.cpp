#include "execution/frame.hpp"

#include <concepts>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "execution/codec.hpp"

// One list of members a struct, for both directions: T is const when writing.
template <class T, class U>
concept Either = std::same_as<std::remove_const_t<T>, U>;

namespace lovage::wire {

template <class Archive, Either<WireTime> T>
void fields(Archive& archive, T& time) {
  archive(time.text, time.at);
}

template <class Archive, Either<TimeLimits> T>
void fields(Archive& archive, T& limits) {
  archive(limits.hard, limits.soft);
}

template <class Archive, Either<ExceptionInfo> T>
void fields(Archive& archive, T& exception) {
  archive(exception.type, exception.module, exception.arguments);
}

template <class Archive, Either<TaskMessage> T>
void fields(Archive& archive, T& message) {
  archive(message.task, message.id, message.shadow, message.eta, message.expires, message.group_id, message.group_index,
          message.retries, message.timelimit, message.root_id, message.parent_id, message.argsrepr, message.kwargsrepr,
          message.origin, message.ignore_result, message.replaced_task_nesting, message.stamped_headers, message.stamps,
          message.custom_headers, message.compression, message.reply_to, message.priority, message.delivery_mode,
          message.expiration, message.exchange, message.routing_key, message.delivery_tag, message.redelivered,
          message.content_type, message.content_encoding, message.body, message.protocol1);
}

}  // namespace lovage::wire

namespace lovage::execution {
namespace {

template <class Archive, Either<TraceSettings> T>
void fields(Archive& archive, T& settings) {
  archive(settings.accept_content, settings.json_types, settings.limits.max_bytes, settings.limits.max_depth,
          settings.ignore_result, settings.hostname, settings.process_name);
  archive.require(settings.json_types == wire::JsonTypes::celery_5_6 ||
                  settings.json_types == wire::JsonTypes::celery_5_2);
}

template <class Archive, Either<ChildSettings> T>
void fields(Archive& archive, T& settings) {
  fields(archive, settings.trace);
  archive(settings.slot, settings.max_frame, settings.max_tasks, settings.max_memory_kib);
}

template <class Archive, Either<wire::SharedMessage> T>
void fields(Archive& archive, T& message) {
  if constexpr (std::is_const_v<T>) {
    archive(*message);
  } else {
    archive(message.edit());
  }
}

template <class Archive, Either<Request> T>
void fields(Archive& archive, T& request) {
  archive(request.job);
  fields(archive, request.message);
  archive(request.soft_time_limit, request.time_limit, request.alone, request.tell_start);
}

template <class Archive, Either<RetryAsked> T>
void fields(Archive& archive, T& retry) {
  archive(retry.eta, retry.countdown, retry.args, retry.kwargs, retry.max_retries, retry.queue, retry.priority,
          retry.timelimit, retry.message);
}

// `death` is the parent's to fill.
template <class Archive, Either<Outcome> T>
void fields(Archive& archive, T& outcome) {
  archive(outcome.job, outcome.kind, outcome.result_json, outcome.exception, outcome.traceback, outcome.expected);
  fields(archive, outcome.retry);
  archive(outcome.requeue, outcome.reason, outcome.detail, outcome.children, outcome.replacement,
          outcome.added_to_chord, outcome.runtime, outcome.pid, outcome.process_name);
  archive.require(outcome.kind >= Outcome::Kind::success && outcome.kind <= Outcome::Kind::not_started);
}

template <class Archive, Either<HelloFrame> T>
void fields(Archive& archive, T& hello) {
  archive(hello.pid);
}

template <class Archive, Either<StartedFrame> T>
void fields(Archive& archive, T& started) {
  archive(started.sequence);
}

template <class Archive, Either<StateFrame> T>
void fields(Archive& archive, T& state) {
  archive(state.sequence, state.state, state.meta_json);
}

template <class... T>
bool write(std::string& out, FrameType type, std::size_t max_frame, const T&... parts) {
  constexpr std::size_t kPrefix = sizeof(std::uint32_t);
  const std::size_t start = out.size();
  Writer writer(out);
  writer(std::uint32_t{0}, type);
  const auto put = [&writer](const auto& part) {
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(part)>>) {
      writer(part);
    } else {
      fields(writer, part);
    }
  };
  (put(parts), ...);
  const std::size_t length = out.size() - start - kPrefix;
  if (!writer.ok() || length > max_frame || length > std::numeric_limits<std::uint32_t>::max()) {
    out.resize(start);
    return false;
  }
  std::string prefix;
  Writer{prefix}(static_cast<std::uint32_t>(length));
  out.replace(start, kPrefix, prefix);
  return true;
}

template <class T>
Result<T> checked(const Reader& reader, T value, std::string_view what) {
  if (!reader.finished()) return fail(Errc::bad_data, fmt::format("a malformed {} frame", what));
  return value;
}

template <class T>
Result<T> read_whole(std::string_view payload, std::string_view what) {
  Reader reader(payload);
  T value;
  fields(reader, value);
  return checked(reader, std::move(value), what);
}

}  // namespace

void FrameBuffer::append(std::string_view bytes) {
  constexpr std::size_t kWorthMoving = std::size_t{64} * 1024;
  if (begin_ == bytes_.size()) {
    bytes_.clear();
    begin_ = 0;
  } else if (begin_ > kWorthMoving && begin_ > bytes_.size() / 2) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  bytes_.append(bytes);
}

Result<std::optional<Frame>> FrameBuffer::next() {
  const std::string_view rest = std::string_view(bytes_).substr(begin_);
  if (rest.size() < sizeof(std::uint32_t)) return std::nullopt;
  std::uint32_t length = 0;
  Reader{rest.substr(0, sizeof length)}(length);
  if (length == 0 || length > max_frame_)
    return fail(Errc::bad_data, fmt::format("a frame of {} bytes (allowed: 1 to {})", length, max_frame_));
  if (rest.size() - sizeof length < length) return std::nullopt;
  const auto type = static_cast<FrameType>(rest[sizeof length]);
  if (type < FrameType::settings || type > FrameType::outcome)
    return fail(Errc::bad_data, fmt::format("a frame of unknown type {}", static_cast<int>(type)));
  begin_ += sizeof length + length;
  return Frame{type, rest.substr(sizeof length + 1, length - 1)};
}

bool write_frame(std::string& out, const ChildSettings& settings, std::size_t max_frame) {
  return write(out, FrameType::settings, max_frame, settings);
}
bool write_frame(std::string& out, std::uint64_t sequence, const Request& request, std::size_t max_frame) {
  return write(out, FrameType::request, max_frame, sequence, request);
}
bool write_frame(std::string& out, const HelloFrame& hello, std::size_t max_frame) {
  return write(out, FrameType::hello, max_frame, hello);
}
bool write_frame(std::string& out, const StartedFrame& started, std::size_t max_frame) {
  return write(out, FrameType::started, max_frame, started);
}
bool write_frame(std::string& out, const StateFrame& state, std::size_t max_frame) {
  return write(out, FrameType::state, max_frame, state);
}
bool write_frame(std::string& out, std::uint64_t sequence, const Outcome& outcome, std::size_t max_frame) {
  return write(out, FrameType::outcome, max_frame, sequence, outcome);
}

Result<ChildSettings> read_settings(std::string_view payload) {
  return read_whole<ChildSettings>(payload, "settings");
}
Result<HelloFrame> read_hello(std::string_view payload) {
  return read_whole<HelloFrame>(payload, "hello");
}
Result<StartedFrame> read_started(std::string_view payload) {
  return read_whole<StartedFrame>(payload, "started");
}
Result<StateFrame> read_state(std::string_view payload) {
  return read_whole<StateFrame>(payload, "state");
}

Result<RequestFrame> read_request(std::string_view payload) {
  Reader reader(payload);
  RequestFrame frame;
  reader(frame.sequence);
  fields(reader, frame.request);
  return checked(reader, std::move(frame), "request");
}

Result<OutcomeFrame> read_outcome(std::string_view payload) {
  Reader reader(payload);
  OutcomeFrame frame;
  reader(frame.sequence);
  fields(reader, frame.outcome);
  return checked(reader, std::move(frame), "outcome");
}

}  // namespace lovage::execution
