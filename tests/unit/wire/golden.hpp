// The captured samples: the project's own few, or a whole collection named by LOVAGE_TEST_GOLDEN_DIR.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <lovage/value.hpp>

namespace lovage::tests {

struct Sample {
  std::string name;  // "5.6.3/task_plain"
  Value content;
};

// Every sample whose file name begins with the prefix, in the project's own folder and in the collection.
std::vector<Sample> samples(const std::string& prefix);
// True when LOVAGE_TEST_GOLDEN_DIR (or ../shared/golden beside the project) is there.
bool has_collection();

}  // namespace lovage::tests
