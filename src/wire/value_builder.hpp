// Builds one Value from the events of a parser: the part that reading JSON, msgpack and nested headers share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <lovage/value.hpp>

#include "wire/task_message.hpp"

namespace lovage::wire {

class ValueBuilder {
 public:
  enum class Tags { read, ignore };  // kombu's {"__type__", "__value__"} objects
  explicit ValueBuilder(int max_depth, Tags tags = Tags::read) : max_depth_(max_depth), tags_(tags) {
    frames_.reserve(4);
  }

  void scalar(Value value);
  // False when this would be too deep.
  [[nodiscard]] bool open_array();
  [[nodiscard]] bool open_object();
  void key(std::string_view name) { frames_.back().key = name; }
  // Ends the innermost array or object. A tagged object that cannot be read counts as null and leaves an error.
  void close();

  [[nodiscard]] bool too_deep() const noexcept { return too_deep_; }
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  Value take();

 private:
  struct Frame {
    bool is_object = false;
    std::string key;
    Array items;
    std::vector<Object::Member> members;
  };
  bool open(bool is_object);

  std::vector<Frame> frames_;
  Value root_;
  bool complete_ = false;
  bool too_deep_ = false;
  int max_depth_;
  Tags tags_;
  std::string error_;
};

// A JSON number's text; NaN and Infinity too. Whole numbers beyond 64 bits become a BigInt.
std::optional<Value> number_from_text(std::string_view text);

// The value that a tagged object stands for. Errors: bad_data.
Result<Value> value_from_tagged(const Value& type, const Value& content);

}  // namespace lovage::wire
