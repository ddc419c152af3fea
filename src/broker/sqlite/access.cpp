#include "broker/sqlite/access.hpp"

#include <unistd.h>

#include <atomic>
#include <utility>
#include <vector>

namespace lovage::broker::sqlite {
namespace {

constexpr std::size_t kIdleConnections = 4;

// What one process has open. A forked child makes its own and leaves its parent's untouched: closing a
// copy would disturb the parent's locks, and its mutex may be held by a thread that the child has not.
class ProcessPool final : public StorePool {
 public:
  explicit ProcessPool(ProcessPool* parents) noexcept : parents_(parents) {}

  [[nodiscard]] bool is_ours() const noexcept { return owner_ == ::getpid(); }

  std::unique_ptr<Store> take_idle() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return nullptr;
    auto store = std::move(idle_.back());
    idle_.pop_back();
    return store;
  }

  void give_back(std::unique_ptr<Store> store) noexcept override {
    if (!is_ours()) {
      // The child inherited a connection in use; nobody may touch it here.
      (void)store.release();
      return;
    }
    const std::lock_guard lock(mutex_);
    if (store->db().healthy() && idle_.size() < kIdleConnections) idle_.push_back(std::move(store));
  }

  Result<std::shared_ptr<client::CommitFeed>> feed(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (feed_) return feed_;
    auto opened = client::CommitWatch::open(path);
    if (!opened) return tl::unexpected(opened.error());
    feed_ = std::move(*opened);
    return feed_;
  }

 private:
  const pid_t owner_ = ::getpid();
  ProcessPool* const parents_;  // kept reachable, never used
  std::mutex mutex_;
  std::vector<std::unique_ptr<Store>> idle_;
  std::shared_ptr<client::CommitFeed> feed_;
};

class FileAccess final : public StoreAccess {
 public:
  FileAccess(client::SqliteOptions file, const StoreOptions& options)
      : file_(std::move(file)), options_(options), pool_(new ProcessPool(nullptr)) {}
  FileAccess(const FileAccess&) = delete;
  FileAccess& operator=(const FileAccess&) = delete;
  ~FileAccess() override {
    ProcessPool* pool = pool_.load();
    if (pool->is_ours()) delete pool;
  }

  Result<StoreHandle> acquire(Deadline deadline) override {
    ProcessPool& pool = here();
    auto store = pool.take_idle();
    if (!store) {
      auto opened = Store::open(file_, options_, deadline);
      if (!opened) return tl::unexpected(opened.error());
      store = std::move(*opened);
    }
    return StoreHandle(std::move(store), pool);
  }

  Result<std::shared_ptr<client::CommitFeed>> feed() override { return here().feed(file_.path); }

  Result<std::string> identity(Deadline deadline) override {
    auto store = acquire(deadline);
    if (!store) return tl::unexpected(store.error());
    return (*store)->db().identity();
  }

  [[nodiscard]] const Clock& clock() const noexcept override { return *options_.clock; }
  [[nodiscard]] std::string display_url() const override { return "sqlite:///" + file_.path; }
  [[nodiscard]] std::string durability_note() const override {
    return file_.power_safe ? "" : "sqlite_durability = normal: a loss of power may lose the last messages and results";
  }

 private:
  ProcessPool& here() {
    ProcessPool* pool = pool_.load();
    if (pool->is_ours()) return *pool;
    auto fresh = std::make_unique<ProcessPool>(pool);
    if (pool_.compare_exchange_strong(pool, fresh.get())) return *fresh.release();
    return *pool;
  }

  const client::SqliteOptions file_;
  const StoreOptions options_;
  std::atomic<ProcessPool*> pool_;
};

}  // namespace

std::shared_ptr<StoreAccess> open_file(const client::SqliteOptions& file, const StoreOptions& options) {
  return std::make_shared<FileAccess>(file, options);
}

}  // namespace lovage::broker::sqlite
