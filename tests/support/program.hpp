// Runs a program of ours to its end, as a user's shell would.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "net/child_process.hpp"
#include "support/slowness.hpp"
#include "support/temp_dir.hpp"

namespace lovage::test {

// The environment variables that a test gives a program besides its own, "NAME=value".
using Environment = std::vector<std::string>;

inline constexpr std::chrono::seconds kProgramLimit{30 * kSlowness};

// A program that runs beside the test: its output goes to files. Killed at the end if it still runs.
class Program {
 public:
  Program(const std::filesystem::path& path, const std::vector<std::string>& arguments, const Environment& more = {});

  [[nodiscard]] net::ChildProcess& process() noexcept { return *child_; }
  [[nodiscard]] std::string out() const { return read("out"); }
  [[nodiscard]] std::string err() const { return read("err"); }
  // Its exit code, or minus the signal that killed it. Throws when it does not end in time.
  int wait(std::chrono::milliseconds limit = kProgramLimit);
  // Waits until the text stands in its output (either). Throws when it ends before, or not in time.
  void wait_for(const std::string& text, std::chrono::milliseconds limit = kProgramLimit);

 private:
  [[nodiscard]] std::string read(const std::string& name) const;
  TempDir folder_;
  std::optional<net::ChildProcess> child_;
};

struct Ended {
  int code = 0;
  std::string out;
  std::string err;
};
Ended run_program(const std::filesystem::path& path, const std::vector<std::string>& arguments,
                  const Environment& more = {});

}  // namespace lovage::test
