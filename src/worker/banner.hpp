// What a worker prints when it starts: Celery's banner.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "wire/queues.hpp"

namespace lovage::worker {

struct BannerFacts {
  std::string node_name;
  std::string app;        // "shop:0x7f76"
  std::string transport;  // passwords hidden
  std::string results;
  std::size_t concurrency = 0;
  std::string pool;
  std::vector<wire::QueueDeclaration> queues;
  std::vector<std::string> tasks;  // empty: the list is left out
};

std::string banner(const BannerFacts& facts);

}  // namespace lovage::worker
