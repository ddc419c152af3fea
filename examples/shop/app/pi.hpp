// A computation that keeps a processor busy.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace shop {

// "3.14159...": that many decimals, by the spigot of Rabinowitz and Wagon. `progress` is called with the number of
// decimals done, about twenty times; what it throws ends the computation. Throws std::invalid_argument.
std::string digits_of_pi(std::int64_t decimals, const std::function<void(std::int64_t)>& progress);

}  // namespace shop
