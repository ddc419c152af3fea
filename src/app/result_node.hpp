// What a client knows of the results of a workflow that it has sent.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <lovage/value.hpp>

#include "base/result.hpp"

namespace lovage::detail {

struct StoredResult;

struct ResultNode {
  std::string id;
  bool is_group = false;
  std::vector<std::shared_ptr<const ResultNode>> children;  // of a group
  std::shared_ptr<const ResultNode> parent;                 // what comes before it in a chain
  std::shared_ptr<const StoredResult> stored;               // known already: eager mode
};
using ResultNodes = std::vector<std::shared_ptr<const ResultNode>>;

}  // namespace lovage::detail

namespace lovage::app {

// The results of a frozen signature (canvas_shape.hpp). Fails with bad_data for what is no signature.
Result<std::shared_ptr<const detail::ResultNode>> results_of(const Value& signature);

// Celery's result tuples: [[id, parent], null], and [[id, parent], [child, ...]] of a group.
Value to_tuple(const detail::ResultNode& node);
// Fails with bad_data for other values.
Result<std::shared_ptr<const detail::ResultNode>> node_from_tuple(const Value& tuple);

}  // namespace lovage::app
