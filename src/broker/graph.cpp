#include "broker/graph.hpp"

#include <fmt/format.h>

namespace lovage::broker {

std::string graph_gone(const std::string& graph_id, std::uint64_t page) {
  return fmt::format("page {} of the workflow's graph {} is not in the store (any more)", page, graph_id);
}

}  // namespace lovage::broker
