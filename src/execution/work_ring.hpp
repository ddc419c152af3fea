// One producer hands items to many consumers: a bounded ring whose items are claimed without a lock. The
// producer can take back, at any time, all that nobody has claimed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace lovage::execution {

template <class T>
class WorkRing {
 public:
  // `capacity` is rounded up to a power of two.
  explicit WorkRing(std::size_t capacity) : cells_(rounded(capacity)) {}

  // Producer. False when the ring is full: `item` is then untouched.
  [[nodiscard]] bool push(T& item) {
    Cell& cell = at(end_);
    if (cell.full.load(std::memory_order_acquire)) return false;
    cell.item = std::move(item);
    cell.full.store(true, std::memory_order_relaxed);
    ++end_;
    word_.fetch_add(std::uint64_t{1} << 32, std::memory_order_release);  // what leaves the top is meant to
    return true;
  }

  // Any thread: the oldest item that nobody has claimed.
  [[nodiscard]] std::optional<T> pop() {
    std::uint64_t word = word_.load(std::memory_order_acquire);
    while (next_of(word) != end_of(word)) {
      const std::uint32_t next = next_of(word);
      if (word_.compare_exchange_weak(word, with_next(word, next + 1), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return take(next);
      }
    }
    return std::nullopt;
  }

  // Producer: claims everything that is left, oldest first.
  [[nodiscard]] std::vector<T> take_back() {
    std::uint64_t word = word_.load(std::memory_order_acquire);
    while (!word_.compare_exchange_weak(word, with_next(word, end_), std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
    }
    std::vector<T> items;
    for (std::uint32_t next = next_of(word); next != end_; ++next) items.push_back(take(next));
    return items;
  }

  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  // What nobody has claimed.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    return end_of(word) - next_of(word);
  }

 private:
  struct Cell {
    std::atomic<bool> full{false};
    T item{};
  };
  static std::size_t rounded(std::size_t capacity) {
    std::size_t size = 1;
    while (size < capacity) size *= 2;
    return size;
  }
  // Positions count through all 32 bits and wrap; the number of items never does.
  static std::uint32_t next_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
  static std::uint32_t end_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32); }
  static std::uint64_t with_next(std::uint64_t word, std::uint32_t next) noexcept {
    return (word & ~std::uint64_t{0xFFFFFFFF}) | next;
  }
  Cell& at(std::uint32_t position) noexcept { return cells_[position & (cells_.size() - 1)]; }
  T take(std::uint32_t position) {
    Cell& cell = at(position);
    T item = std::move(cell.item);
    cell.full.store(false, std::memory_order_release);
    return item;
  }

  std::vector<Cell> cells_;
  std::uint32_t end_ = 0;               // producer only
  std::atomic<std::uint64_t> word_{0};  // [end:32][next:32]
};

}  // namespace lovage::execution
