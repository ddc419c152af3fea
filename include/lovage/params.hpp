// Names and defaults of a task's parameters, so that callers in other languages may pass keyword
// arguments: lovage::params("x", lovage::param("y") = 5).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lovage/convert.hpp>
#include <lovage/value.hpp>

namespace lovage {

struct Parameter {
  std::string name;  // empty: positional only
  std::optional<Value> default_value = {};
};

// A parameter's name; `param("y") = 5` gives it a default.
class param {  // NOLINT(readability-identifier-naming): reads as a verb in a declaration
 public:
  explicit param(std::string name) : name_(std::move(name)) {}
  template <Sendable T>
  Parameter operator=(const T& default_value) && {  // NOLINT(misc-unconventional-assign-operator)
    return {std::move(name_), lovage::to_value(default_value)};
  }
  Parameter operator=(const char* default_value) && {  // NOLINT(misc-unconventional-assign-operator)
    return {std::move(name_), Value(default_value)};
  }
  operator Parameter() && { return {std::move(name_), std::nullopt}; }  // NOLINT(google-explicit-constructor)

 private:
  std::string name_;
};

// One name for each parameter of the task, without the Context.
template <std::size_t N>
struct Params {
  std::array<Parameter, N> parameters;
};

namespace detail {
inline Parameter to_parameter(Parameter parameter) {
  return parameter;
}
inline Parameter to_parameter(param&& name) {
  return std::move(name);
}
inline Parameter to_parameter(const char* name) {
  return {name, std::nullopt};
}
inline Parameter to_parameter(std::string name) {
  return {std::move(name), std::nullopt};
}
}  // namespace detail

template <class... Names>
Params<sizeof...(Names)> params(Names&&... names) {
  return {{detail::to_parameter(std::forward<Names>(names))...}};
}

}  // namespace lovage
