// A CSV file of orders: "order,day,product,quantity,price" with a heading line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace shop {

struct ProductTotal {
  std::int64_t quantity = 0;
  std::int64_t cents = 0;
};

struct Report {
  std::int64_t orders = 0;
  std::int64_t cents = 0;
  std::map<std::string, ProductTotal> products;
};

// Throws std::runtime_error that names file, line and what is wrong.
Report add_up(const std::filesystem::path& path);

// 123456 -> "1234.56"
std::string in_euros(std::int64_t cents);

}  // namespace shop
