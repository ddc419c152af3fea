// How a C++ callable becomes a task: its parameters and result, taken from its type, and the call with
// Values. Nothing here is for use by name; task.hpp and app.hpp build on it.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <lovage/context.hpp>
#include <lovage/convert.hpp>
#include <lovage/params.hpp>
#include <lovage/task_options.hpp>

namespace lovage::detail {

// What a parameter is held as between decoding and the call.
template <class T>
struct Stored {
  using type = std::remove_cvref_t<T>;
};
template <>
struct Stored<std::string_view> {
  using type = std::string;
};
template <>
struct Stored<const std::string_view&> {
  using type = std::string;
};
template <>
struct Stored<const char*> {
  using type = std::string;
};
template <class T>
using stored_t = typename Stored<T>::type;

// "R(Context&, A...)" taken apart; the stored types make the Task's signature.
template <class R, bool Bound, class... A>
struct Shape {
  using Result = R;
  static constexpr bool bound = Bound;
  static constexpr std::size_t arity = sizeof...(A);
  using Parameters = std::tuple<A...>;
  using Signature = std::conditional_t<std::is_void_v<R>, void, std::remove_cvref_t<R>>(stored_t<A>...);
};

template <class F>
struct ShapeOf;
template <class R, class... A>
struct ShapeOf<R(A...)> : Shape<R, false, A...> {};
template <class R, class... A>
struct ShapeOf<R(Context&, A...)> : Shape<R, true, A...> {};

template <class M>
struct MemberShape;
template <class R, class C, class... A>
struct MemberShape<R (C::*)(A...)> : ShapeOf<R(A...)> {};
template <class R, class C, class... A>
struct MemberShape<R (C::*)(A...) const> : ShapeOf<R(A...)> {};
template <class R, class C, class... A>
struct MemberShape<R (C::*)(A...) noexcept> : ShapeOf<R(A...)> {};
template <class R, class C, class... A>
struct MemberShape<R (C::*)(A...) const noexcept> : ShapeOf<R(A...)> {};

template <class F>
struct CallableShape : MemberShape<decltype(&F::operator())> {};
template <class R, class... A>
struct CallableShape<R (*)(A...)> : ShapeOf<R(A...)> {};
template <class R, class... A>
struct CallableShape<R (*)(A...) noexcept> : ShapeOf<R(A...)> {};

// One plain operator(), or a function: a generic lambda has no types to convert to.
template <class F>
concept TaskCallable = requires {
  typename CallableShape<std::decay_t<F>>::Signature;
};

// A declared task on its way into the app's registry.
struct TaskDeclaration {
  std::string name;
  TaskOptions options;
  std::vector<Parameter> parameters;
  bool bound = false;
  std::function<Value(Context& self, Array args, Object kwargs)> call;
};

// Puts positional and keyword arguments in the parameters' order, with defaults. Throws TypeError in
// Python's words: "tasks.add() missing 1 required positional argument: 'y'".
Array bind_arguments(const std::string& task, std::span<const Parameter> parameters, Array args, Object kwargs);

// "tasks.add(): argument 'x' must be int, not str"
[[noreturn]] void throw_at_argument(const std::string& task, std::span<const Parameter> parameters, std::size_t index,
                                    const TypeError& inner);

template <class Param>
stored_t<Param> argument_from(const std::string& task, std::span<const Parameter> parameters, const Array& args,
                              std::size_t index) {
  try {
    return from_value<stored_t<Param>>(args[index]);
  } catch (const TypeError& error) {
    throw_at_argument(task, parameters, index, error);
  }
}

template <class Param>
decltype(auto) pass(stored_t<Param>& stored) {
  if constexpr (std::is_same_v<Param, const char*>) {
    return stored.c_str();
  } else if constexpr (std::is_lvalue_reference_v<Param>) {
    return static_cast<stored_t<Param>&>(stored);
  } else {
    return static_cast<stored_t<Param>&&>(stored);
  }
}

template <class Shape, class F, std::size_t... I>
Value call_with_values(F& function, [[maybe_unused]] Context& self, [[maybe_unused]] const std::string& task,
                       [[maybe_unused]] std::span<const Parameter> parameters, [[maybe_unused]] const Array& args,
                       std::index_sequence<I...>) {
  using Parameters = typename Shape::Parameters;
  std::tuple<stored_t<std::tuple_element_t<I, Parameters>>...> stored{
      argument_from<std::tuple_element_t<I, Parameters>>(task, parameters, args, I)...};
  const auto call = [&]() -> decltype(auto) {
    if constexpr (Shape::bound) {
      return function(self, pass<std::tuple_element_t<I, Parameters>>(std::get<I>(stored))...);
    } else {
      return function(pass<std::tuple_element_t<I, Parameters>>(std::get<I>(stored))...);
    }
  };
  if constexpr (std::is_void_v<typename Shape::Result>) {
    call();
    return {};
  } else {
    return to_value(call());
  }
}

template <class Tuple>
struct CheckParameters;
template <class... A>
struct CheckParameters<std::tuple<A...>> {
  static_assert((Receivable<stored_t<A>> && ...),
                "a parameter of this task has a type without a lovage::Convert specialisation");
  static_assert(((!std::is_lvalue_reference_v<A> || std::is_const_v<std::remove_reference_t<A>>)&&...),
                "a task takes its arguments by value or const reference");
  static constexpr bool value = true;
};

// A default of the wrong type is found at the declaration. Throws ConfigError.
[[noreturn]] void throw_bad_default(const TypeError& inner);

template <class... A, std::size_t... I>
void check_defaults([[maybe_unused]] const std::string& task, std::span<const Parameter> parameters, std::tuple<A...>*,
                    std::index_sequence<I...>) {
  Array defaults(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) defaults[i] = parameters[i].default_value.value_or(Value());
  try {
    ((parameters[I].default_value ? void(argument_from<A>(task, parameters, defaults, I)) : void()), ...);
  } catch (const TypeError& error) {
    throw_bad_default(error);
  }
}

template <class Shape, class F>
TaskDeclaration declare_task(std::string name, F&& function, std::vector<Parameter> parameters, TaskOptions options) {
  static_assert(CheckParameters<typename Shape::Parameters>::value);
  if constexpr (!std::is_void_v<typename Shape::Result>) {
    static_assert(Sendable<std::remove_cvref_t<typename Shape::Result>>,
                  "this task's result has a type without a lovage::Convert specialisation");
  }
  check_defaults(name, parameters, static_cast<typename Shape::Parameters*>(nullptr),
                 std::make_index_sequence<Shape::arity>());
  TaskDeclaration declaration;
  declaration.name = name;
  declaration.options = std::move(options);
  declaration.parameters = parameters;
  declaration.bound = Shape::bound;
  declaration.call = [target = std::forward<F>(function), task = std::move(name), names = std::move(parameters)](
                         Context& self, Array args, Object kwargs) mutable -> Value {
    const Array bound = bind_arguments(task, names, std::move(args), std::move(kwargs));
    return call_with_values<Shape>(target, self, task, names, bound, std::make_index_sequence<Shape::arity>());
  };
  return declaration;
}

}  // namespace lovage::detail
