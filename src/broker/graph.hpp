// A workflow's graph, stored once: messages carry references into it. The store counts its holders, the messages and
// chords of the workflow that have not ended, and removes it with the last of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace lovage::broker {

struct Graph {
  std::string id;
  std::vector<std::string> pages;  // each is read by itself
  std::uint64_t holders = 0;       // at least 1
};

// Holders that come and go; those that come count first. Of a graph that is not there (any more) it changes nothing.
struct GraphUse {
  std::string graph_id;
  std::uint64_t added = 0;
  std::uint64_t ended = 0;
};

// After its last use.
inline constexpr std::chrono::days kGraphLasts{30};

// What not_found says of one that is not there.
std::string graph_gone(const std::string& graph_id, std::uint64_t page);

}  // namespace lovage::broker
