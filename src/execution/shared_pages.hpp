// The memory that the worker shares with its children: one page a slot. The worker maps them all, a child
// only its own, so that a child that runs wild cannot touch another's.
#pragma once

#include <cstddef>

#include "base/result.hpp"
#include "execution/claim.hpp"
#include "execution/start_permit.hpp"
#include "net/fd.hpp"

namespace lovage::execution {

// A mapping of some of the pages; ends with the object.
class SharedPages {
 public:
  // An anonymous file with a page for each slot.
  static Result<net::Fd> create_file(std::size_t slots);
  // `first` and `count` are slots.
  static Result<SharedPages> map(int file, std::size_t first, std::size_t count);

  SharedPages() noexcept = default;
  SharedPages(const SharedPages&) = delete;
  SharedPages& operator=(const SharedPages&) = delete;
  SharedPages(SharedPages&& other) noexcept;
  SharedPages& operator=(SharedPages&& other) noexcept;
  ~SharedPages();

  struct Slot {
    ClaimCounter claims;
    StartPermit permit;
  };
  // The slot `first + index`.
  [[nodiscard]] Slot& slot(std::size_t index) const noexcept;

 private:
  void unmap() noexcept;
  void* base_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace lovage::execution
