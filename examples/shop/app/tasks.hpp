// The shop's tasks: what takes too long for a web request.
#pragma once

#include <cstdint>
#include <string>

#include <lovage/task.hpp>
#include <lovage/value.hpp>

namespace shop {

struct Tasks {
  // Scales a PNG file to a width, writes it beside the source and returns the new file's name and size.
  lovage::Task<lovage::Value(std::string, std::int64_t)> thumbnail;
  // Adds up a CSV file of orders by product.
  lovage::Task<lovage::Value(std::string)> report;
  // The first digits of pi, with progress on the way.
  lovage::Task<std::string(std::int64_t)> pi;
  // Asks a supplier's HTTP service for a product's price; retried with back-off while it is overloaded.
  lovage::Task<double(std::string)> fetch_price;
};

// Declared on first use.
const Tasks& tasks();

}  // namespace shop
