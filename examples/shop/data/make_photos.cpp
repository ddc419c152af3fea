// Draws the pictures that the example makes thumbnails of: make_photos FOLDER
#include <cmath>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>

#include "../app/image.hpp"

namespace {

struct Scene {
  const char* name;
  double sun_x;  // 0 to 1, from the left
  double swell;  // height of the waves
  double warmth;
};

// A sky, a sun and a sea with waves.
shop::Image draw(const Scene& scene, std::uint32_t width, std::uint32_t height) {
  shop::Image image{width, height, {}};
  image.pixels.reserve(std::size_t{width} * height * 3);
  const auto add = [&](double red, double green, double blue) {
    for (const double part : {red, green, blue}) {
      image.pixels.push_back(static_cast<std::uint8_t>(std::lround(std::fmin(1.0, std::fmax(0.0, part)) * 255)));
    }
  };
  for (std::uint32_t row = 0; row < height; ++row) {
    const double y = double(row) / height;
    for (std::uint32_t column = 0; column < width; ++column) {
      const double x = double(column) / width;
      const double horizon = 0.55 + scene.swell * std::sin(x * 18) * std::sin(x * 5 + 1);
      if (y < horizon) {
        const double distance = std::hypot(x - scene.sun_x, (y - 0.3) * height / width);
        const double glow = distance < 0.06 ? 1 : std::exp(-distance * 6);
        add(0.35 + 0.4 * y * scene.warmth + 0.6 * glow, 0.55 + 0.2 * y + 0.4 * glow, 0.85 - 0.3 * y * scene.warmth);
      } else {
        const double wave = 0.1 * std::sin(y * 260 + 6 * std::sin(x * 30));
        const double shine = std::exp(-std::fabs(x - scene.sun_x) * 14) * 0.5;
        add(0.05 + wave + shine, 0.25 + wave + shine * 0.9, 0.45 + wave + shine * 0.6);
      }
    }
  }
  return image;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_photos FOLDER\n";
    return 2;
  }
  try {
    for (const Scene& scene :
         {Scene{"harbour", 0.7, 0.01, 0.6}, Scene{"sunset", 0.4, 0.004, 1.2}, Scene{"storm", 0.2, 0.05, 0.1}}) {
      shop::write_png(draw(scene, 960, 640), std::filesystem::path(argv[1]) / (std::string(scene.name) + ".png"));
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "make_photos: " << error.what() << '\n';
    return 1;
  }
}
