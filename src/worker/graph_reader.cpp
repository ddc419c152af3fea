#include "worker/graph_reader.hpp"

#include <algorithm>

#include "wire/body.hpp"

namespace lovage::worker {
namespace {

// Of their texts; read, they take several times as much.
constexpr std::size_t kMostBytes = std::size_t{4} << 20U;

Result<Array> nodes_from(const std::string& text) {
  auto value = wire::decode_value(text, wire::Serializer::json);
  if (!value) return tl::unexpected(value.error());
  Array* const nodes = value->if_array();
  if (nodes == nullptr) return fail(Errc::bad_data, "a page of a workflow's graph is no list");
  return std::move(*nodes);
}

}  // namespace

void GraphReader::read(const wire::GraphReference& reference, Then then) {
  const Key key{reference.graph_id, reference.page};
  if (const auto found = pages_.find(key); found != pages_.end()) {
    found->second.used = ++counter_;
    return then(node_at(found->second.nodes, reference.position));
  }
  auto& waiting = waiting_[key];
  waiting.push_back({reference.position, std::move(then)});
  if (waiting.size() > 1) return;
  outbox_.read_page(reference.graph_id, reference.page,
                    [this, key](const Result<std::string>& text) { arrived(key, text); });
}

void GraphReader::arrived(const Key& key, const Result<std::string>& text) {
  auto waiting = waiting_.extract(key);
  Result<Array> nodes = text ? nodes_from(*text) : Result<Array>(tl::unexpected(text.error()));
  const Array* const kept = nodes ? &keep(key, std::move(*nodes), text->size()) : nullptr;
  for (auto& each : waiting.mapped())
    each.then(kept != nullptr ? node_at(*kept, each.position) : Result<Value>(tl::unexpected(nodes.error())));
}

const Array& GraphReader::keep(const Key& key, Array nodes, std::size_t bytes) {
  const auto [at, is_new] = pages_.insert_or_assign(key, Page{std::move(nodes), bytes, ++counter_});
  if (is_new) bytes_ += bytes;
  while (bytes_ > kMostBytes && pages_.size() > 1) {
    const auto oldest = std::ranges::min_element(pages_, {}, [](const auto& entry) { return entry.second.used; });
    bytes_ -= oldest->second.bytes;
    pages_.erase(oldest);
  }
  return at->second.nodes;
}

Result<Value> GraphReader::node_at(const Array& nodes, std::uint64_t position) {
  if (position >= nodes.size())
    return fail(Errc::not_found, "a workflow's graph lacks a node that a message refers to");
  return nodes[position];
}

}  // namespace lovage::worker
