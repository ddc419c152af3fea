// What C++ exceptions are called on the wire.
#include <cxxabi.h>

#include <array>
#include <filesystem>
#include <future>
#include <ios>
#include <new>
#include <regex>
#include <stdexcept>
#include <system_error>
#include <typeinfo>
#include <variant>

#include <lovage/error.hpp>

#include "app/invoke.hpp"
#include "app/symbols.hpp"

namespace lovage::app {
namespace {

struct WireName {
  std::string_view type;
  std::string_view module;
};

struct Row {
  bool (*is)(const std::exception&);
  WireName name;
};

// The exception is exactly of this type: a type of the user's own keeps its own name.
template <class E>
bool exactly(const std::exception& error) {
  return typeid(error) == typeid(E);
}
// Of this type or one of the standard library's that derive from it.
template <class E>
bool standard(const std::exception& error) {
  return dynamic_cast<const E*>(&error) != nullptr && demangle(typeid(error).name()).starts_with("std::");
}

constexpr std::string_view kBuiltins = "builtins";
constexpr std::string_view kCelery = "celery.exceptions";
constexpr std::string_view kKombu = "kombu.exceptions";

// The first match counts.
constexpr std::array kRows{
    Row{exactly<SoftTimeLimitExceeded>, {"SoftTimeLimitExceeded", "billiard.exceptions"}},
    Row{exactly<MaxRetriesExceeded>, {"MaxRetriesExceededError", kCelery}},
    Row{exactly<Timeout>, {"TimeoutError", kCelery}},
    Row{exactly<NotRegistered>, {"NotRegistered", kCelery}},
    Row{exactly<ConfigError>, {"ImproperlyConfigured", kCelery}},
    Row{exactly<TypeError>, {"TypeError", kBuiltins}},
    Row{exactly<ConnectionError>, {"OperationalError", kKombu}},
    Row{exactly<SendUncertain>, {"OperationalError", kKombu}},
    Row{exactly<EncodeError>, {"EncodeError", kKombu}},
    Row{exactly<MessageTooLarge>, {"EncodeError", kKombu}},
    Row{exactly<DecodeError>, {"DecodeError", kKombu}},
    Row{exactly<Error>, {"RuntimeError", kBuiltins}},
    Row{standard<std::out_of_range>, {"IndexError", kBuiltins}},
    Row{standard<std::invalid_argument>, {"ValueError", kBuiltins}},
    Row{standard<std::domain_error>, {"ValueError", kBuiltins}},
    Row{standard<std::length_error>, {"ValueError", kBuiltins}},
    Row{standard<std::overflow_error>, {"OverflowError", kBuiltins}},
    Row{standard<std::underflow_error>, {"ArithmeticError", kBuiltins}},
    Row{standard<std::range_error>, {"ArithmeticError", kBuiltins}},
    Row{standard<std::system_error>, {"OSError", kBuiltins}},
    Row{standard<std::bad_alloc>, {"MemoryError", kBuiltins}},
    Row{standard<std::bad_cast>, {"TypeError", kBuiltins}},
    Row{standard<std::bad_variant_access>, {"TypeError", kBuiltins}},
    Row{standard<std::runtime_error>, {"RuntimeError", kBuiltins}},
    Row{standard<std::logic_error>, {"RuntimeError", kBuiltins}},
};

std::string current_type_name() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  return type != nullptr ? demangle(type->name()) : "unknown";
}

Array arguments_of(const std::exception& error) {
  if (typeid(error) == typeid(SoftTimeLimitExceeded)) return {};
  if (const auto* system = dynamic_cast<const std::system_error*>(&error)) {
    return {system->code().value(), system->what()};
  }
  return {error.what()};
}

wire::ExceptionInfo describe(const std::exception& error) {
  for (const auto& row : kRows) {
    if (row.is(error)) return {std::string(row.name.type), std::string(row.name.module), arguments_of(error)};
  }
  return {demangle(typeid(error).name()), "cpp", arguments_of(error)};
}

// The failure of another task, met through get(), keeps the name that it had there.
wire::ExceptionInfo describe(const TaskFailed& error) {
  const auto& details = error.details();
  const Array* arguments = details.arguments.if_array();
  return {details.type.empty() ? "Exception" : details.type,
          details.type.empty() || details.module.empty() ? std::string(kBuiltins) : details.module,
          arguments != nullptr ? *arguments : Array{error.what()}};
}

}  // namespace

wire::ExceptionInfo describe_exception(const std::exception_ptr& error) {
  if (!error) return {};
  try {
    std::rethrow_exception(error);
  } catch (const TaskFailed& failed) {
    return describe(failed);
  } catch (const std::exception& exception) {
    return describe(exception);
  } catch (const char* text) {
    return {"char const*", "cpp", {text}};
  } catch (const std::string& text) {
    return {"std::string", "cpp", {text}};
  } catch (...) {
    return {current_type_name(), "cpp", {}};
  }
}

}  // namespace lovage::app
