// Many threads put, one takes everything at once: no lock, and one wake-up for all that gathers in between.
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

namespace lovage::execution {

template <class T>
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { (void)take(); }

  // True when the box was empty: the taker has to be woken.
  [[nodiscard]] bool put(T item) {
    auto node = std::make_unique<Node>(std::move(item));
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      node->next = head;
    } while (!head_.compare_exchange_weak(head, node.get(), std::memory_order_release, std::memory_order_relaxed));
    (void)node.release();  // the box owns it now
    return head == nullptr;
  }

  // In the order in which they were put (each thread's own order, at least).
  [[nodiscard]] std::vector<T> take() {
    Node* reversed = nullptr;
    for (Node* node = head_.exchange(nullptr, std::memory_order_acquire); node != nullptr;)
      reversed = std::exchange(node, std::exchange(node->next, reversed));
    std::vector<T> items;
    while (reversed != nullptr) {
      const std::unique_ptr<Node> node(std::exchange(reversed, reversed->next));
      items.push_back(std::move(node->item));
    }
    return items;
  }

 private:
  struct Node {
    explicit Node(T value) : item(std::move(value)) {}
    T item;
    Node* next = nullptr;
  };
  std::atomic<Node*> head_{nullptr};
};

}  // namespace lovage::execution
