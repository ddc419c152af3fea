// How broker, backend, consumers and leases of one process reach a store: a pool of connections to a
// file, or the one connection of a database in memory.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/sqlite/store.hpp"
#include "client/commit_watch.hpp"

namespace lovage::broker::sqlite {

// Where released connections go.
class StorePool {
 public:
  virtual ~StorePool() = default;
  virtual void give_back(std::unique_ptr<Store> store) noexcept = 0;
};

// The exclusive use of a connection, until it goes.
class StoreHandle {
 public:
  StoreHandle(std::unique_ptr<Store> store, StorePool& pool) noexcept
      : store_(store.get()), owned_(std::move(store)), pool_(&pool) {}
  StoreHandle(Store& store, std::unique_lock<std::mutex> lock) noexcept : store_(&store), lock_(std::move(lock)) {}
  StoreHandle(StoreHandle&& other) noexcept = default;
  StoreHandle& operator=(StoreHandle&&) = delete;
  ~StoreHandle() {
    if (owned_) pool_->give_back(std::move(owned_));
  }

  Store& operator*() const noexcept { return *store_; }
  Store* operator->() const noexcept { return store_; }

 private:
  Store* store_;
  std::unique_ptr<Store> owned_;
  StorePool* pool_ = nullptr;
  std::unique_lock<std::mutex> lock_;
};

// Thread-safe.
class StoreAccess {
 public:
  virtual ~StoreAccess() = default;
  virtual Result<StoreHandle> acquire(Deadline deadline) = 0;
  // Tells of the commits of all processes.
  virtual Result<std::shared_ptr<client::CommitFeed>> feed() = 0;
  virtual Result<std::string> identity(Deadline deadline) = 0;
  [[nodiscard]] virtual const Clock& clock() const noexcept = 0;
  [[nodiscard]] virtual std::string display_url() const = 0;
  // What a worker's log should say of the durability; may be empty.
  [[nodiscard]] virtual std::string durability_note() const = 0;
};

// A database file. After fork() the child opens connections of its own. Opens nothing yet.
std::shared_ptr<StoreAccess> open_file(const client::SqliteOptions& file, const StoreOptions& options);

}  // namespace lovage::broker::sqlite
