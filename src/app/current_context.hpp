// The Context of the task that a thread is running.
#pragma once

#include <exception>

#include <lovage/context.hpp>

namespace lovage::app {

// Makes a context this thread's current one, as long as it lives.
class CurrentContext {
 public:
  explicit CurrentContext(Context& context) noexcept;
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  Context* previous_;
};

// The exception that was being handled, or MaxRetriesExceeded when there was none.
[[noreturn]] void throw_retries_exceeded(const RequestInfo& request, const std::exception_ptr& cause);

}  // namespace lovage::app
