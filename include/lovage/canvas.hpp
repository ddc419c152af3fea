// Workflows: chain, group, chord, chunks, map and starmap, typed. Celery: canvas.
//
//   auto flow = chain(fetch.s(url), split.s(), group(count.s(1), count.s(2)), total.s());
//   long words = flow.delay().get(10s);
//
// Types are checked where the workflow is built: a step has to take what the one before it returns, the body of a chord
// a std::vector (or a std::tuple) of its header's results. Signatures without types (app.signature) mix in anywhere and
// are checked when they run. A workflow is itself a signature: it can be a step of another one, be sent with options,
// linked to, cloned, and travel as a value. All of this is thread-safe as Signature is.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <lovage/convert.hpp>
#include <lovage/group_result.hpp>
#include <lovage/signature.hpp>
#include <lovage/stamping.hpp>
#include <lovage/task.hpp>
#include <lovage/value.hpp>

namespace lovage {

// A signature with many results: a group, or a chain that ends in one.
class GroupSignature : public Signature {
 public:
  explicit GroupSignature(Signature signature) : Signature(std::move(signature)) {}

  // Sends all members in one go; what chains put before the arguments of each. Throws what Signature::delay throws;
  // when some could not be sent, the others are under way.
  [[nodiscard]] GroupResult<> delay() const;
  [[nodiscard]] GroupResult<> apply_async(const ApplyOptions& options) const;
  // Runs the members here and now, one after the other.
  [[nodiscard]] GroupResult<> apply() const;

  GroupSignature& set(const ApplyOptions& options) {
    Signature::set(options);
    return *this;
  }
  GroupSignature& link(const Signature& callback) {
    Signature::link(callback);
    return *this;
  }
  GroupSignature& link_error(const Signature& errback) {
    Signature::link_error(errback);
    return *this;
  }
  GroupSignature& on_error(const Signature& errback) { return link_error(errback); }
  GroupSignature& on_success(const Signature& callback) {
    Signature::on_success(callback);
    return *this;
  }
  GroupSignature& on_failure(const Signature& errback) {
    Signature::on_failure(errback);
    return *this;
  }
  GroupSignature& on_complete(const Signature& callback) {
    Signature::on_complete(callback);
    return *this;
  }
  GroupSignature& stamp(const Object& stamps, bool append_stamps = false) {
    Signature::stamp(stamps, append_stamps);
    return *this;
  }
  GroupSignature& stamp(StampingVisitor& visitor, const Object& stamps = {}, bool append_stamps = false) {
    Signature::stamp(visitor, stamps, append_stamps);
    return *this;
  }
};

// A GroupSignature whose results, as one value (std::vector or std::tuple), and missing leading arguments are known.
template <class F>
class TypedGroup;

template <class Results, class... Missing>
class TypedGroup<Results(Missing...)> : public GroupSignature {
 public:
  explicit TypedGroup(Signature signature) : GroupSignature(std::move(signature)) {}

  GroupResult<Results> delay(const Missing&... args) const {
    return GroupResult<Results>(with(args...).GroupSignature::delay());
  }
  GroupResult<Results> apply_async(const std::tuple<Missing...>& args, const ApplyOptions& options) const {
    return std::apply(
        [&](const auto&... a) { return GroupResult<Results>(with(a...).GroupSignature::apply_async(options)); }, args);
  }
  GroupResult<Results> apply(const Missing&... args) const {
    return GroupResult<Results>(with(args...).GroupSignature::apply());
  }

  TypedGroup& set(const ApplyOptions& options) {
    Signature::set(options);
    return *this;
  }
  TypedGroup& link(const Signature& callback) {
    Signature::link(callback);
    return *this;
  }
  TypedGroup& link_error(const Signature& errback) {
    Signature::link_error(errback);
    return *this;
  }
  TypedGroup& on_error(const Signature& errback) { return link_error(errback); }
  TypedGroup& on_success(const Signature& callback) {
    Signature::on_success(callback);
    return *this;
  }
  TypedGroup& on_failure(const Signature& errback) {
    Signature::on_failure(errback);
    return *this;
  }
  TypedGroup& on_complete(const Signature& callback) {
    Signature::on_complete(callback);
    return *this;
  }
  TypedGroup& stamp(const Object& stamps, bool append_stamps = false) {
    Signature::stamp(stamps, append_stamps);
    return *this;
  }
  TypedGroup& stamp(StampingVisitor& visitor, const Object& stamps = {}, bool append_stamps = false) {
    Signature::stamp(visitor, stamps, append_stamps);
    return *this;
  }

 private:
  [[nodiscard]] TypedGroup with(const Missing&... args) const {
    return TypedGroup(clone(Array{lovage::to_value(args)...}));
  }
};

// A chain or a chord that misses no argument of its own. As a step it may follow anything: the result before it goes to
// its first tasks, where immutable ones leave it.
template <class R>
class TypedWorkflow : public TypedSignature<R()> {
 public:
  explicit TypedWorkflow(Signature signature) : TypedSignature<R()>(std::move(signature)) {}

  TypedWorkflow& set(const ApplyOptions& options) {
    Signature::set(options);
    return *this;
  }
  TypedWorkflow& link(const Signature& callback) {
    Signature::link(callback);
    return *this;
  }
  TypedWorkflow& link_error(const Signature& errback) {
    Signature::link_error(errback);
    return *this;
  }
  TypedWorkflow& on_error(const Signature& errback) { return link_error(errback); }
  TypedWorkflow& on_success(const Signature& callback) {
    Signature::on_success(callback);
    return *this;
  }
  TypedWorkflow& on_failure(const Signature& errback) {
    Signature::on_failure(errback);
    return *this;
  }
  TypedWorkflow& on_complete(const Signature& callback) {
    Signature::on_complete(callback);
    return *this;
  }
  TypedWorkflow& stamp(const Object& stamps, bool append_stamps = false) {
    Signature::stamp(stamps, append_stamps);
    return *this;
  }
  TypedWorkflow& stamp(StampingVisitor& visitor, const Object& stamps = {}, bool append_stamps = false) {
    Signature::stamp(visitor, stamps, append_stamps);
    return *this;
  }
};

namespace detail {

// What is known of a step: what it takes, and what it hands on. Value: not known.
template <class Result, bool Immutable, class... Missing>
struct Step {
  using Returns = Result;
  using Takes = std::tuple<Missing...>;
  static constexpr bool is_immutable = Immutable;
  static constexpr bool is_group = false;
  static constexpr bool is_workflow = false;
  static constexpr bool is_typed = true;
};
struct UntypedStep {
  using Returns = Value;
  using Takes = std::tuple<>;
  static constexpr bool is_immutable = false;
  static constexpr bool is_group = false;
  static constexpr bool is_workflow = false;
  static constexpr bool is_typed = false;
};
template <class Results, class... Missing>
struct GroupStep : Step<Results, false, Missing...> {
  static constexpr bool is_group = true;
};
template <class Result>
struct WorkflowStep : Step<Result, false> {
  static constexpr bool is_workflow = true;
};

UntypedStep step_of(const Signature&);
template <class R, class... M>
Step<R, false, M...> step_of(const TypedSignature<R(M...)>&);
template <class R>
Step<R, true> step_of(const ImmutableSignature<R>&);
template <class R>
WorkflowStep<R> step_of(const TypedWorkflow<R>&);
template <class R, class... M>
GroupStep<R, M...> step_of(const TypedGroup<R(M...)>&);
template <class S>
using StepOf = decltype(step_of(std::declval<const S&>()));

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

// Whether a result of type From is an argument of type To, as the wire carries it.
template <class From, class To>
struct Feeds {
  static constexpr bool value() {
    if constexpr (std::is_same_v<From, Value> || std::is_same_v<To, Value>) {
      return true;
    } else if constexpr (std::is_void_v<From>) {
      return IsOptional<To>::value;  // nothing travels as null
    } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
      return false;
    } else {
      return std::is_convertible_v<From, To>;
    }
  }
};
template <class From, class To>
inline constexpr bool kFeeds = Feeds<From, To>::value();
template <class From, class To>
struct Feeds<std::vector<From>, std::vector<To>> {
  static constexpr bool value() { return kFeeds<From, To>; }
};
template <class... From, class To>
struct Feeds<std::tuple<From...>, std::vector<To>> {
  static constexpr bool value() { return (kFeeds<From, To> && ...); }
};
template <class From, class... To>
struct Feeds<std::vector<From>, std::tuple<To...>> {
  static constexpr bool value() { return (kFeeds<From, To> && ...); }
};
template <class... From, class... To>
struct Feeds<std::tuple<From...>, std::tuple<To...>> {
  static constexpr bool value() {
    if constexpr (sizeof...(From) == sizeof...(To)) return (kFeeds<From, To> && ...);
    return false;
  }
};

template <class Previous, class Next>
constexpr bool step_fits() {
  using From = StepOf<Previous>;
  using To = StepOf<Next>;
  if constexpr (!To::is_typed || To::is_immutable) {
    return true;
  } else if constexpr (std::tuple_size_v<typename To::Takes> == 1) {
    return kFeeds<typename From::Returns, std::tuple_element_t<0, typename To::Takes>>;
  } else if constexpr (To::is_group || To::is_workflow) {
    return std::tuple_size_v<typename To::Takes> == 0;  // its first tasks are immutable, or have no types
  } else {
    return false;
  }
}

// The compiler's message names both steps by their types.
template <class Previous, class Next>
struct StepFits {
  static_assert(
      step_fits<Previous, Next>(),
      "this step cannot take what the step before it returns (both stand above, in StepFits<Previous, Next>): "
      "it has to miss exactly one argument of that type; .si() takes nothing");
};

template <class First>
constexpr void check_steps() {}
template <class First, class Second, class... Rest>
constexpr void check_steps() {
  [[maybe_unused]] constexpr StepFits<First, Second> kChecked;
  check_steps<Second, Rest...>();
}

template <class Result, class Takes>
struct ChainType;
template <class Result, class... Missing>
struct ChainType<Result, std::tuple<Missing...>> {
  using Single = std::conditional_t<sizeof...(Missing) == 0, TypedWorkflow<Result>, TypedSignature<Result(Missing...)>>;
  using Many = TypedGroup<Result(Missing...)>;
};

template <class First, class... Rest>
struct LastOf : LastOf<Rest...> {};
template <class Last>
struct LastOf<Last> {
  using type = Last;
};

// void is null in a list.
template <class R>
using InList = std::conditional_t<std::is_void_v<R>, Value, R>;
// One type for all: a list of them; else each its own.
template <class First, class... Rest>
struct ListOf {
  using type = std::conditional_t<(std::is_same_v<First, Rest> && ...), std::vector<InList<First>>,
                                  std::tuple<InList<First>, InList<Rest>...>>;
};

// What the members of a group miss: what those do that take anything.
template <class... Members>
struct GroupTakes {
  using type = std::tuple<>;
};
template <class First, class... Rest>
struct GroupTakes<First, Rest...> {
  using Own = typename StepOf<First>::Takes;
  using Others = typename GroupTakes<Rest...>::type;
  static constexpr bool kFirstDecides = std::tuple_size_v<Own> > 0;
  static_assert(!kFirstDecides || std::tuple_size_v<Others> == 0 || std::is_same_v<Own, Others>,
                "the members of a group miss different arguments: all of them are handed the same");
  using type = std::conditional_t<kFirstDecides, Own, Others>;
};

Signature make_chain(const std::vector<Signature>& steps);
Signature make_group(const std::vector<Signature>& members);
Signature make_chord(const Signature& header, const Signature& body);
Signature make_map(const Signature& task, Array items, bool spread);
Signature make_chunks(const Signature& task, Array items, std::size_t size);

template <class T>
Array to_items(const std::vector<T>& items) {
  Array values;
  values.reserve(items.size());
  for (const auto& item : items) values.push_back(lovage::to_value(item));
  return values;
}

template <class S>
concept AnySignature = std::derived_from<S, Signature>;

}  // namespace detail

// One after the other, each with the result of the one before it as its first argument. The result is the last step's
// (a GroupResult where that is a group), its parent() the step before it. A group that something follows is the header
// of a chord: the next step takes the list of its results, also of one.
template <detail::AnySignature... Steps>
auto chain(const Steps&... steps) {
  static_assert(sizeof...(Steps) > 0, "a chain needs a step");
  detail::check_steps<Steps...>();
  using First = detail::StepOf<std::tuple_element_t<0, std::tuple<Steps...>>>;
  using Last = detail::StepOf<typename detail::LastOf<Steps...>::type>;
  using Type = detail::ChainType<typename Last::Returns, typename First::Takes>;
  Signature chain = detail::make_chain({static_cast<const Signature&>(steps)...});
  if constexpr (Last::is_group) {
    return typename Type::Many(std::move(chain));
  } else {
    return typename Type::Single(std::move(chain));
  }
}
// As many steps as there are. Throws Error when there are none.
inline TypedWorkflow<Value> chain(const std::vector<Signature>& steps) {
  return TypedWorkflow<Value>(detail::make_chain(steps));
}

// All at once, each with the same first argument when one is handed on. Its results are a std::vector where they are of
// one type, else a std::tuple; in the members' order.
template <detail::AnySignature... Members>
requires(sizeof...(Members) > 0) auto group(const Members&... members) {
  using Results = typename detail::ListOf<typename detail::StepOf<Members>::Returns...>::type;
  using Type = detail::ChainType<Results, typename detail::GroupTakes<Members...>::type>;
  return typename Type::Many(detail::make_group({static_cast<const Signature&>(members)...}));
}
// As many members as there are, of one type.
template <detail::AnySignature Member>
auto group(const std::vector<Member>& members) {
  using Step = detail::StepOf<Member>;
  using Type = detail::ChainType<std::vector<detail::InList<typename Step::Returns>>, typename Step::Takes>;
  return typename Type::Many(detail::make_group(std::vector<Signature>(members.begin(), members.end())));
}

// The header's tasks at once, then the body with the list of their results, in the header's order. The result is the
// body's; parent_group() of it is the header's. A header task that fails (or is revoked, or expires) fails the body
// with a ChordError that names it. Needs a result backend.
template <detail::AnySignature Header, detail::AnySignature Body>
auto chord(const Header& header, const Body& body) {
  static_assert(detail::StepOf<Header>::is_group || !detail::StepOf<Header>::is_typed,
                "the header of a chord is a group: chord(group(a.s(), b.s()), body.s())");
  [[maybe_unused]] constexpr detail::StepFits<Header, Body> kChecked;
  using Type = detail::ChainType<typename detail::StepOf<Body>::Returns, typename detail::StepOf<Header>::Takes>;
  Signature chord = detail::make_chord(header, body);
  if constexpr (detail::StepOf<Body>::is_group) {
    return typename Type::Many(std::move(chord));
  } else {
    return typename Type::Single(std::move(chord));
  }
}
template <detail::AnySignature Member, detail::AnySignature Body>
auto chord(const std::vector<Member>& header, const Body& body) {
  return chord(group(header), body);
}

// One task that calls `task` with each item in turn, in one worker that knows it. Celery: task.map.
template <class R, class Arg>
auto map(const Task<R(Arg)>& task, const std::vector<Arg>& items) {
  return TypedSignature<std::vector<detail::InList<R>>()>(detail::make_map(task.s(), detail::to_items(items), false));
}
// The same with a list of arguments for each call. Celery: task.starmap.
template <class R, class... Args>
auto starmap(const Task<R(Args...)>& task, const std::vector<std::tuple<Args...>>& items) {
  return TypedSignature<std::vector<detail::InList<R>>()>(detail::make_map(task.s(), detail::to_items(items), true));
}
// A group of starmaps of `size` calls each. Celery: task.chunks.
template <class R, class... Args>
auto chunks(const Task<R(Args...)>& task, const std::vector<std::tuple<Args...>>& items, std::size_t size) {
  return TypedGroup<std::vector<std::vector<detail::InList<R>>>()>(
      detail::make_chunks(task.s(), detail::to_items(items), size));
}

// chain(first, second).
template <detail::AnySignature First, detail::AnySignature Second>
auto operator|(const First& first, const Second& second) {
  return chain(first, second);
}

}  // namespace lovage
