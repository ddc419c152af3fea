// Frames between the worker and a child: [length:4][type:1][payload]. Pure: bytes in, frames out.
//
//   worker -> child   settings (once, first), request
//   child -> worker   hello (once), started, state, outcome
//
// Requests carry a sequence number of their child (see claim.hpp); what comes back names it. `started` may come late,
// together with the outcome (Request::tell_start).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "execution/request.hpp"
#include "execution/trace.hpp"

namespace lovage::execution {

enum class FrameType : std::uint8_t { settings = 1, request, hello, started, state, outcome };

struct Frame {
  FrameType type{};
  std::string_view payload;
};

// Gathers bytes as they come and cuts them into frames. A frame over the limit, or of an unknown type,
// is bad_data, and stays so.
class FrameBuffer {
 public:
  explicit FrameBuffer(std::size_t max_frame) noexcept : max_frame_(max_frame) {}
  void append(std::string_view bytes);
  void set_max_frame(std::size_t max_frame) noexcept { max_frame_ = max_frame; }
  // nullopt: more bytes are needed. The payload is valid until the next append().
  Result<std::optional<Frame>> next();

 private:
  std::size_t max_frame_;
  std::string bytes_;
  std::size_t begin_ = 0;  // of what next() has not returned
};

// What a child has to know.
struct ChildSettings {
  TraceSettings trace;
  std::uint64_t slot = 0;  // which page of the shared memory is its own
  std::uint64_t max_frame = 0;
  std::uint64_t max_tasks = 0;       // 0: no limit
  std::uint64_t max_memory_kib = 0;  // 0: no limit
};

struct RequestFrame {
  std::uint64_t sequence = 0;
  Request request;
};
struct StartedFrame {
  std::uint64_t sequence = 0;
};
struct StateFrame {
  std::uint64_t sequence = 0;
  std::string state;
  std::string meta_json;
};
struct OutcomeFrame {
  std::uint64_t sequence = 0;
  Outcome outcome;
};
struct HelloFrame {
  std::int32_t pid = 0;
};

// Appends a whole frame. False, and nothing appended: the content cannot be written or is over the limit.
bool write_frame(std::string& out, const ChildSettings& settings, std::size_t max_frame);
bool write_frame(std::string& out, std::uint64_t sequence, const Request& request, std::size_t max_frame);
bool write_frame(std::string& out, const HelloFrame& hello, std::size_t max_frame);
bool write_frame(std::string& out, const StartedFrame& started, std::size_t max_frame);
bool write_frame(std::string& out, const StateFrame& state, std::size_t max_frame);
bool write_frame(std::string& out, std::uint64_t sequence, const Outcome& outcome, std::size_t max_frame);

// Every error is bad_data.
Result<ChildSettings> read_settings(std::string_view payload);
Result<RequestFrame> read_request(std::string_view payload);
Result<HelloFrame> read_hello(std::string_view payload);
Result<StartedFrame> read_started(std::string_view payload);
Result<StateFrame> read_state(std::string_view payload);
Result<OutcomeFrame> read_outcome(std::string_view payload);

// Room for the largest message or result and what goes with it.
constexpr std::size_t max_frame_for(std::size_t max_message_bytes) noexcept {
  return 2 * max_message_bytes + (std::size_t{1} << 20);
}

}  // namespace lovage::execution
