#include "wire/appender.hpp"

#include <algorithm>

namespace lovage::wire {

void Appender::finish() {
  out_.resize(out_.size() - room_);
  room_ = 0;
}

void Appender::open(std::size_t bytes) {
  const std::size_t used = out_.size();
  out_.resize(used + bytes);
  at_ = out_.data() + used;
  room_ = bytes;
}

void Appender::grow(std::size_t bytes) {
  finish();
  open(std::max(bytes, out_.size()));
}

}  // namespace lovage::wire
