#include "broker/sqlite/memory_access.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <utility>

namespace lovage::broker::sqlite {
namespace {

class MemoryAccess final : public StoreAccess {
 public:
  MemoryAccess(std::string name, const StoreOptions& options) : name_(std::move(name)), options_(options) {}

  Result<StoreHandle> acquire(Deadline deadline) override {
    std::unique_lock lock(mutex_);
    if (!store_) {
      client::SqliteOptions file{":memory:", false, [feed = feed_.get()] { feed->notify(); }};
      auto opened = Store::open(file, options_, deadline);
      if (!opened) return tl::unexpected(opened.error());
      store_ = std::move(*opened);
    }
    return StoreHandle(*store_, std::move(lock));
  }

  Result<std::shared_ptr<client::CommitFeed>> feed() override { return feed_; }
  Result<std::string> identity(Deadline) override { return fmt::format("memory:{}", static_cast<const void*>(this)); }
  [[nodiscard]] const Clock& clock() const noexcept override { return *options_.clock; }
  [[nodiscard]] std::string display_url() const override { return "memory://" + name_; }
  [[nodiscard]] std::string durability_note() const override {
    return "memory: everything is lost when this process ends";
  }

 private:
  const std::string name_;
  const StoreOptions options_;
  const std::shared_ptr<client::CommitFeed> feed_ = std::make_shared<client::CommitFeed>();
  std::mutex mutex_;
  std::unique_ptr<Store> store_;
};

}  // namespace

std::shared_ptr<StoreAccess> open_memory(const std::string& name, const StoreOptions& options) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<StoreAccess>> stores;
  const std::lock_guard lock(mutex);
  auto& known = stores[name];
  auto store = known.lock();
  if (!store) {
    store = std::make_shared<MemoryAccess>(name, options);
    known = store;
  }
  return store;
}

}  // namespace lovage::broker::sqlite
