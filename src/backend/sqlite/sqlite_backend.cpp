#include "backend/sqlite/sqlite_backend.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <lovage/states.hpp>

namespace lovage::backend::sqlite {
namespace {

using namespace std::chrono_literals;
using broker::sqlite::Store;
using broker::sqlite::StoreAccess;

constexpr std::size_t kResultsAtOnce = 256;
// Should a wake-up be lost (the side file removed, the disk full), this finds the result.
constexpr auto kSafetyLook = 3s;

// Rings when something was committed.
class Bell {
 public:
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      rung_ = true;
    }
    rung_changed_.notify_one();
  }
  void wait_until(Monotonic until) {
    std::unique_lock lock(mutex_);
    rung_changed_.wait_until(lock, until, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable rung_changed_;
  bool rung_ = false;
};

class SqliteBackend final : public Backend {
 public:
  explicit SqliteBackend(std::shared_ptr<StoreAccess> access) : access_(std::move(access)) {}

  Result<std::optional<std::string>> get(const std::string& task_id, Deadline deadline) override {
    auto metas = get_many({&task_id, 1}, deadline);
    if (!metas) return tl::unexpected(metas.error());
    return std::move(metas->front());
  }

  Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> task_ids,
                                                           Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    std::vector<std::optional<std::string>> metas;
    metas.reserve(task_ids.size());
    for (const auto& task_id : task_ids) {
      auto stored = (*store)->result(task_id);
      if (!stored) return tl::unexpected(stored.error());
      if (*stored) {
        metas.emplace_back(std::move((*stored)->meta));
      } else {
        metas.emplace_back(std::nullopt);
      }
    }
    return metas;
  }

  Result<std::optional<std::string>> wait(const std::string& task_id, Deadline deadline) override {
    auto commits = access_->commits();
    if (!commits) return tl::unexpected(commits.error());
    Bell bell;
    // Before the first look, so that no commit falls between the two.
    const auto subscription = client::CommitWatch::subscribe(*commits, [&bell] { bell.ring(); });
    for (;;) {
      auto ready = ready_meta(task_id, deadline);
      if (!ready || *ready) return ready;
      if (deadline.passed()) return std::nullopt;
      bell.wait_until(std::min(deadline.when(), std::chrono::steady_clock::now() + kSafetyLook));
    }
  }

  std::vector<Result<void>> store(std::span<const StoreResult> results, Deadline deadline) override {
    std::vector<Result<void>> outcomes;
    for (std::size_t from = 0; from < results.size(); from += kResultsAtOnce) {
      const auto chunk = results.subspan(from, std::min(kResultsAtOnce, results.size() - from));
      // One transaction, so all of a chunk have one outcome.
      outcomes.insert(outcomes.end(), chunk.size(), store_chunk(chunk, deadline));
    }
    return outcomes;
  }

  Result<void> forget(const std::string& task_id, Deadline deadline) override {
    return write(deadline, [&](Store& store) { return store.forget(task_id); });
  }

  Result<void> start_chord(const ChordStart& start, Deadline deadline) override {
    return write(deadline, [&](Store& store) { return store.start_chord(start); });
  }
  Result<void> extend_chord(const std::string& group_id, Deadline deadline) override {
    return write(deadline, [&](Store& store) { return store.extend_chord(group_id); });
  }
  Result<bool> count_parts(const ChordCount& count, Deadline deadline) override {
    bool complete = false;
    auto counted = write(deadline, [&](Store& store) -> Result<void> {
      auto parts = store.count_parts(count);
      if (!parts) return tl::unexpected(parts.error());
      complete = parts->complete;
      return {};
    });
    if (!counted) return tl::unexpected(counted.error());
    return complete;
  }
  Result<ChordParts> chord_parts(const std::string& group_id, const std::string& from, std::size_t most,
                                 Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    return (*store)->chord_parts(group_id, from, most);
  }
  Result<void> end_chord(const ChordEnd& end, Deadline deadline) override {
    return write(deadline, [&](Store& store) { return store.end_chord(end); });
  }

  Result<void> save_group(const std::string& group_id, const std::string& text, Deadline deadline) override {
    return write(deadline, [&](Store& store) { return store.save_group(group_id, text); });
  }
  Result<std::optional<std::string>> restore_group(const std::string& group_id, Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    return (*store)->restore_group(group_id);
  }
  Result<void> forget_group(const std::string& group_id, Deadline deadline) override {
    return write(deadline, [&](Store& store) { return store.forget_group(group_id); });
  }

  Result<void> check(Deadline deadline) override {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    return {};
  }
  Result<std::string> identity(Deadline deadline) override { return access_->identity(deadline); }
  [[nodiscard]] std::string display_url() const override { return access_->display_url(); }

 private:
  template <class Change>
  Result<void> write(Deadline deadline, const Change& change) {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    auto transaction = (*store)->db().begin(deadline);
    if (!transaction) return tl::unexpected(transaction.error());
    if (Result<void> changed = change(**store); !changed) return changed;
    return transaction->commit();
  }

  Result<void> store_chunk(std::span<const StoreResult> results, Deadline deadline) {
    return write(deadline, [&](Store& store) -> Result<void> {
      for (const auto& result : results) {
        if (auto put = store.put_result(result); !put) return put;
      }
      return {};
    });
  }

  Result<std::optional<std::string>> ready_meta(const std::string& task_id, Deadline deadline) {
    auto store = access_->acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    auto stored = (*store)->result(task_id);
    if (!stored) return tl::unexpected(stored.error());
    if (!*stored || !states::is_ready((*stored)->state)) return std::nullopt;
    return std::move((*stored)->meta);
  }

  const std::shared_ptr<StoreAccess> access_;
};

}  // namespace

std::shared_ptr<Backend> make_sqlite_backend(std::shared_ptr<StoreAccess> access) {
  return std::make_shared<SqliteBackend>(std::move(access));
}

}  // namespace lovage::backend::sqlite
