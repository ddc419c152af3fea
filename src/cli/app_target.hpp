// What -A/--app names: a shared library that holds an app, or a program that is one.
#pragma once

#include <filesystem>
#include <string>

namespace lovage {
class App;
}

namespace lovage::cli {

struct AppTarget {
  enum class Kind { library, program };
  Kind kind;
  std::filesystem::path path;  // absolute
};

// Finds what `name` means: a path, or a bare name ("shop": ./libshop.so, ./shop.so, ./shop). Relative names start
// at `folder`. Throws ConfigError, which says more when it looks like a Python app; `command` is for that text.
AppTarget find_app(const std::string& name, const std::filesystem::path& folder, const std::string& command);

// Opens the library, which stays open for the life of the process, and returns its app. Throws ConfigError.
App& load_app(const std::filesystem::path& library);

}  // namespace lovage::cli
