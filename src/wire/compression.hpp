// Compressed bodies. "zlib" and "gzip" are both a zlib stream (RFC 1950), as in kombu.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "wire/body.hpp"

namespace lovage::wire {

Result<std::string> compress(std::string_view bytes, Compression compression);

// Errors: too_large when the result would be over max_bytes (found before it is built), bad_data for bytes
// that are broken, cut short or followed by others.
Result<std::string> decompress(std::string_view bytes, Compression compression, std::size_t max_bytes);

}  // namespace lovage::wire
