// Reads what messages refer to: nodes of stored graphs. A graph never changes, and its pages are kept for a while.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lovage/value.hpp>

#include "base/result.hpp"
#include "base/unique_function.hpp"
#include "wire/canvas.hpp"
#include "worker/outbox.hpp"

namespace lovage::worker {

// Loop thread only.
class GraphReader {
 public:
  using Then = UniqueFunction<void(Result<Value> node)>;

  explicit GraphReader(Outbox& outbox) noexcept : outbox_(outbox) {}

  // Calls `then` with a copy of the node: at once when its page is here. Fails with not_found where the graph is gone,
  // with bad_data for a page that cannot be read.
  void read(const wire::GraphReference& reference, Then then);

 private:
  using Key = std::pair<std::string, std::uint64_t>;
  struct Page {
    Array nodes;
    std::size_t bytes = 0;
    std::uint64_t used = 0;  // by the counter
  };
  struct Waiting {
    std::uint64_t position;
    Then then;
  };

  void arrived(const Key& key, const Result<std::string>& text);
  const Array& keep(const Key& key, Array nodes, std::size_t bytes);
  static Result<Value> node_at(const Array& nodes, std::uint64_t position);

  Outbox& outbox_;
  std::map<Key, Page> pages_;
  std::map<Key, std::vector<Waiting>> waiting_;
  std::size_t bytes_ = 0;
  std::uint64_t counter_ = 0;
};

}  // namespace lovage::worker
