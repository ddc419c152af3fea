#include "tasks.hpp"

#include <filesystem>
#include <stdexcept>

#include <lovage/context.hpp>

#include "celery_app.hpp"
#include "image.hpp"
#include "orders.hpp"
#include "pi.hpp"
#include "supplier.hpp"

namespace shop {
namespace {

using namespace std::chrono_literals;
using lovage::Context;
using lovage::Value;

// Names of files come from web requests: they must not leave the folder they are for.
std::filesystem::path data_file(const std::string& name) {
  if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) {
    throw std::invalid_argument("'" + name + "' is not the name of a file in the data folder");
  }
  return std::filesystem::path("data") / name;
}

Value make_thumbnail(const std::string& file, std::int64_t width) {
  if (width < 1 || width > 4'096) throw std::invalid_argument("width must be from 1 to 4096");
  const auto source = data_file(file);
  const Image photo = read_png(source);
  const Image small = scale_to_width(photo, static_cast<std::uint32_t>(width));
  const auto target = source.parent_path() / (source.stem().string() + "-" + std::to_string(small.width) + ".png");
  write_png(small, target);
  return {{"file", target.string()},
          {"width", small.width},
          {"height", small.height},
          {"from", std::to_string(photo.width) + "x" + std::to_string(photo.height)},
          {"bytes", std::filesystem::file_size(target)}};
}

Value make_report(const std::string& file) {
  const Report report = add_up(data_file(file));
  lovage::Array products;
  for (const auto& [name, total] : report.products) {
    products.push_back({{"product", name}, {"sold", total.quantity}, {"revenue", in_euros(total.cents)}});
  }
  return {{"orders", report.orders}, {"revenue", in_euros(report.cents)}, {"products", std::move(products)}};
}

std::string compute_pi(Context& self, std::int64_t digits) {
  return digits_of_pi(digits, [&](std::int64_t done) {
    self.check();  // the soft time limit ends it here
    self.update_state("PROGRESS", {{"done", done}, {"total", digits}});
  });
}

Tasks declare(lovage::App& app) {
  return {
      app.task("shop.thumbnail", make_thumbnail, lovage::params("file", lovage::param("width") = std::int64_t{96}),
               {.queue = "images"}),
      app.task("shop.report", make_report, lovage::params("file")),
      app.task("shop.pi", compute_pi, lovage::params("digits"), {.soft_time_limit = 60s}),
      app.task("shop.fetch_price", fetch_price, lovage::params("product"),
               {.max_retries = 5,
                .autoretry_for = lovage::exceptions<SupplierBusy>(),
                .retry_backoff = 0.2,
                .retry_jitter = false}),
  };
}

}  // namespace

const Tasks& tasks() {
  static const Tasks kDeclared = declare(celery_app());
  return kDeclared;
}

}  // namespace shop
