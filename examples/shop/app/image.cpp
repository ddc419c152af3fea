#include "image.hpp"

#include <png.h>

#include <algorithm>
#include <stdexcept>

namespace shop {
namespace {

constexpr std::uint32_t kLargestSide = 10'000;

[[noreturn]] void fail(const std::filesystem::path& path, const char* why) {
  throw std::runtime_error(path.string() + ": " + why);
}

// libpng's simplified interface, which reports errors by return values.
class Png {
 public:
  Png() { image_.version = PNG_IMAGE_VERSION; }
  ~Png() { png_image_free(&image_); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;
  png_image* operator->() noexcept { return &image_; }
  png_image* get() noexcept { return &image_; }

 private:
  png_image image_{};
};

// The first and one past the last source position that a new one covers.
std::pair<std::uint32_t, std::uint32_t> span_of(std::uint32_t i, std::uint32_t to, std::uint32_t from) {
  const auto first = static_cast<std::uint32_t>(std::uint64_t{i} * from / to);
  const auto last = static_cast<std::uint32_t>((std::uint64_t{i} + 1) * from / to);
  return {first, std::max(last, first + 1)};
}

}  // namespace

Image read_png(const std::filesystem::path& path) {
  Png png;
  if (png_image_begin_read_from_file(png.get(), path.c_str()) == 0) fail(path, png->message);
  if (png->width > kLargestSide || png->height > kLargestSide) fail(path, "the picture is too large");
  png->format = PNG_FORMAT_RGB;
  Image image{png->width, png->height, {}};
  image.pixels.resize(PNG_IMAGE_SIZE(*png.get()));
  const png_color white{255, 255, 255};  // behind what is transparent
  if (png_image_finish_read(png.get(), &white, image.pixels.data(), 0, nullptr) == 0) fail(path, png->message);
  return image;
}

void write_png(const Image& image, const std::filesystem::path& path) {
  Png png;
  png->width = image.width;
  png->height = image.height;
  png->format = PNG_FORMAT_RGB;
  // Renamed into place: a reader, or a second run of the same task, never sees half a picture.
  const std::filesystem::path part = path.string() + ".part";
  if (png_image_write_to_file(png.get(), part.c_str(), 0, image.pixels.data(), 0, nullptr) == 0)
    fail(path, png->message);
  std::filesystem::rename(part, path);
}

Image scale_to_width(const Image& source, std::uint32_t width) {
  if (source.width == 0 || source.height == 0) throw std::runtime_error("the picture is empty");
  width = std::clamp(width, 1U, source.width);
  const auto height = static_cast<std::uint32_t>(
      std::max<std::uint64_t>(1, (std::uint64_t{source.height} * width + source.width / 2) / source.width));
  Image out{width, height, {}};
  out.pixels.reserve(std::size_t{width} * height * 3);
  for (std::uint32_t y = 0; y < height; ++y) {
    const auto [top, bottom] = span_of(y, height, source.height);
    for (std::uint32_t x = 0; x < width; ++x) {
      const auto [left, right] = span_of(x, width, source.width);
      const std::uint64_t count = std::uint64_t{bottom - top} * (right - left);
      for (std::size_t channel = 0; channel < 3; ++channel) {
        std::uint64_t sum = 0;
        for (std::uint32_t row = top; row < bottom; ++row) {
          for (std::uint32_t column = left; column < right; ++column) {
            sum += source.pixels[(std::size_t{row} * source.width + column) * 3 + channel];
          }
        }
        out.pixels.push_back(static_cast<std::uint8_t>((sum + count / 2) / count));
      }
    }
  }
  return out;
}

}  // namespace shop
