// Reading an envelope (task_message.hpp has the rest) without moving the message about.
#pragma once

#include <string_view>

#include <tl/expected.hpp>

#include "wire/task_message.hpp"

namespace lovage::wire {

// Into a message as made by TaskMessage(). After an error its content means nothing.
tl::expected<void, BadMessage> decode_envelope(TaskMessage& message, std::string_view bytes,
                                               const DecodeLimits& limits);

}  // namespace lovage::wire
