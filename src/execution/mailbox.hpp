// Many threads put, one takes everything at once, without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace lovage::execution {

// Both ends are sequentially consistent: who puts first and then looks whether the taker sleeps, and who says first
// that it is awake and then takes, cannot both see the other as it was before.
template <class T>
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { (void)take(); }

  void put(T&& item) {
    auto node = std::make_unique<Node>(std::move(item));
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      node->next = head;
    } while (!head_.compare_exchange_weak(head, node.get()));
    (void)node.release();  // the box owns it now
  }

  // In the order in which they were put (each thread's own order, at least).
  [[nodiscard]] std::vector<T> take() {
    Node* reversed = nullptr;
    std::size_t count = 0;
    for (Node* node = head_.exchange(nullptr); node != nullptr; ++count)
      reversed = std::exchange(node, std::exchange(node->next, reversed));
    std::vector<T> items;
    items.reserve(count);
    while (reversed != nullptr) {
      const std::unique_ptr<Node> node(std::exchange(reversed, reversed->next));
      items.push_back(std::move(node->item));
    }
    return items;
  }

 private:
  struct Node {
    explicit Node(T&& value) : item(std::move(value)) {}
    T item;
    Node* next = nullptr;
  };
  std::atomic<Node*> head_{nullptr};
};

}  // namespace lovage::execution
