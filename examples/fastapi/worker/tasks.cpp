// The CPU-bound tasks of the service, under the names that its Python side sends.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <lovage/lovage.hpp>

namespace {

lovage::App app("cpu");

// How many primes there are below `below`; sieved in pieces that fit a processor's cache.
std::int64_t count_primes(lovage::Context& self, std::int64_t below) {
  if (below < 0 || below > 1'000'000'000)
    throw std::invalid_argument("0 to 1,000,000,000, not " + std::to_string(below));
  constexpr std::int64_t kPiece = 1 << 18;
  const auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(below))) + 1;
  std::vector<bool> composite(static_cast<std::size_t>(root) + 1);
  std::vector<std::int64_t> primes;
  for (std::int64_t n = 2; n <= root; ++n) {
    if (composite[static_cast<std::size_t>(n)]) continue;
    primes.push_back(n);
    for (std::int64_t multiple = n * n; multiple <= root; multiple += n)
      composite[static_cast<std::size_t>(multiple)] = true;
  }
  std::int64_t count = 0;
  std::vector<char> piece(kPiece);
  for (std::int64_t low = 0; low < below; low += kPiece) {
    const std::int64_t high = std::min(low + kPiece, below);
    std::ranges::fill(piece, char{1});
    for (const std::int64_t prime : primes) {
      const std::int64_t first = std::max(prime * prime, (low + prime - 1) / prime * prime);
      for (std::int64_t n = first; n < high; n += prime) piece[static_cast<std::size_t>(n - low)] = 0;
    }
    for (std::int64_t n = std::max<std::int64_t>(low, 2); n < high; ++n)
      count += piece[static_cast<std::size_t>(n - low)];
    // What GET /tasks/ID shows as "progress".
    if (low / kPiece % 64 == 63) self.update_state("PROGRESS", {{"done", high}, {"total", below}});
  }
  return count;
}

// Edits (insert, remove, replace) from one word to the other; bytes, not characters.
std::size_t distance(const std::string& from, const std::string& to) {
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = i;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

// A Python function's keyword arguments have names: closest(word="helo", among=[...]).
lovage::Value closest(const std::string& word, const std::vector<std::string>& among) {
  if (among.empty()) throw std::invalid_argument("among is empty");
  const auto nearest = std::ranges::min_element(among, {}, [&](const auto& each) { return distance(word, each); });
  return {{"word", *nearest}, {"distance", static_cast<std::int64_t>(distance(word, *nearest))}};
}

auto count_primes_task = app.task("cpu.count_primes", count_primes, lovage::params("below"));
auto closest_task = app.task("cpu.closest", closest, lovage::params("word", "among"));

}  // namespace

int main(int argc, char** argv) {
  app.config().task_track_started = true;
  return lovage::main(app, argc, argv);
}
