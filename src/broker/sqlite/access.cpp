#include "broker/sqlite/access.hpp"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <utility>
#include <vector>
#include "base/process_id.hpp"

namespace lovage::broker::sqlite {
namespace {

constexpr std::size_t kIdleConnections = 4;
// However many threads wait for results: beyond this they take turns.
constexpr std::size_t kConnections = 16;

}  // namespace

// What one process has open. A forked child makes its own and leaves its parent's untouched: closing a
// copy would disturb the parent's locks, and its mutex may be held by a thread that the child has not.
class ProcessPool {
 public:
  explicit ProcessPool(ProcessPool* parents) noexcept : parents_(parents) {}

  [[nodiscard]] bool is_ours() const noexcept { return owner_ == process_id(); }

  // A connection, opened by `open` when none is idle.
  template <class Open>
  Result<StoreHandle> take(Deadline deadline, const Open& open) {
    {
      std::unique_lock lock(mutex_);
      const auto free = [this] { return in_use_ < kConnections; };
      if (!free() && !returned_.wait_until(lock, latest(deadline), free)) {
        return fail(Errc::timed_out, "all connections to the SQLite database are in use");
      }
      ++in_use_;
      if (!idle_.empty()) {
        auto store = std::move(idle_.back());
        idle_.pop_back();
        return StoreHandle(std::move(store), *this);
      }
    }
    Result<std::unique_ptr<Store>> opened = open();
    if (opened) return StoreHandle(std::move(*opened), *this);
    leave();
    return tl::unexpected(opened.error());
  }

  void give_back(std::unique_ptr<Store> store) noexcept {
    if (!is_ours()) {
      // The child inherited a connection in use; nobody may touch it here.
      (void)store.release();
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      if (store->db().healthy() && idle_.size() < kIdleConnections) idle_.push_back(std::move(store));
    }
    store.reset();  // closes it, outside the lock
    leave();
  }

  Result<std::shared_ptr<client::CommitWatch>> commits(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (commits_) return commits_;
    auto opened = client::CommitWatch::open(path);
    if (!opened) return tl::unexpected(opened.error());
    commits_ = std::move(*opened);
    return commits_;
  }

 private:
  // wait_until() must not be given the end of time: adding to it overflows inside.
  static Monotonic latest(Deadline deadline) {
    return deadline.is_never() ? std::chrono::steady_clock::now() + std::chrono::hours(24) : deadline.when();
  }

  void leave() noexcept {
    {
      const std::lock_guard lock(mutex_);
      --in_use_;
    }
    returned_.notify_one();
  }

  const pid_t owner_ = process_id();
  [[maybe_unused]] ProcessPool* const parents_;  // kept reachable, never used
  std::mutex mutex_;                             // guards what follows
  std::condition_variable returned_;
  std::size_t in_use_ = 0;
  std::vector<std::unique_ptr<Store>> idle_;
  std::shared_ptr<client::CommitWatch> commits_;
};

StoreHandle::~StoreHandle() {
  if (store_) pool_->give_back(std::move(store_));
}

StoreAccess::StoreAccess(client::SqliteOptions file, const StoreOptions& options)
    : file_(std::move(file)), options_(options), pool_(new ProcessPool(nullptr)) {}

StoreAccess::~StoreAccess() {
  ProcessPool* pool = pool_.load();
  if (pool->is_ours()) delete pool;
}

ProcessPool& StoreAccess::here() {
  ProcessPool* pool = pool_.load();
  if (pool->is_ours()) return *pool;
  auto fresh = std::make_unique<ProcessPool>(pool);
  if (pool_.compare_exchange_strong(pool, fresh.get())) return *fresh.release();
  return *pool;
}

Result<StoreHandle> StoreAccess::acquire(Deadline deadline) {
  return here().take(deadline, [&] { return Store::open(file_, options_, deadline); });
}

Result<std::shared_ptr<client::CommitWatch>> StoreAccess::commits() {
  return here().commits(file_.path);
}

Result<std::string> StoreAccess::identity(Deadline deadline) {
  auto store = acquire(deadline);
  if (!store) return tl::unexpected(store.error());
  return (*store)->db().identity();
}

std::string StoreAccess::durability_note() const {
  return file_.power_safe ? "" : "sqlite_durability = normal: a loss of power may lose the last messages and results";
}

std::shared_ptr<StoreAccess> open_file(const client::SqliteOptions& file, const StoreOptions& options) {
  return std::make_shared<StoreAccess>(file, options);
}

}  // namespace lovage::broker::sqlite
