#include "broker/memory/store.hpp"

namespace lovage::broker::memory {

void Store::start_chord(const ChordStart& start) {
  const std::lock_guard lock(mutex_);
  chords_.start(start, clock().now());
}

void Store::extend_chord(const std::string& group_id) {
  const std::lock_guard lock(mutex_);
  chords_.extend(group_id, clock().now());
}

bool Store::count_parts(const ChordCount& parts) {
  const std::lock_guard lock(mutex_);
  return count(parts, clock().now());
}

// The results of a chord that lives expire much later.
bool Store::count(const ChordCount& parts, Timestamp now) {
  const auto counted = chords_.count(parts, now);
  if (counted.is_live) {
    for (const auto& part : parts.parts) results_.keep(part.task_id, now);
  }
  return counted.complete;
}

ChordParts Store::chord_parts(const std::string& group_id, const std::string& from, std::size_t most) {
  const std::lock_guard lock(mutex_);
  return chords_.parts(group_id, from, most, clock().now());
}

void Store::end_chord(const ChordEnd& ended) {
  const std::lock_guard lock(mutex_);
  end(ended, clock().now());
}

void Store::end(const ChordEnd& ended, Timestamp now) {
  chords_.end(ended.group_id, now);
  for (const auto& task_id : ended.task_ids) results_.let_go(task_id, now);
}

void Store::save_group(const std::string& group_id, const std::string& text) {
  const std::lock_guard lock(mutex_);
  chords_.save_group(group_id, text, clock().now());
}

std::optional<std::string> Store::restore_group(const std::string& group_id) {
  const std::lock_guard lock(mutex_);
  return chords_.restore_group(group_id, clock().now());
}

void Store::forget_group(const std::string& group_id) {
  const std::lock_guard lock(mutex_);
  chords_.forget_group(group_id);
}

void Store::store_graph(const Graph& graph) {
  const std::lock_guard lock(mutex_);
  graphs_.store(graph, clock().now());
}

Result<std::string> Store::graph_page(const std::string& graph_id, std::uint64_t page) {
  const std::lock_guard lock(mutex_);
  return graphs_.page(graph_id, page);
}

void Store::use_graph(const GraphUse& use) {
  const std::lock_guard lock(mutex_);
  graphs_.use(use, clock().now());
}

}  // namespace lovage::broker::memory
