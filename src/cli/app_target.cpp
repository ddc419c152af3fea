#include "cli/app_target.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <vector>

#include <lovage/error.hpp>

namespace lovage::cli {
namespace {

namespace fs = std::filesystem;

// Whether an ELF image asks for a program interpreter: position-independent programs and shared libraries are
// both ET_DYN, and this is what tells them apart.
bool has_interpreter(std::ifstream& file, const Elf64_Ehdr& header) {
  constexpr int kMostHeaders = 256;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMostHeaders) return false;
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!file.read(reinterpret_cast<char*>(&segment), sizeof segment)) return false;
    if (segment.p_type == PT_INTERP) return true;
  }
  return false;
}

std::optional<AppTarget::Kind> kind_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header) && file.gcount() < 2) return std::nullopt;
  const bool may_run = ::access(path.c_str(), X_OK) == 0;
  if (std::memcmp(header.e_ident, "#!", 2) == 0) {
    return may_run ? std::optional(AppTarget::Kind::program) : std::nullopt;
  }
  if (file.gcount() < static_cast<std::streamsize>(sizeof header)) return std::nullopt;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
  if (header.e_type == ET_EXEC || (header.e_type == ET_DYN && has_interpreter(file, header))) {
    return may_run ? std::optional(AppTarget::Kind::program) : std::nullopt;
  }
  return header.e_type == ET_DYN ? std::optional(AppTarget::Kind::library) : std::nullopt;
}

std::vector<fs::path> places(const std::string& name, const fs::path& folder) {
  if (name.find('/') != std::string::npos) return {folder / name};
  return {folder / name, folder / ("lib" + name + ".so"), folder / (name + ".so")};
}

// "proj", "proj.celery", "proj.celery:app", or a file of Python.
bool looks_like_python(const std::string& name, const fs::path& folder) {
  if (name.ends_with(".py") || name.find(':') != std::string::npos) return true;
  const auto module = name.substr(0, name.find('.'));
  std::error_code ignored;  // what cannot be looked at is not there
  if (fs::exists(folder / (module + ".py"), ignored) || fs::exists(folder / module / "__init__.py", ignored))
    return true;
  if (name.find('/') != std::string::npos || name.ends_with(".so")) return false;
  return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") ==
                              std::string::npos;
}

std::string python_advice(const std::string& command) {
  if (command == "worker") {
    return " This looks like a Python app; its tasks run in 'celery worker'. For tasks in C++, -A takes a shared "
           "library (./libshop.so) or a program (./shop).";
  }
  return " This looks like a Python app; task code is not needed for '" + command +
         "': drop -A and use -b URL (and --result-backend URL).";
}

}  // namespace

AppTarget find_app(const std::string& name, const fs::path& folder, const std::string& command) {
  std::optional<fs::path> unusable;
  for (const auto& place : places(name, folder)) {
    std::error_code ignored;  // what cannot be looked at is not there
    if (!fs::is_regular_file(place, ignored)) continue;
    if (const auto kind = kind_of(place)) return {*kind, fs::absolute(place).lexically_normal()};
    unusable = place;
  }
  std::string why = unusable ? "Unable to load app '" + name + "': it is neither a shared library nor a program."
                             : "Unable to load app '" + name + "': there is no such file.";
  if (looks_like_python(name, folder)) why += python_advice(command);
  throw ConfigError(why);
}

App& load_app(const fs::path& library) {
  void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const why = ::dlerror();
    throw ConfigError("Unable to load app '" + library.string() + "': " + (why != nullptr ? why : "unknown error"));
  }
  using Entry = App* (*)();
  const auto entry = reinterpret_cast<Entry>(::dlsym(handle, "lovage_app"));
  App* const app = entry != nullptr ? entry() : nullptr;
  if (app == nullptr) {
    throw ConfigError("Unable to load app '" + library.string() +
                      "': it does not define extern \"C\" lovage::App* lovage_app()");
  }
  return *app;
}

}  // namespace lovage::cli
