// MessagePack as Python's msgpack writes it for kombu: strings and bytes told apart, no extension types.
#pragma once

#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "base/result.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {

// Errors: bad_data for what MessagePack lacks (datetime, Decimal, UUID, numbers beyond 64 bits) and strings
// that are not UTF-8.
Result<std::string> encode_msgpack(const Value& value);
Result<Value> decode_msgpack(std::string_view bytes, const DecodeLimits& limits);

}  // namespace lovage::wire
