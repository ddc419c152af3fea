// Wakes a worker's loop when something has come for it.
#pragma once

#include <memory>
#include <mutex>

#include "base/unique_function.hpp"
#include "net/loop.hpp"

namespace lovage::broker::memory {

class Bell : public std::enable_shared_from_this<Bell> {
 public:
  // Made on the loop's thread.
  Bell(net::Loop& loop, UniqueFunction<void()> answer) : answer_(std::move(answer)), loop_(&loop) {}

  // Any thread: `answer` is called on the loop's.
  void ring() {
    const std::lock_guard lock(mutex_);
    if (loop_ == nullptr) return;
    loop_->post([bell = shared_from_this()] {
      if (!bell->is_silent()) bell->answer_();
    });
  }

  // Loop thread: nobody answers any more.
  void silence() {
    const std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }
  [[nodiscard]] bool is_silent() const noexcept { return loop_ == nullptr; }

 private:
  const UniqueFunction<void()> answer_;
  std::mutex mutex_;
  net::Loop* loop_;  // changed on its thread alone, under the mutex
};

}  // namespace lovage::broker::memory
