#include "unit/wire/golden.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace lovage::tests {
namespace {

namespace fs = std::filesystem;

fs::path collection() {
  const char* named = std::getenv("LOVAGE_TEST_GOLDEN_DIR");
  return named != nullptr ? fs::path(named) : fs::path(LOVAGE_TEST_SOURCE_DIR) / ".." / ".." / "shared" / "golden";
}

void add_from(const fs::path& folder, const std::string& prefix, std::vector<Sample>& to) {
  if (!fs::is_directory(folder)) return;
  for (const auto& version : fs::directory_iterator(folder)) {
    if (!version.is_directory()) continue;
    for (const auto& entry : fs::directory_iterator(version.path())) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(prefix) || entry.path().extension() != ".json") continue;
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      to.push_back({version.path().filename().string() + "/" + entry.path().stem().string(), from_json(text)});
    }
  }
}

}  // namespace

bool has_collection() {
  return fs::is_directory(collection());
}

std::vector<Sample> samples(const std::string& prefix) {
  std::vector<Sample> found;
  add_from(fs::path(LOVAGE_TEST_SOURCE_DIR) / "golden", prefix, found);
  add_from(collection(), prefix, found);
  std::sort(found.begin(), found.end(), [](const Sample& a, const Sample& b) { return a.name < b.name; });
  return found;
}

}  // namespace lovage::tests
