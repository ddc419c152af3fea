// The queues that this process has declared already.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace lovage::app {

// Grows only, without a lock: thread-safe, and whole in a child whatever moment fork() came at.
class DeclaredQueues {
 public:
  DeclaredQueues() = default;
  ~DeclaredQueues() { clear(); }
  DeclaredQueues(const DeclaredQueues&) = delete;
  DeclaredQueues& operator=(const DeclaredQueues&) = delete;

  [[nodiscard]] bool contains(std::string_view queue) const noexcept {
    for (const Node* node = head_.load(std::memory_order_acquire); node != nullptr; node = node->next) {
      if (node->queue == queue) return true;
    }
    return false;
  }

  // Not while others use it.
  void clear() noexcept {
    for (Node* node = head_.exchange(nullptr); node != nullptr;) delete std::exchange(node, node->next);
    size_ = 0;
  }

  // A program that sends to ever new queues declares those beyond the bound at each send.
  void add(std::string queue) {
    if (size_.fetch_add(1, std::memory_order_relaxed) >= kMost) return;
    auto node = std::make_unique<Node>(Node{std::move(queue), head_.load(std::memory_order_relaxed)});
    while (!head_.compare_exchange_weak(node->next, node.get(), std::memory_order_release, std::memory_order_relaxed)) {
    }
    static_cast<void>(node.release());  // the list owns it
  }

 private:
  static constexpr int kMost = 1'000;
  struct Node {
    std::string queue;
    Node* next;
  };
  std::atomic<Node*> head_{nullptr};
  std::atomic<int> size_{0};
};

}  // namespace lovage::app
