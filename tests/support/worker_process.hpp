// A worker in a process of its own, as benchmarks and fault tests start, measure and kill it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace lovage::test {

// Starts `arguments` (the first is the program's path) and waits until the worker says that it is ready
// (READY=1 on the socket named by NOTIFY_SOCKET, as systemd's services do). Its output goes to this
// process's stderr, or to `log_path`. Throws std::runtime_error when it ends before that.
class WorkerProcess {
 public:
  explicit WorkerProcess(const std::vector<std::string>& arguments, const std::string& log_path = {});
  ~WorkerProcess();  // TERM, and waits; KILL after 30 s
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  [[nodiscard]] int pid() const noexcept { return pid_; }
  // From the start of the process to its readiness.
  [[nodiscard]] std::chrono::duration<double> startup() const noexcept { return startup_; }
  // False once the process has ended (it is reaped then).
  [[nodiscard]] bool running();
  void kill(int signal) const noexcept;
  // Waits for the end; returns the wait status.
  int wait();

  // Proportional set size of the process and all its descendants, each counted once, in MiB.
  [[nodiscard]] double pss_mib() const;
  // CPU seconds (user and system) of the process and its living descendants so far.
  [[nodiscard]] double cpu_seconds() const;

 private:
  void start(const std::vector<std::string>& arguments, const std::string& log_path, const std::string& socket);
  void wait_until_ready(int socket);

  int pid_ = -1;
  int wait_status_ = 0;
  bool reaped_ = false;
  std::chrono::steady_clock::time_point started_;
  std::chrono::duration<double> startup_{};
};

// The process and its descendants, the process first.
std::vector<int> process_tree(int pid);

}  // namespace lovage::test
