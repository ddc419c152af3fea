// A message from a queue: the worker's way from bytes to arguments, and back to bytes as a retry writes them.
#include <array>
#include <string>

#include "fuzz/target.hpp"
#include "wire/body.hpp"
#include "wire/signature.hpp"
#include "wire/task_message.hpp"

using namespace lovage;

namespace {

const std::array<std::string, 2> kAccepted{"application/json", "application/x-msgpack"};
constexpr wire::DecodeLimits kLimits{.max_bytes = 1U << 20U};

void look_at(const wire::Body& body) {
  (void)wire::args_repr(body.args);
  (void)wire::kwargs_repr(body.kwargs);
  for (const auto* list : {&body.embed.callbacks, &body.embed.errbacks, &body.embed.chain}) {
    if (!*list) continue;
    for (const Value& value : **list) (void)wire::signature_from_value(value);
  }
}

// What was read can be written and is read again as the same.
void write_again(const wire::TaskMessage& message) {
  const auto again = wire::decode_envelope(wire::encode_envelope(message));
  fuzz::promise(again.has_value(), "what encode_envelope writes is read");
  fuzz::promise(again->id == message.id && again->task == message.task, "id and task survive");
  fuzz::promise(again->body == message.body && again->content_type == message.content_type, "the body survives");
  fuzz::promise(again->retries == message.retries && again->priority == message.priority, "the numbers survive");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::text_of(data, size);
  const auto message = wire::decode_envelope(bytes, kLimits);
  if (!message) {
    fuzz::promise(!message.error().reason.empty() && !message.error().detail.empty(), "a refusal says why");
    return 0;
  }
  write_again(*message);
  if (const auto body = wire::decode_body(*message, kAccepted, kLimits)) look_at(*body);
  return 0;
}
