// Runs a fuzz target without libFuzzer: over every file of a corpus, then over mutations of each, the same in every
// run. Usage: NAME_replay CORPUS_FOLDER [MUTATIONS_PER_FILE]
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz/target.hpp"

namespace {

using Random = std::mt19937_64;

void run(const std::string& input) {
  std::vector<std::uint8_t> bytes(input.size());
  if (!input.empty()) std::memcpy(bytes.data(), input.data(), input.size());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::size_t below(Random& random, std::size_t bound) {
  return bound == 0 ? 0 : random() % bound;
}

// Pieces that formats stumble over.
std::string piece(Random& random) {
  static constexpr std::array<const char*, 24> kPieces{"{",
                                                       "[",
                                                       "}",
                                                       "]",
                                                       "\"",
                                                       "\\u0000",
                                                       "\\ud800",
                                                       "null",
                                                       "NaN",
                                                       "-Infinity",
                                                       "1e999",
                                                       ",",
                                                       "\xff",
                                                       ":",
                                                       "\r\n",
                                                       "*1000000\r\n",
                                                       "$-1\r\n",
                                                       "[[",
                                                       "{\"\":",
                                                       "=",
                                                       "\xc3\x28",
                                                       "-0",
                                                       "99999999999999999999",
                                                       "\t"};
  return kPieces.at(below(random, kPieces.size()));
}

std::string mutated(std::string input, Random& random) {
  const std::size_t times = 1 + below(random, 4);
  for (std::size_t i = 0; i < times; ++i) {
    const std::size_t at = below(random, input.size() + 1);
    const std::size_t length = std::min(below(random, 64), input.size() - at);
    switch (below(random, 6)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(random());
        break;
      case 1:
        input.resize(at);
        break;
      case 2:
        input.erase(at, length);
        break;
      case 3:
        input.insert(below(random, input.size() + 1), input.substr(at, length));
        break;
      case 4:
        input.replace(at, length, piece(random));
        break;
      default:
        input.insert(at, piece(random));
    }
  }
  return input;
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());  // the order of a folder differs from run to run
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " CORPUS_FOLDER [MUTATIONS_PER_FILE]\n";
    return 2;
  }
  const std::size_t mutations = argc > 2 ? std::stoul(argv[2]) : 0;
  const auto files = files_of(argv[1]);
  if (files.empty()) {
    std::cerr << argv[1] << ": the corpus is empty\n";
    return 2;
  }
  Random random;  // its default seed: every run is the same
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    const std::string input{std::istreambuf_iterator<char>(file), {}};
    run(input);
    for (std::size_t i = 0; i < mutations; ++i) run(mutated(input, random));
  }
  std::cout << files.size() << " files, " << files.size() * (1 + mutations) << " inputs\n";
  return 0;
}
