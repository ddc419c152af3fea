#include "orders.hpp"

#include <charconv>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace shop {
namespace {

std::vector<std::string_view> split(std::string_view line, char separator) {
  std::vector<std::string_view> fields;
  while (true) {
    const auto end = line.find(separator);
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size() || value < 0 || value > 1'000'000'000) {
    throw std::invalid_argument("'" + std::string(text) + "' is not a number");
  }
  return value;
}

// "12.50" -> 1250: money is counted in whole cents.
std::int64_t cents(std::string_view text) {
  const auto point = text.find('.');
  if (point == std::string_view::npos || text.size() - point != 3) {
    throw std::invalid_argument("'" + std::string(text) + "' is not a price like 12.50");
  }
  return number(text.substr(0, point)) * 100 + number(text.substr(point + 1));
}

}  // namespace

Report add_up(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  Report report;
  std::set<std::string> orders;
  std::string line;
  std::getline(file, line);  // the headings
  for (int row = 2; std::getline(file, line); ++row) {
    if (line.empty()) continue;
    try {
      const auto fields = split(line, ',');
      if (fields.size() != 5) throw std::invalid_argument("not five columns");
      const std::int64_t quantity = number(fields[3]);
      const std::int64_t amount = quantity * cents(fields[4]);
      orders.emplace(fields[0]);
      ProductTotal& product = report.products[std::string(fields[2])];
      product.quantity += quantity;
      product.cents += amount;
      report.cents += amount;
    } catch (const std::invalid_argument& error) {
      throw std::runtime_error(path.string() + ":" + std::to_string(row) + ": " + error.what());
    }
  }
  report.orders = static_cast<std::int64_t>(orders.size());
  return report;
}

std::string in_euros(std::int64_t cents) {
  const auto rest = std::to_string(cents % 100);
  return std::to_string(cents / 100) + '.' + (rest.size() < 2 ? "0" : "") + rest;
}

}  // namespace shop
