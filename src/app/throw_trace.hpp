// Where an exception was thrown. C++ forgets the stack when it unwinds, so the throw itself is watched:
// while a task runs, the addresses are noted at each throw (no names, no files), and only those of the
// exception that reaches the wall become text.
#pragma once

#include <exception>
#include <string>

namespace lovage::app {

// Turns the watch on for this thread, as long as it lives. May be nested.
class ThrowWatch {
 public:
  ThrowWatch() noexcept;
  ~ThrowWatch();
  ThrowWatch(const ThrowWatch&) = delete;
  ThrowWatch& operator=(const ThrowWatch&) = delete;
};

// The frames from the task's function to the throw, one line each, in Python's order (the throw last):
//   File "./shop", in shop::download(std::string)
// Empty when the throw was not watched.
std::string throw_frames(const std::exception_ptr& error);

}  // namespace lovage::app
