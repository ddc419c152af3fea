// Binds arguments to parameters by Python's rules, with Python's messages: callers know them.
#include <algorithm>

#include <lovage/task_call.hpp>

#include "base/suggest.hpp"

namespace lovage::detail {
namespace {

std::string plural(std::size_t count, std::string_view word) {
  return std::to_string(count) + " " + std::string(word) + (count == 1 ? "" : "s");
}

std::string shown_name(const Parameter& parameter, std::size_t index) {
  return parameter.name.empty() ? std::to_string(index + 1) : "'" + parameter.name + "'";
}

[[noreturn]] void throw_too_many(const std::string& task, std::span<const Parameter> parameters, std::size_t given) {
  throw TypeError(task + "() takes " + plural(parameters.size(), "positional argument") + " but " +
                  std::to_string(given) + (given == 1 ? " was given" : " were given"));
}

[[noreturn]] void throw_unexpected(const std::string& task, std::span<const Parameter> parameters,
                                   const std::string& name) {
  std::vector<std::string> names;
  for (const auto& parameter : parameters) {
    if (!parameter.name.empty()) names.push_back(parameter.name);
  }
  throw TypeError(task + "() got an unexpected keyword argument '" + name + "'" + did_you_mean(name, names));
}

[[noreturn]] void throw_twice(const std::string& task, const std::string& name) {
  throw TypeError(task + "() got multiple values for argument '" + name + "'");
}

void check_missing(const std::string& task, std::span<const Parameter> parameters, const std::vector<bool>& filled) {
  std::string missing;
  std::size_t count = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (filled[i]) continue;
    missing += (count++ == 0 ? "" : ", ") + shown_name(parameters[i], i);
  }
  if (count > 0) throw TypeError(task + "() missing " + plural(count, "required positional argument") + ": " + missing);
}

}  // namespace

Array bind_arguments(const std::string& task, std::span<const Parameter> parameters, Array args, Object kwargs) {
  if (args.size() > parameters.size()) throw_too_many(task, parameters, args.size());
  if (args.size() == parameters.size() && kwargs.empty()) return args;
  std::vector<bool> filled(parameters.size());
  std::fill_n(filled.begin(), args.size(), true);
  args.resize(parameters.size());
  for (auto& member : kwargs) {
    const std::string& name = member.first;
    const auto at = std::find_if(parameters.begin(), parameters.end(),
                                 [&](const Parameter& p) { return !p.name.empty() && p.name == name; });
    if (at == parameters.end()) throw_unexpected(task, parameters, name);
    const auto index = static_cast<std::size_t>(at - parameters.begin());
    if (filled[index]) throw_twice(task, name);
    args[index] = std::move(member.second);
    filled[index] = true;
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (filled[i] || !parameters[i].default_value) continue;
    args[i] = *parameters[i].default_value;
    filled[i] = true;
  }
  check_missing(task, parameters, filled);
  return args;
}

void throw_at_argument(const std::string& task, std::span<const Parameter> parameters, std::size_t index,
                       const TypeError& inner) {
  throw TypeError(task + "(): argument " + shown_name(parameters[index], index) + " " + inner.what());
}

void throw_bad_default(const TypeError& inner) {
  throw ConfigError(std::string("the default of ") + inner.what());
}

}  // namespace lovage::detail
