#include "app/symbols.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace lovage::app {
namespace {

// A file mapped for reading.
class Mapping {
 public:
  explicit Mapping(const char* path) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat info {};
    if (::fstat(fd, &info) == 0 && info.st_size > 0) {
      const auto size = static_cast<std::size_t>(info.st_size);
      if (void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0); at != MAP_FAILED) {
        bytes_ = std::span(static_cast<const std::byte*>(at), size);
      }
    }
    ::close(fd);
  }
  ~Mapping() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // `count` objects at an offset; empty when they do not lie within the file.
  template <class T>
  [[nodiscard]] std::span<const T> at(std::uint64_t offset, std::uint64_t count) const {
    if (offset > bytes_.size() || offset % alignof(T) != 0 || count > (bytes_.size() - offset) / sizeof(T)) return {};
    return {reinterpret_cast<const T*>(bytes_.data() + offset), static_cast<std::size_t>(count)};
  }

 private:
  std::span<const std::byte> bytes_;
};

#if __SIZEOF_POINTER__ == 8
using Header = Elf64_Ehdr;
using Section = Elf64_Shdr;
using SymbolEntry = Elf64_Sym;
#else
using Header = Elf32_Ehdr;
using Section = Elf32_Shdr;
using SymbolEntry = Elf32_Sym;
#endif

std::string name_at(std::span<const char> strings, std::uint64_t offset) {
  if (offset >= strings.size()) return {};
  const auto rest = strings.subspan(static_cast<std::size_t>(offset));
  return {rest.data(), ::strnlen(rest.data(), rest.size())};
}

// The function of .symtab that covers an address of the file.
std::string search_symbol_table(const char* path, std::uint64_t address) {
  const Mapping file(path);
  const auto header = file.at<Header>(0, 1);
  if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0) return {};
  const auto sections = file.at<Section>(header[0].e_shoff, header[0].e_shnum);
  for (const auto& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const auto& names = sections[section.sh_link];
    const auto strings = file.at<char>(names.sh_offset, names.sh_size);
    for (const auto& symbol : file.at<SymbolEntry>(section.sh_offset, section.sh_size / sizeof(SymbolEntry))) {
      if ((symbol.st_info & 0xfU) != STT_FUNC || address < symbol.st_value) continue;
      if (address - symbol.st_value < symbol.st_size) return name_at(strings, symbol.st_name);
    }
  }
  return {};
}

// Whether the mapped object is loaded where its file says (a program that is not position independent).
bool is_fixed(const void* base) {
  const auto* header = static_cast<const Header*>(base);
  return std::memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_type == ET_EXEC;
}

}  // namespace

std::string demangle(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 && text ? std::string(text.get()) : std::string(name);
}

std::string function_name(std::string_view symbol) {
  // No source name has a dot: what follows is the compiler's name for a part or a copy of the function.
  return demangle(std::string(symbol.substr(0, symbol.find('.', 1))).c_str());
}

Symbol find_symbol(const void* return_address) {
  // The call lies before the address that it returns to, which may be the next function's first.
  const void* const call = static_cast<const char*>(return_address) - 1;
  const auto address = reinterpret_cast<std::uintptr_t>(call);
  std::array<char, 2 + 2 * sizeof(address) + 1> hex{};
  std::snprintf(hex.data(), hex.size(), "0x%zx", static_cast<std::size_t>(address));
  Dl_info info{};
  if (::dladdr(call, &info) == 0 || info.dli_fbase == nullptr) return {"?", hex.data()};
  Symbol symbol{info.dli_fname != nullptr ? info.dli_fname : "?", hex.data()};
  const auto base = reinterpret_cast<std::uintptr_t>(info.dli_fbase);
  // The program's own name may be relative to a folder that it has left.
  const bool is_program = symbol.file == program_invocation_name;
  std::string name = search_symbol_table(is_program ? "/proc/self/exe" : symbol.file.c_str(),
                                         is_fixed(info.dli_fbase) ? address : address - base);
  if (name.empty() && info.dli_sname != nullptr) name = info.dli_sname;
  if (!name.empty()) symbol.function = function_name(name);
  return symbol;
}

}  // namespace lovage::app
