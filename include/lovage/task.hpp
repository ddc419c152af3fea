// A task that can be called from here: declared by this app, or living in another process.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <lovage/async_result.hpp>
#include <lovage/convert.hpp>
#include <lovage/signature.hpp>

namespace lovage {

namespace detail {

// The parameters that `Given` trailing ones leave open.
template <class R, class Tuple, class Indices>
struct Leading;
template <class R, class Tuple, std::size_t... I>
struct Leading<R, Tuple, std::index_sequence<I...>> {
  using type = TypedSignature<R(std::tuple_element_t<I, Tuple>...)>;
};

}  // namespace detail

template <class F>
class Task;

// Thread-safe and cheap to copy. Arguments are checked at compile time.
template <class R, class... Args>
class Task<R(Args...)> {
  static_assert((Sendable<Args> && ...),
                "an argument of this task has a type without a lovage::Convert specialisation");

 public:
  using Result = R;
  using Arguments = std::tuple<Args...>;

  Task(std::shared_ptr<app::Core> core, std::string name) : core_(std::move(core)), name_(std::move(name)) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  // Sends a call. Throws what Signature::delay throws.
  AsyncResult<R> delay(const Args&... args) const { return AsyncResult<R>(call(args...).Signature::delay()); }

  // Sends a call with options: add.apply_async({2, 3}, {.queue = "priority"}).
  AsyncResult<R> apply_async(const Arguments& args, const ApplyOptions& options = {}) const {
    return std::apply([&](const auto&... a) { return AsyncResult<R>(call(a...).Signature::apply_async(options)); },
                      args);
  }

  // Runs the task here and now, without a broker; the result is ready.
  AsyncResult<R> apply(const Args&... args) const { return AsyncResult<R>(call(args...).Signature::apply()); }

  // The call as a value. Given fewer arguments than the task has, they are its last ones: the result of
  // the task before comes first. split.s() takes everything from it.
  template <class... Given>
  requires(sizeof...(Given) <= sizeof...(Args)) auto s(const Given&... given) const {
    return partial(std::make_index_sequence<sizeof...(Args) - sizeof...(Given)>(),
                   std::make_index_sequence<sizeof...(Given)>(), given...);
  }

  // The call as it is: results of tasks before it are ignored. Celery: .si().
  ImmutableSignature<R> si(const Args&... args) const { return ImmutableSignature<R>(call(args...)); }

 private:
  [[nodiscard]] TypedSignature<R()> call(const Args&... args) const {
    return TypedSignature<R()>(Signature(core_, name_, Array{to_value(args)...}));
  }

  template <std::size_t... Open, std::size_t... I, class... Given>
  auto partial(std::index_sequence<Open...> open, std::index_sequence<I...>, const Given&... given) const {
    static_assert((std::is_convertible_v<Given, std::tuple_element_t<sizeof...(Open) + I, Arguments>> && ...),
                  "these arguments do not fit the task's last parameters");
    Array args{to_value(static_cast<std::tuple_element_t<sizeof...(Open) + I, Arguments>>(given))...};
    return typename detail::Leading<R, Arguments, decltype(open)>::type(Signature(core_, name_, std::move(args)));
  }

  std::shared_ptr<app::Core> core_;
  std::string name_;
};

}  // namespace lovage
