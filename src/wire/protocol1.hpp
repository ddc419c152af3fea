// Protocol 1, and its hybrid with protocol 2: the task is described by an object in the body.
#pragma once

#include <tl/expected.hpp>

#include "wire/body.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {

// Does nothing to a protocol 2 message. Otherwise sets `protocol1` and takes from the body what the headers
// do not say: headers win, as in Celery.
tl::expected<void, BadMessage> adopt_protocol1(TaskMessage& message, const DecodeLimits& limits);

// The parts of a protocol 1 body that follow the headers in protocol 2.
tl::expected<Body, BadMessage> body_from_protocol1(const TaskMessage& message, Value content);

// Decompresses and decodes the body, whatever it holds.
tl::expected<Value, BadMessage> decode_content(const TaskMessage& message, const DecodeLimits& limits);

// A failed body with the message's id and task.
BadMessage bad_body(const TaskMessage& message, std::string reason, std::string detail);

}  // namespace lovage::wire
