// An application: its tasks, its settings and its connections. Celery's `Celery` object.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lovage/async_result.hpp>
#include <lovage/config.hpp>
#include <lovage/context.hpp>
#include <lovage/group_result.hpp>
#include <lovage/params.hpp>
#include <lovage/signature.hpp>
#include <lovage/task.hpp>
#include <lovage/task_call.hpp>
#include <lovage/task_options.hpp>
#include <lovage/value.hpp>

namespace lovage {

// What became of one message of send_many().
struct SendOutcome {
  AsyncResult<> result;
  std::exception_ptr error = {};  // set when it was not sent (or, a SendUncertain, maybe not)
  [[nodiscard]] bool sent() const noexcept { return error == nullptr; }
};

// Settings are changed and tasks are declared before the first send and before threads start; everything
// else is thread-safe. The process may fork after using an app: the child makes connections of its own.
class App {
 public:
  // Settings come from the environment: CELERY_BROKER_URL, CELERY_RESULT_BACKEND and LOVAGE_<SETTING>. An
  // error in them is thrown when the app is first used, since an App is often made before main().
  explicit App(std::string name);
  // Settings come from the caller alone.
  App(std::string name, Config config);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  [[nodiscard]] const std::string& name() const noexcept;

  // Settings in code: app.config().task_acks_late = false.
  [[nodiscard]] Config& config() noexcept;
  [[nodiscard]] const Config& config() const noexcept;
  // One setting by its name. Throws ConfigError that names the nearest known one. Durations are seconds.
  void set(std::string_view setting, const Value& value);
  // Reads a TOML file whose top-level keys are settings. The environment still wins over it, for an app
  // that reads the environment. Throws ConfigError with file, line and key.
  void config_from_file(const std::string& path);
  // Reads the environment again.
  void config_from_environment();

  // Declares a task: a function, or an object with one plain operator(). A first parameter of type
  // Context& binds it to its run. Throws ConfigError when the name is taken.
  template <detail::TaskCallable F>
  auto task(std::string name, F&& function, TaskOptions options = {}) {
    using Shape = detail::CallableShape<std::decay_t<F>>;
    return declare<Shape>(std::move(name), std::forward<F>(function), std::vector<Parameter>(Shape::arity),
                          std::move(options));
  }
  // The same with names and defaults of the parameters: lovage::params("x", lovage::param("y") = 5).
  template <detail::TaskCallable F, std::size_t N>
  auto task(std::string name, F&& function, Params<N> names, TaskOptions options = {}) {
    using Shape = detail::CallableShape<std::decay_t<F>>;
    static_assert(N == Shape::arity, "params() names every parameter of the task, without its Context");
    return declare<Shape>(std::move(name), std::forward<F>(function),
                          std::vector<Parameter>(names.parameters.begin(), names.parameters.end()), std::move(options));
  }

  // A task that lives in another process: app.remote<int(int, int)>("py.tasks.mul").delay(6, 7).
  template <class F>
  Task<F> remote(std::string task_name) {
    return Task<F>(core_, std::move(task_name));
  }

  // A call by name, without types.
  [[nodiscard]] Signature signature(std::string task, Array args = {}, Object kwargs = {}) const;
  AsyncResult<> send_task(std::string task, Array args = {}, Object kwargs = {},
                          const ApplyOptions& options = {}) const;

  // Sends many calls in pipelined chunks, with an outcome for each, in order. One deadline for all:
  // `timeout`, or task_publish_timeout.
  std::vector<SendOutcome> send_many(std::span<const Signature> calls,
                                     std::optional<std::chrono::milliseconds> timeout = {}) const;

  // A result by id, as a web handler looks it up.
  [[nodiscard]] AsyncResult<> result(std::string task_id) const;
  // The same with the type that the task returns.
  template <class R>
  [[nodiscard]] AsyncResult<R> result(std::string task_id) const {
    return AsyncResult<R>(static_cast<const ResultHandle&>(result(std::move(task_id))));
  }

  // A group's results by its id, as GroupResult::save() has stored them; nothing when it was not saved or has expired.
  // Celery: GroupResult.restore.
  [[nodiscard]] std::optional<GroupResult<>> group_result(const std::string& group_id) const;

  // What the library's other layers work with; not for applications.
  [[nodiscard]] app::Core& core() const noexcept { return *core_; }

 private:
  template <class Shape, class F>
  auto declare(std::string name, F&& function, std::vector<Parameter> parameters, TaskOptions options) {
    auto declaration =
        detail::declare_task<Shape>(name, std::forward<F>(function), std::move(parameters), std::move(options));
    add(std::move(declaration));
    return Task<typename Shape::Signature>(core_, std::move(name));
  }
  void add(detail::TaskDeclaration declaration);

  std::shared_ptr<app::Core> core_;
  bool reads_environment_ = false;
};

}  // namespace lovage
