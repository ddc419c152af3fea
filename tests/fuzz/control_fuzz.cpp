// Remote control, as whoever reaches the broker may send it: an envelope, a body in a sound one, a pattern of names.
#include <array>
#include <string>

#include "fuzz/target.hpp"
#include "wire/body.hpp"
#include "wire/control_message.hpp"
#include "wire/regex.hpp"

using namespace lovage;

namespace {

const std::array<std::string, 2> kAccepted{"application/json", "application/x-msgpack"};
constexpr wire::ControlLimits kLimits{.content = {.max_bytes = 1U << 20U}, .max_destinations = 100};
constexpr std::string_view kNode = "m1@wire";

bool is_same(const wire::ControlCommand& a, const wire::ControlCommand& b) {
  const bool same_reply = a.reply && b.reply
                              ? a.reply->ticket == b.reply->ticket && a.reply->exchange == b.reply->exchange &&
                                    a.reply->routing_key == b.reply->routing_key
                              : a.reply.has_value() == b.reply.has_value();
  return same_reply && a.method == b.method && a.destination == b.destination && a.pattern == b.pattern &&
         a.matcher == b.matcher && a.clock == b.clock && a.expires.has_value() == b.expires.has_value();
}

// What was read can be written and is read again as the same; but for strings that no JSON can carry.
void write_again(const wire::ControlCommand& command) {
  const auto message = wire::to_broadcast(command);
  if (!message) return;
  const auto envelope = wire::encode_envelope(*message);
  fuzz::promise(envelope.has_value(), "what to_broadcast makes can be written");
  const auto again = wire::decode_control(*envelope, kAccepted);
  fuzz::promise(again.has_value(), "what is written is read");
  fuzz::promise(is_same(*again, command), "a command that was read again is the same");
  fuzz::promise(wire::to_broadcast(*again)->body == message->body, "it is written alike");
}

void read(std::string_view envelope) {
  const auto command = wire::decode_control(envelope, kAccepted, kLimits);
  if (!command) {
    fuzz::promise(!command.error().message.empty(), "a refusal says why");
    return;
  }
  fuzz::promise(!command->method.empty(), "a command has a name");
  fuzz::promise(!command->destination || command->destination->size() <= kLimits.max_destinations, "names are bounded");
  (void)wire::addresses(*command, kNode);
  write_again(*command);
}

void match(std::string_view pattern) {
  const auto matched = wire::regex_match(pattern, kNode);
  if (!matched) return;
  const std::string text(pattern);
  const auto or_nothing = wire::regex_match(text + "|", kNode);
  fuzz::promise(!or_nothing || *or_nothing, "nothing matches everywhere");
  const auto grouped = wire::regex_match("(" + text + ")", kNode);
  fuzz::promise(!grouped || *grouped == *matched, "a group is what is in it");
  const auto then_all = wire::regex_match("(" + text + ")(.|\n)*$", kNode);
  fuzz::promise(!then_all || *then_all == *matched, "a match of the beginning is one of all with what follows");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::text_of(data, size);
  read(bytes);
  wire::BroadcastMessage message;
  message.body = bytes;
  for (const auto& type : kAccepted) {
    message.content_type = type;
    read(wire::encode_envelope(message).value());
  }
  match(bytes);
  wire::ControlCommand command;
  command.pattern = bytes;
  command.matcher = "glob";
  (void)wire::addresses(command, kNode);
  return 0;
}
