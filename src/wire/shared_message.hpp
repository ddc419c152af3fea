// One message, held by several.
#pragma once

#include <memory>
#include <utility>

#include "wire/task_message.hpp"

namespace lovage::wire {

// A decoded message that several hold together: it is taken apart once and never copied. Thread-safe once it is shared.
class SharedMessage {
 public:
  SharedMessage() noexcept = default;  // none
  // NOLINTBEGIN(google-explicit-constructor): stands for the message
  SharedMessage(TaskMessage&& message) : message_(std::make_shared<TaskMessage>(std::move(message))) {}
  SharedMessage(const TaskMessage& message) : message_(std::make_shared<TaskMessage>(message)) {}
  // NOLINTEND(google-explicit-constructor)
  explicit operator bool() const noexcept { return message_ != nullptr; }
  const TaskMessage& operator*() const noexcept { return *message_; }
  const TaskMessage* operator->() const noexcept { return message_.get(); }
  operator const TaskMessage&() const noexcept { return *message_; }  // NOLINT(google-explicit-constructor)
  // For who makes it: not once it is shared.
  TaskMessage& edit() {
    if (!message_) message_ = std::make_shared<TaskMessage>();
    return *message_;
  }

 private:
  std::shared_ptr<TaskMessage> message_;
};

}  // namespace lovage::wire
