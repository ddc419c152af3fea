// Shares what would travel in many of a workflow's messages: what follows a task becomes a reference into a graph that
// is stored once, when it is large enough to be worth a look at the store.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <lovage/value.hpp>

#include "app/core.hpp"
#include "base/result.hpp"
#include "broker/graph.hpp"

namespace lovage::app {

// Whether all tasks of a frozen workflow go to queues that are declared `lovage_only`: Python workers cannot read
// references. Then each of them names its queue, so that it gets there whoever sends it. What hangs at them as
// callbacks may go anywhere. Throws ConfigError as routing does.
bool keep_to_lovage(const Core& core, Value& frozen);

class GraphWriter {
 public:
  // `config` outlives it.
  GraphWriter(const Config& config, std::string graph_id) : config_(config), graph_id_(std::move(graph_id)) {}

  // A frozen signature of any form; afterwards it means the same. Fails with bad_data or too_large as launching does.
  Result<void> share(Value& signature);

  // Without pages where nothing was worth it. Holders are for the caller to count.
  [[nodiscard]] broker::Graph take();

 private:
  Result<void> share_at(Value& signature, int depth);
  Result<void> share_all(Array* signatures, int depth);
  Result<void> share_chain(Value& chain, int depth);
  Result<void> share_header(Array& header, int depth);
  Value put(const Value& signature);  // a reference to it
  void end_page();

  const Config& config_;
  const std::string graph_id_;
  std::vector<std::string> pages_;
  std::string page_;  // a JSON array without its end
  std::uint64_t on_page_ = 0;
};

}  // namespace lovage::app
