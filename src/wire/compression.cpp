#include "wire/compression.hpp"

#include <bzlib.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>

namespace lovage::wire {
namespace {

constexpr std::size_t kChunk = 64U << 10U;
constexpr std::size_t kLargestInput = std::numeric_limits<unsigned>::max();  // zlib and bzip2 count in 32 bits

auto broken() {
  return fail(Errc::bad_data, "the compressed body is broken");
}
auto too_large() {
  return fail(Errc::too_large, "the decompressed body is over the size limit");
}

// Grows the output chunk by chunk until `step` says that the stream ended. A step reads from where the last
// one stopped and returns how much it read and wrote.
struct Step {
  enum class State { more, end, broken };
  State state = State::more;
  std::size_t read = 0;
  std::size_t written = 0;
};
template <class Take>
Result<std::string> inflate_bounded(std::size_t max_bytes, Take step) {
  std::string out;
  for (;;) {
    const std::size_t start = out.size();
    // One byte over the limit shows that there is too much.
    const std::size_t room = std::min(std::max(kChunk, start), max_bytes + 1 - start);
    out.resize(start + room);
    const Step done = step(out.data() + start, room);
    if (done.state == Step::State::broken) return broken();
    out.resize(start + done.written);
    if (out.size() > max_bytes) return too_large();
    if (done.state == Step::State::end) return out;
    if (done.read == 0 && done.written == 0) return broken();  // cut short
  }
}

Result<std::string> compress_zlib(std::string_view bytes) {
  uLongf size = compressBound(static_cast<uLong>(bytes.size()));
  std::string out(size, '\0');
  // Its sender waits meanwhile: the better levels make messages a little smaller, in several times as long.
  const int rc = ::compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
                             static_cast<uLong>(bytes.size()), Z_BEST_SPEED);
  if (rc != Z_OK) return fail(Errc::bad_data, "zlib cannot compress the body");
  out.resize(size);
  return out;
}

Result<std::string> decompress_zlib(std::string_view bytes, std::size_t max_bytes) {
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  if (inflateInit(&stream) != Z_OK) return fail(Errc::bad_data, "zlib cannot start");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&stream, &inflateEnd);
  return inflate_bounded(max_bytes, [&](char* to, std::size_t room) -> Step {
    stream.next_out = reinterpret_cast<Bytef*>(to);
    stream.avail_out = static_cast<uInt>(room);
    const auto before = stream.avail_in;
    const int rc = inflate(&stream, Z_NO_FLUSH);
    const std::size_t read = before - stream.avail_in;
    const std::size_t written = room - stream.avail_out;
    if (rc == Z_STREAM_END) return {stream.avail_in == 0 ? Step::State::end : Step::State::broken, read, written};
    return {rc == Z_OK || rc == Z_BUF_ERROR ? Step::State::more : Step::State::broken, read, written};
  });
}

Result<std::string> compress_bzip2(std::string_view bytes) {
  const std::size_t bound = bytes.size() + bytes.size() / 100 + 600;
  if (bound > kLargestInput) return fail(Errc::too_large, "the body is too large for bzip2");
  auto size = static_cast<unsigned>(bound);
  std::string out(size, '\0');
  const int rc = BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(bytes.data()),
                                          static_cast<unsigned>(bytes.size()), 9, 0, 0);
  if (rc != BZ_OK) return fail(Errc::bad_data, "bzip2 cannot compress the body");
  out.resize(size);
  return out;
}

Result<std::string> decompress_bzip2(std::string_view bytes, std::size_t max_bytes) {
  bz_stream stream{};
  stream.next_in = const_cast<char*>(bytes.data());
  stream.avail_in = static_cast<unsigned>(bytes.size());
  if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) return fail(Errc::bad_data, "bzip2 cannot start");
  const std::unique_ptr<bz_stream, decltype(&BZ2_bzDecompressEnd)> guard(&stream, &BZ2_bzDecompressEnd);
  return inflate_bounded(max_bytes, [&](char* to, std::size_t room) -> Step {
    stream.next_out = to;
    stream.avail_out = static_cast<unsigned>(room);
    const auto before = stream.avail_in;
    const int rc = BZ2_bzDecompress(&stream);
    const std::size_t read = before - stream.avail_in;
    const std::size_t written = room - stream.avail_out;
    if (rc == BZ_STREAM_END) return {stream.avail_in == 0 ? Step::State::end : Step::State::broken, read, written};
    return {rc == BZ_OK ? Step::State::more : Step::State::broken, read, written};
  });
}

Result<std::string> compress_zstd(std::string_view bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size) != 0U) return fail(Errc::bad_data, "zstd cannot compress the body");
  out.resize(size);
  return out;
}

Result<std::string> decompress_zstd(std::string_view bytes, std::size_t max_bytes) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (context == nullptr) return fail(Errc::bad_data, "zstd cannot start");
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  return inflate_bounded(max_bytes, [&](char* to, std::size_t room) -> Step {
    ZSTD_outBuffer out{to, room, 0};
    const std::size_t before = in.pos;
    const std::size_t hint = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(hint) != 0U) return {Step::State::broken, 0, 0};
    if (hint == 0) return {in.pos == in.size ? Step::State::end : Step::State::broken, in.pos - before, out.pos};
    return {Step::State::more, in.pos - before, out.pos};
  });
}

}  // namespace

Result<std::string> compress(std::string_view bytes, Compression compression) {
  switch (compression) {
    case Compression::none:
      return std::string(bytes);
    case Compression::zlib:
      return compress_zlib(bytes);
    case Compression::bzip2:
      return compress_bzip2(bytes);
    case Compression::zstd:
      return compress_zstd(bytes);
  }
  return broken();
}

Result<std::string> decompress(std::string_view bytes, Compression compression, std::size_t max_bytes) {
  if (bytes.size() > std::min(max_bytes, kLargestInput)) {
    return fail(Errc::too_large, "the compressed body is over the size limit");
  }
  switch (compression) {
    case Compression::none:
      return std::string(bytes);
    case Compression::zlib:
      return decompress_zlib(bytes, max_bytes);
    case Compression::bzip2:
      return decompress_bzip2(bytes, max_bytes);
    case Compression::zstd:
      return decompress_zstd(bytes, max_bytes);
  }
  return broken();
}

}  // namespace lovage::wire
