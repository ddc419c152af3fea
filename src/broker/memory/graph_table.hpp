// The stored graphs of a store in memory. No lock: the store has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/graph.hpp"

namespace lovage::broker::memory {

class GraphTable {
 public:
  void store(const Graph& graph, Timestamp now);
  [[nodiscard]] Result<std::string> page(const std::string& graph_id, std::uint64_t page) const;
  void use(const GraphUse& use, Timestamp now);
  // Removes what nobody has used for long.
  void expire(Timestamp now);

 private:
  struct Stored {
    std::vector<std::string> pages;
    std::uint64_t holders = 0;
    Timestamp expires;
  };
  std::unordered_map<std::string, Stored> graphs_;
};

}  // namespace lovage::broker::memory
