#include "execution/shared_pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace lovage::execution {
namespace {

std::size_t page_size() noexcept {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

tl::unexpected<Failure> failed(const char* what) {
  return fail(Errc::unavailable, fmt::format("{}: {}", what, std::generic_category().message(errno)));
}

}  // namespace

Result<net::Fd> SharedPages::create_file(std::size_t slots) {
  net::Fd file(::memfd_create("lovage-slots", MFD_CLOEXEC));
  if (!file) return failed("memfd_create");
  if (::ftruncate(file.get(), static_cast<off_t>(slots * page_size())) != 0) return failed("ftruncate");
  return file;
}

Result<SharedPages> SharedPages::map(int file, std::size_t first, std::size_t count) {
  SharedPages pages;
  const std::size_t size = count * page_size();
  void* const base =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, static_cast<off_t>(first * page_size()));
  if (base == MAP_FAILED) return failed("mmap");
  pages.base_ = base;
  pages.size_ = size;
  return pages;
}

SharedPages::SharedPages(SharedPages&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SharedPages& SharedPages::operator=(SharedPages&& other) noexcept {
  if (this != &other) {
    unmap();
    base_ = std::exchange(other.base_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

SharedPages::~SharedPages() {
  unmap();
}

void SharedPages::unmap() noexcept {
  if (base_ != nullptr) ::munmap(base_, size_);
  base_ = nullptr;
}

SharedPages::Slot& SharedPages::slot(std::size_t index) const noexcept {
  // A page of zeros is a counter at zero and a permit: the file is new, and nobody constructs it twice.
  return *std::launder(reinterpret_cast<Slot*>(static_cast<std::byte*>(base_) + index * page_size()));
}

}  // namespace lovage::execution
