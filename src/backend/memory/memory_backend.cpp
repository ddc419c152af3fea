#include "backend/memory/memory_backend.hpp"

#include <utility>

namespace lovage::backend::memory {
namespace {

// Nothing but wait() waits, so no other deadline is looked at.
class MemoryBackend final : public Backend {
 public:
  explicit MemoryBackend(std::shared_ptr<broker::memory::Store> store) : store_(std::move(store)) {}

  Result<std::optional<std::string>> get(const std::string& task_id, Deadline) override {
    return std::move(store_->results({&task_id, 1}).front());
  }
  Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> task_ids, Deadline) override {
    return store_->results(task_ids);
  }
  Result<std::optional<std::string>> wait(const std::string& task_id, Deadline deadline) override {
    return store_->wait_for_result(task_id, deadline);
  }
  std::vector<Result<void>> store(std::span<const StoreResult> results, Deadline) override {
    store_->put_results(results);
    return std::vector<Result<void>>(results.size());
  }
  Result<void> forget(const std::string& task_id, Deadline) override {
    store_->forget(task_id);
    return {};
  }
  Result<void> start_chord(const ChordStart& start, Deadline) override {
    store_->start_chord(start);
    return {};
  }
  Result<void> extend_chord(const std::string& group_id, Deadline) override {
    store_->extend_chord(group_id);
    return {};
  }
  Result<bool> count_parts(const ChordCount& count, Deadline) override { return store_->count_parts(count); }
  Result<ChordParts> chord_parts(const std::string& group_id, const std::string& from, std::size_t most,
                                 Deadline) override {
    return store_->chord_parts(group_id, from, most);
  }
  Result<void> end_chord(const ChordEnd& end, Deadline) override {
    store_->end_chord(end);
    return {};
  }
  Result<void> save_group(const std::string& group_id, const std::string& text, Deadline) override {
    store_->save_group(group_id, text);
    return {};
  }
  Result<std::optional<std::string>> restore_group(const std::string& group_id, Deadline) override {
    return store_->restore_group(group_id);
  }
  Result<void> forget_group(const std::string& group_id, Deadline) override {
    store_->forget_group(group_id);
    return {};
  }
  Result<void> check(Deadline) override { return {}; }
  Result<std::string> identity(Deadline) override { return store_->identity(); }
  [[nodiscard]] std::string display_url() const override { return store_->display_url(); }

 private:
  const std::shared_ptr<broker::memory::Store> store_;
};

}  // namespace

std::shared_ptr<Backend> make_memory_backend(std::shared_ptr<broker::memory::Store> store) {
  return std::make_shared<MemoryBackend>(std::move(store));
}

}  // namespace lovage::backend::memory
