// Appends many small pieces to a string, by pointer: std::string's own append checks, calls and terminates for each.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lovage::wire {

// The string holds what was added once finish() has been called.
class Appender {
 public:
  // `expected`: how many bytes will come, about.
  Appender(std::string& out, std::size_t expected) : out_(out) { open(expected); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;
  ~Appender() = default;

  void add(std::string_view piece) {
    if (piece.size() > room_) grow(piece.size());
    piece.copy(at_, piece.size());
    at_ += piece.size();
    room_ -= piece.size();
  }
  void finish();

  // For what others append to the string itself.
  template <class Append>
  void by(const Append& append) {
    const std::size_t left = room_;
    finish();
    append(out_);
    open(left);
  }

 private:
  void open(std::size_t bytes);
  void grow(std::size_t bytes);

  std::string& out_;
  char* at_ = nullptr;  // behind what was added
  std::size_t room_ = 0;
};

}  // namespace lovage::wire
