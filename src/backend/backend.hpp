// A result backend: where results wait to be read. Each engine is a folder beside this file.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/settlement.hpp"

namespace lovage::backend {

using broker::StoreResult;

// Thread-safe; may be used after fork() in the child, which makes connections of its own. Every call
// returns by its deadline.
class Backend {
 public:
  virtual ~Backend() = default;

  // The stored meta, encoded (wire/result_meta.hpp); nothing when the id is unknown (PENDING).
  virtual Result<std::optional<std::string>> get(const std::string& task_id, Deadline deadline) = 0;
  // The same for many ids at once, in order.
  virtual Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> task_ids,
                                                                   Deadline deadline) = 0;

  // Waits until the id has a ready state, without polling, and returns its meta; nothing when the
  // deadline passed. Subscribes only while somebody waits.
  virtual Result<std::optional<std::string>> wait(const std::string& task_id, Deadline deadline) = 0;

  // Stores metas by the rule of states::may_replace, one status per item. For workers whose broker is
  // another engine, and for clients.
  virtual std::vector<Result<void>> store(std::span<const StoreResult> results, Deadline deadline) = 0;

  virtual Result<void> forget(const std::string& task_id, Deadline deadline) = 0;

  virtual Result<void> check(Deadline deadline) = 0;
  // See Broker::identity.
  virtual Result<std::string> identity(Deadline deadline) = 0;
  [[nodiscard]] virtual std::string display_url() const = 0;
};

}  // namespace lovage::backend
