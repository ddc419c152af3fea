// A fair gate between the writers of all processes that share a database.
#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace lovage::client {

// Two flocks on side files: take "next", take "main", drop "next", transact, drop "main". Whoever waits
// for "main" is the only one, so a writer cannot overtake it again and again. The kernel drops both
// when their process dies. One thread at a time; not usable after fork().
class WriteGate {
 public:
  static Result<std::unique_ptr<WriteGate>> open(const std::string& database_path);
  ~WriteGate();
  WriteGate(const WriteGate&) = delete;
  WriteGate& operator=(const WriteGate&) = delete;

  // timed_out when another process held the gate until the deadline.
  Result<void> enter(Deadline deadline);
  void leave() noexcept;

 private:
  struct Shared;
  explicit WriteGate(std::shared_ptr<Shared> shared) noexcept;
  std::shared_ptr<Shared> shared_;
};

}  // namespace lovage::client
