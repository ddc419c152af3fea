// PNG files, through libpng.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace shop {

// Rows from top to bottom, three bytes (red, green, blue) a pixel.
struct Image {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::vector<std::uint8_t> pixels;
};

// Throw std::runtime_error that names the file.
Image read_png(const std::filesystem::path& path);
void write_png(const Image& image, const std::filesystem::path& path);

// Keeps the proportions; each new pixel is the mean of those it covers. Never larger than the source.
Image scale_to_width(const Image& source, std::uint32_t width);

}  // namespace shop
