// A call that has not been made yet: a task's name, its arguments and how to send it. Celery's Signature.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <lovage/async_result.hpp>
#include <lovage/config.hpp>
#include <lovage/convert.hpp>
#include <lovage/value.hpp>

namespace lovage {

struct ApplyOptions;
class StampingVisitor;

namespace detail {

// What concerns one send alone and never travels.
struct SendOptions {
  std::optional<bool> retry = {};
  std::optional<RetryPolicy> retry_policy = {};
  std::optional<std::chrono::milliseconds> timeout = {};
};

}  // namespace detail

// A value: copying copies the call, not the task. Distinct Signatures may be used from distinct threads.
class Signature {
 public:
  Signature(std::shared_ptr<app::Core> core, std::string task, Array args = {}, Object kwargs = {});

  [[nodiscard]] const std::string& task() const noexcept { return task_; }
  [[nodiscard]] const Array& args() const noexcept { return args_; }
  [[nodiscard]] const Object& kwargs() const noexcept { return kwargs_; }
  // By the names of the wire: "queue", "countdown" (seconds), "link" (a list of signatures), ...
  [[nodiscard]] const Object& options() const noexcept { return options_; }
  // An immutable signature ignores the results of the tasks before it. Celery: .si().
  [[nodiscard]] bool immutable() const noexcept { return immutable_; }
  [[nodiscard]] const std::optional<std::string>& subtask_type() const noexcept { return subtask_type_; }

  // Each of these changes this signature and returns it.
  Signature& set(const ApplyOptions& options);  // options given here replace those of the same name
  Signature& set_immutable(bool immutable);
  Signature& link(const Signature& callback);       // run with the result, after success
  Signature& link_error(const Signature& errback);  // run with the task's id, after a failure
  Signature& on_error(const Signature& errback) { return link_error(errback); }
  // Callbacks of the whole, whatever it is: each is sent once, when the call, chain, group or chord has ended.
  // on_success gets its result (of a group, the list); on_failure is an errback (docs/canvas.md, "When something
  // fails"); on_complete gets the id of its result, either way. A group that has any counts as one in a chord's header.
  Signature& on_success(const Signature& callback);
  Signature& on_failure(const Signature& errback);
  Signature& on_complete(const Signature& callback);
  // Marks this call, and all that it consists of or that hangs at it (steps, members, bodies, callbacks, errbacks),
  // with names and JSON values that every message carries, as monitors and revoking by stamps read them. A stamp that
  // is there already stays; with append_stamps both are kept, as a list. Throws ConfigError for a name that is an
  // option's ("queue"). Celery: stamp.
  Signature& stamp(const Object& stamps, bool append_stamps = false);
  // With what the visitor adds (lovage/stamping.hpp).
  Signature& stamp(StampingVisitor& visitor, const Object& stamps = {}, bool append_stamps = false);

  // A copy with more arguments: they are put before those that are here, as a chain passes results on.
  // For an immutable signature only the options count. Celery: clone.
  [[nodiscard]] Signature clone(Array args = {}, Object kwargs = {}) const;

  // Sends the call. Throws ConnectionError when the broker could not be reached by the deadline,
  // SendUncertain when it may have been sent, EncodeError for what the format cannot carry, ConfigError.
  AsyncResult<> delay() const;
  AsyncResult<> apply_async() const { return delay(); }
  AsyncResult<> apply_async(const ApplyOptions& options) const;
  // Runs the call here and now, without a broker. The task has to be one of this app's: NotRegistered.
  AsyncResult<> apply() const;

  // The form of the wire: {"task", "args", "kwargs", "options", "subtask_type", "immutable"}.
  [[nodiscard]] Value to_value() const;
  // Throws DecodeError.
  static Signature from_value(std::shared_ptr<app::Core> core, Value value);

  [[nodiscard]] const std::shared_ptr<app::Core>& core() const noexcept { return core_; }
  [[nodiscard]] const detail::SendOptions& send_options() const noexcept { return send_; }

 private:
  // Takes over another form of itself; how it is sent stays.
  Signature& become(const Value& value);

  std::shared_ptr<app::Core> core_;
  std::string task_;
  Array args_;
  Object kwargs_;
  Object options_;
  detail::SendOptions send_;
  std::optional<std::string> subtask_type_;
  bool immutable_ = false;
};

// One or several signatures: `.link = log.s()` or `.link = {log.s(), count.s()}`.
class Signatures {
 public:
  Signatures() = default;
  Signatures(const Signature& one) : list_{one} {}  // NOLINT(google-explicit-constructor)
  Signatures(std::initializer_list<Signature> several) : list_(several) {}
  Signatures(std::vector<Signature> several) : list_(std::move(several)) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
  [[nodiscard]] auto begin() const noexcept { return list_.begin(); }
  [[nodiscard]] auto end() const noexcept { return list_.end(); }

 private:
  std::vector<Signature> list_;
};

// When a message is worth nothing any more: after a time from now, or at a point in time.
class Expires {
 public:
  Expires() = default;
  template <class Rep, class Period>
  Expires(std::chrono::duration<Rep, Period> after)  // NOLINT(google-explicit-constructor)
      : when_(std::chrono::duration_cast<std::chrono::milliseconds>(after)) {}
  Expires(std::chrono::system_clock::time_point at) : when_(at) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] const auto& when() const noexcept { return when_; }

 private:
  std::variant<std::monostate, std::chrono::milliseconds, std::chrono::system_clock::time_point> when_;
};

// How one send travels. What is not given comes from the task's options, its route and the settings.
// Celery: the keyword arguments of apply_async. Set by name, in this order:
// add.apply_async({2, 3}, {.queue = "priority", .countdown = 60s}).
struct ApplyOptions {
  std::string task_id = {};  // default: a new UUID
  std::string queue = {};
  std::string exchange = {};  // with routing_key, instead of a queue
  std::string routing_key = {};
  std::optional<std::chrono::milliseconds> countdown = {};  // run after that time
  std::optional<std::chrono::system_clock::time_point> eta = {};
  Expires expires = {};
  std::optional<int> priority = {};  // 0 (served first) to 9; 255 at most
  Signatures link = {};
  Signatures link_error = {};
  std::optional<bool> retry = {};  // of the send itself; default: task_publish_retry
  std::optional<RetryPolicy> retry_policy = {};
  std::string serializer = {};   // json or msgpack
  std::string compression = {};  // zlib, bzip2 or zstd
  Object headers = {};           // the sender's own
  std::optional<bool> ignore_result = {};
  std::string shadow = {};  // the name that logs and monitors show
  std::optional<std::chrono::milliseconds> time_limit = {};
  std::optional<std::chrono::milliseconds> soft_time_limit = {};
  std::string reply_to = {};
  std::optional<std::chrono::milliseconds> timeout = {};  // of the send; default: task_publish_timeout
  Object kwargs = {};                                     // more arguments, by name
};

// A Signature whose result and missing leading arguments are known: add.s(3) is an int(int).
template <class F>
class TypedSignature;

template <class R, class... Missing>
class TypedSignature<R(Missing...)> : public Signature {
 public:
  explicit TypedSignature(Signature signature) : Signature(std::move(signature)) {}

  AsyncResult<R> delay(const Missing&... args) const { return AsyncResult<R>(with(args...).Signature::delay()); }
  AsyncResult<R> apply_async(const std::tuple<Missing...>& args, const ApplyOptions& options) const {
    return std::apply([&](const auto&... a) { return AsyncResult<R>(with(a...).Signature::apply_async(options)); },
                      args);
  }
  AsyncResult<R> apply_async(const ApplyOptions& options) const requires(sizeof...(Missing) == 0) {
    return AsyncResult<R>(Signature::apply_async(options));
  }
  AsyncResult<R> apply(const Missing&... args) const { return AsyncResult<R>(with(args...).Signature::apply()); }

  TypedSignature& set(const ApplyOptions& options) {
    Signature::set(options);
    return *this;
  }
  TypedSignature& link(const Signature& callback) {
    Signature::link(callback);
    return *this;
  }
  TypedSignature& link_error(const Signature& errback) {
    Signature::link_error(errback);
    return *this;
  }
  TypedSignature& on_error(const Signature& errback) { return link_error(errback); }
  TypedSignature& on_success(const Signature& callback) {
    Signature::on_success(callback);
    return *this;
  }
  TypedSignature& on_failure(const Signature& errback) {
    Signature::on_failure(errback);
    return *this;
  }
  TypedSignature& on_complete(const Signature& callback) {
    Signature::on_complete(callback);
    return *this;
  }
  TypedSignature& stamp(const Object& stamps, bool append_stamps = false) {
    Signature::stamp(stamps, append_stamps);
    return *this;
  }
  TypedSignature& stamp(StampingVisitor& visitor, const Object& stamps = {}, bool append_stamps = false) {
    Signature::stamp(visitor, stamps, append_stamps);
    return *this;
  }

 private:
  [[nodiscard]] TypedSignature with(const Missing&... args) const {
    return TypedSignature(clone(Array{lovage::to_value(args)...}));
  }
};

// A signature that takes nothing from the task before it. Celery: .si().
template <class R>
class ImmutableSignature : public TypedSignature<R()> {
 public:
  explicit ImmutableSignature(TypedSignature<R()> signature) : TypedSignature<R()>(std::move(signature)) {
    this->set_immutable(true);
  }
  ImmutableSignature& set(const ApplyOptions& options) {
    Signature::set(options);
    return *this;
  }
  ImmutableSignature& link(const Signature& callback) {
    Signature::link(callback);
    return *this;
  }
  ImmutableSignature& link_error(const Signature& errback) {
    Signature::link_error(errback);
    return *this;
  }
  ImmutableSignature& on_error(const Signature& errback) { return link_error(errback); }
  ImmutableSignature& on_success(const Signature& callback) {
    Signature::on_success(callback);
    return *this;
  }
  ImmutableSignature& on_failure(const Signature& errback) {
    Signature::on_failure(errback);
    return *this;
  }
  ImmutableSignature& on_complete(const Signature& callback) {
    Signature::on_complete(callback);
    return *this;
  }
  ImmutableSignature& stamp(const Object& stamps, bool append_stamps = false) {
    Signature::stamp(stamps, append_stamps);
    return *this;
  }
  ImmutableSignature& stamp(StampingVisitor& visitor, const Object& stamps = {}, bool append_stamps = false) {
    Signature::stamp(visitor, stamps, append_stamps);
    return *this;
  }
};

}  // namespace lovage
