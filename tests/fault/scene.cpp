#include "fault/scene.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill(2) is POSIX's
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "app/core.hpp"
#include "fault/fleet.hpp"
#include "support/slowness.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;
constexpr auto kPatience = 30s * test::kSlowness;

// Every thread of the process, or there is no such process any more.
bool has_stopped(int pid) {
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", gone)) {
    std::ifstream file(task.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    // "123 (name) T ...": the name may hold anything.
    const auto name_end = stat.rfind(')');
    if (name_end == std::string::npos || name_end + 2 >= stat.size()) continue;  // that thread has ended
    if (stat[name_end + 2] != 'T' && stat[name_end + 2] != 'Z') return false;
  }
  return true;
}

}  // namespace

std::string name_of(Engine engine) {
  return engine == Engine::redis ? "redis" : "sqlite";
}

Scene::Scene(Engine engine, test::RedisServer::Options redis) {
  if (engine == Engine::redis) {
    redis_.emplace(std::move(redis));
    broker_url_ = redis_->url(0);
    backend_url_ = redis_->url(1);
  } else {
    // In a folder of its own: the files beside it are watched.
    std::filesystem::create_directory(folder_.path() / "store");
    broker_url_ = backend_url_ = "sqlite:///" + path("store/fault.db");
  }
  Config config;
  config.broker_url = broker_url_;
  config.result_backend = backend_url_;
  app_ = std::make_unique<App>("fault", config);
}

Scene::~Scene() {
  try {
    EXPECT_EQ(audit(take_sent()), "");
  } catch (const std::exception& error) {
    ADD_FAILURE() << "no audit: " << error.what();
  }
}

Worker Scene::worker(const std::string& name, const WorkerOptions& options) const {
  std::vector<std::string> line{"/usr/bin/env"};
  line.insert(line.end(), options.environment.begin(), options.environment.end());
  const std::string& broker = options.broker_url.empty() ? broker_url_ : options.broker_url;
  line.insert(line.end(), {FAULT_APP, "worker", "-b", broker, "--result-backend", backend_url_, "-n", name + "@%h",
                           "-l", "INFO", "-Q", options.queues});
  line.insert(line.end(), options.arguments.begin(), options.arguments.end());
  line.insert(line.end(), {"--", "worker_lease=" + std::to_string(options.lease)});
  return std::make_unique<test::WorkerProcess>(line, path(name + ".log"));
}

std::string Scene::contents(const std::string& file) const {
  std::ostringstream text;
  text << std::ifstream(path(file)).rdbuf();
  return text.str();
}

bool Scene::wait_file(const std::string& file, const std::function<bool(const std::string&)>& condition) const {
  const net::Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (::inotify_add_watch(watch.get(), folder_.path().c_str(), IN_MODIFY) < 0)
    throw std::runtime_error("inotify failed");
  const Deadline deadline = Deadline::after(kPatience);
  while (!condition(contents(file))) {
    if (deadline.passed()) return false;
    pollfd changed{watch.get(), POLLIN, 0};
    ::poll(&changed, 1, deadline.poll_timeout());
    std::array<char, 4'096> events{};
    while (::read(watch.get(), events.data(), events.size()) > 0) {
    }
  }
  return true;
}

bool Scene::wait_log(const std::string& worker, const std::string& text) const {
  return wait_file(worker + ".log", [&](const std::string& all) { return all.find(text) != std::string::npos; });
}

std::vector<std::string> Scene::lines(const std::string& file) const {
  std::vector<std::string> out;
  std::istringstream text(contents(file));
  for (std::string line; std::getline(text, line);) out.push_back(line);
  return out;
}

bool Scene::wait_lines(const std::string& file, std::size_t count) const {
  return wait_file(file, [&](const std::string& all) {
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), '\n')) >= count;
  });
}

AsyncResult<> Scene::send(const std::string& id, std::chrono::milliseconds takes) {
  const auto started = app_->remote<void(std::string, std::string, std::int64_t)>("fault.started");
  auto callback = app_->remote<void(std::string, std::string)>("fault.note").si(id, path("links"));
  callback.set({.queue = kLinkQueue});
  const auto sent = started.apply_async({id, path("started"), takes.count()}, {.link = callback});
  const std::lock_guard lock(mutex_);
  sent_.push_back(sent.id());
  return app_->result(sent.id());
}

void Scene::add_sent(const std::vector<std::string>& ids) {
  const std::lock_guard lock(mutex_);
  sent_.insert(sent_.end(), ids.begin(), ids.end());
}

std::vector<std::string> Scene::take_sent() {
  const std::lock_guard lock(mutex_);
  return std::exchange(sent_, {});
}

std::string Scene::audit(const std::vector<std::string>& ids) const {
  return fault::audit(broker_url_, backend_url_, ids);
}

std::vector<std::string> Scene::run_callbacks() {
  const Worker worker = this->worker("links", {.queues = kLinkQueue});
  wait_until_empty(*app_, kLinkQueue);
  auto out = lines("links");
  std::sort(out.begin(), out.end());
  return out;
}

broker::QueueInfo Scene::queue() {
  const std::vector<std::string> names{"celery"};
  auto found = app_->core().broker().queues(names, Deadline::after(10s));
  if (!found) throw std::runtime_error(found.error().message);
  return found->at(0);
}

bool Scene::wait_queue(const std::function<bool(const broker::QueueInfo&)>& condition) {
  const Deadline deadline = Deadline::after(kPatience);
  while (!condition(queue())) {
    if (deadline.passed()) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

std::vector<broker::DeadLetterEntry> Scene::dead_letters() {
  auto found = app_->core().broker().dead_letters(1'000, Deadline::after(10s));
  if (!found) throw std::runtime_error(found.error().message);
  return std::move(*found);
}

test::Ended Scene::lovage(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {"-b", broker_url_, "--result-backend", backend_url_});
  return test::run_program(LOVAGE_PROGRAM, arguments);
}

std::string audit(const std::string& broker_url, const std::string& backend_url, const std::vector<std::string>& ids) {
  const test::TempDir folder;
  const std::string file = (folder.path() / "ids").string();
  {
    std::ofstream out(file);
    for (const auto& id : ids) out << id << '\n';
  }
  const test::Ended ended = test::run_program(
      LOVAGE_PROGRAM, {"-b", broker_url, "--result-backend", backend_url, "audit", "--ids-from", file});
  return ended.code == 0 ? "" : ended.out + ended.err;
}

void signal_tree(int pid, int signal) {
  const auto tree = test::process_tree(pid);
  for (const int each : tree) ::kill(each, signal);
  if (signal != SIGSTOP) return;
  // kill() returns before the signal has its effect: a thread may go on for a while, and take a message.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (const int each : tree) {
    while (!has_stopped(each)) {
      if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("SIGSTOP did not stop a process");
      std::this_thread::yield();
    }
  }
}

std::size_t count(const std::vector<std::string>& lines, const std::string& line) {
  return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), line));
}

}  // namespace lovage::fault
