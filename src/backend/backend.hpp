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

using broker::ChordCount;
using broker::ChordEnd;
using broker::ChordParts;
using broker::ChordStart;
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

  // Chords. Where broker and backend are one store, a worker's settlement does this in its own step.
  // Starting one again changes its size alone.
  virtual Result<void> start_chord(const ChordStart& start, Deadline deadline) = 0;
  // One more header task than it had: before that task is sent. Celery: add_to_chord.
  virtual Result<void> extend_chord(const std::string& group_id, Deadline deadline) = 0;
  // Whether all parts are there, whoever brought the last one: repeating it does no harm until the chord has ended.
  virtual Result<bool> count_parts(const ChordCount& count, Deadline deadline) = 0;
  // At most `most` parts. `from`: what the call before it said in `next`; empty: the first ones.
  virtual Result<ChordParts> chord_parts(const std::string& group_id, const std::string& from, std::size_t most,
                                         Deadline deadline) = 0;
  virtual Result<void> end_chord(const ChordEnd& end, Deadline deadline) = 0;

  // Groups by id, so that another process finds them. Celery: GroupResult.save, restore, delete.
  virtual Result<void> save_group(const std::string& group_id, const std::string& text, Deadline deadline) = 0;
  virtual Result<std::optional<std::string>> restore_group(const std::string& group_id, Deadline deadline) = 0;
  virtual Result<void> forget_group(const std::string& group_id, Deadline deadline) = 0;

  virtual Result<void> check(Deadline deadline) = 0;
  // See Broker::identity.
  virtual Result<std::string> identity(Deadline deadline) = 0;
  [[nodiscard]] virtual std::string display_url() const = 0;
};

}  // namespace lovage::backend
