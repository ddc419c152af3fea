// How broker, backend, consumers and leases of one process reach a database file: by a pool of connections.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/sqlite/store.hpp"
#include "client/commit_watch.hpp"

namespace lovage::broker::sqlite {

class ProcessPool;

// The exclusive use of a connection, until it goes.
class StoreHandle {
 public:
  StoreHandle(std::unique_ptr<Store> store, ProcessPool& pool) noexcept : store_(std::move(store)), pool_(&pool) {}
  StoreHandle(const StoreHandle&) = delete;
  StoreHandle& operator=(const StoreHandle&) = delete;
  StoreHandle(StoreHandle&& other) noexcept = default;
  StoreHandle& operator=(StoreHandle&&) = delete;
  ~StoreHandle();

  Store& operator*() const noexcept { return *store_; }
  Store* operator->() const noexcept { return store_.get(); }

 private:
  std::unique_ptr<Store> store_;
  ProcessPool* pool_;
};

// A database file. Opens nothing until it is used. Thread-safe; after fork() the child opens connections of its own.
class StoreAccess {
 public:
  StoreAccess(client::SqliteOptions file, const StoreOptions& options);
  StoreAccess(const StoreAccess&) = delete;
  StoreAccess& operator=(const StoreAccess&) = delete;
  ~StoreAccess();

  Result<StoreHandle> acquire(Deadline deadline);
  // Tells of the commits of all processes.
  Result<std::shared_ptr<client::CommitWatch>> commits();
  Result<std::string> identity(Deadline deadline);
  [[nodiscard]] const Clock& clock() const noexcept { return *options_.clock; }
  [[nodiscard]] std::string display_url() const { return "sqlite:///" + file_.path; }
  // What a worker's log should say of the durability; may be empty.
  [[nodiscard]] std::string durability_note() const;

 private:
  ProcessPool& here();

  const client::SqliteOptions file_;
  const StoreOptions options_;
  std::atomic<ProcessPool*> pool_;
};

std::shared_ptr<StoreAccess> open_file(const client::SqliteOptions& file, const StoreOptions& options);

}  // namespace lovage::broker::sqlite
