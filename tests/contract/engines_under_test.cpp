#include <atomic>

#include "backend/memory/memory_backend.hpp"
#include "backend/sqlite/sqlite_backend.hpp"
#include "broker/memory/memory_broker.hpp"
#include "broker/sqlite/sqlite_broker.hpp"
#include "contract/contract.hpp"
#include "support/temp_dir.hpp"

namespace lovage::contract {
namespace {

// The system's clocks, ahead by what a test has let pass.
class ShiftedClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override { return Clock::now() + ahead_.load(); }
  void pass(std::chrono::seconds time) { ahead_ = ahead_.load() + time; }

 private:
  std::atomic<std::chrono::seconds> ahead_{std::chrono::seconds(0)};
};

class MemoryStore final : public Store {
 public:
  std::shared_ptr<broker::Broker> broker() override { return broker::memory::make_memory_broker(store_); }
  std::shared_ptr<backend::Backend> backend() override { return backend::memory::make_memory_backend(store_); }
  void pass(std::chrono::seconds time) override { clock_.pass(time); }

 private:
  ShiftedClock clock_;
  std::shared_ptr<broker::memory::Store> store_ =
      std::make_shared<broker::memory::Store>("contract", broker::memory::StoreOptions{kResultExpires, &clock_});
};

class SqliteStore final : public Store {
 public:
  std::shared_ptr<broker::Broker> broker() override { return broker::sqlite::make_sqlite_broker(open()); }
  std::shared_ptr<backend::Backend> backend() override { return backend::sqlite::make_sqlite_backend(open()); }
  void pass(std::chrono::seconds time) override { clock_.pass(time); }

 private:
  // Connections, gate and watch of its own each time: only the file is shared, as between processes.
  std::shared_ptr<broker::sqlite::StoreAccess> open() {
    return broker::sqlite::open_file({folder_.path() / "lovage.db"}, {kResultExpires, &clock_});
  }
  test::TempDir folder_;
  ShiftedClock clock_;
};

}  // namespace

std::unique_ptr<Store> make_memory_store() {
  return std::make_unique<MemoryStore>();
}
std::unique_ptr<Store> make_sqlite_store() {
  return std::make_unique<SqliteStore>();
}

// One line an engine.
std::vector<Engine> engines() {
  return {
      {"memory", make_memory_store},
      {"sqlite", make_sqlite_store},
      {"redis", make_redis_store},
  };
}

}  // namespace lovage::contract
