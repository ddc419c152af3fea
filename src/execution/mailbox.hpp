// Many threads put, one takes everything at once, without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace lovage::execution {

// Both ends are sequentially consistent: who puts first and then looks whether the taker sleeps, and who says first
// that it is awake and then takes, cannot both see the other as it was before.
template <class T>
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() {
    take_each([](T&&) {});
  }

  // Puts an item, made from `args`.
  template <class... Args>
  void emplace(Args&&... args) {
    auto node = std::make_unique<Node>(std::forward<Args>(args)...);
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      node->next = head;
    } while (!head_.compare_exchange_weak(head, node.get()));
    (void)node.release();  // the box owns it now
  }

  // Hands all items to `use`, in the order in which they were put (each thread's own order, at least).
  template <class Use>
  void take_each(Use&& use) {
    struct Chain {
      Node* first = nullptr;
      Chain() = default;
      Chain(const Chain&) = delete;
      Chain& operator=(const Chain&) = delete;
      ~Chain() {
        while (first != nullptr) drop_first();
      }
      void drop_first() { delete std::exchange(first, first->next); }
    } chain;
    for (Node* node = head_.exchange(nullptr); node != nullptr;)
      chain.first = std::exchange(node, std::exchange(node->next, chain.first));
    for (; chain.first != nullptr; chain.drop_first()) use(std::move(chain.first->item));
  }

 private:
  struct Node {
    template <class... Args>
    explicit Node(Args&&... args) : item(std::forward<Args>(args)...) {}
    T item;
    Node* next = nullptr;
  };
  std::atomic<Node*> head_{nullptr};
};

}  // namespace lovage::execution
