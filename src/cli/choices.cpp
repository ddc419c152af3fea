#include "cli/choices.hpp"

#include <algorithm>
#include <array>

namespace lovage::cli {
namespace {

using std::string_view;

constexpr std::array<string_view, 3> kPools{"prefork", "threads", "solo"};
constexpr std::array<string_view, 2> kProfiles{"default", "fair"};
constexpr std::array<string_view, 6> kLevels{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL"};
constexpr std::array<string_view, 2> kFormats{"text", "json"};
constexpr std::array<string_view, 2> kSerializers{"json", "msgpack"};
constexpr std::array<string_view, 3> kShells{"bash", "zsh", "fish"};

struct Choices {
  string_view type;
  std::span<const string_view> words;
};

constexpr std::array<Choices, 6> kChoices{{
    {"POOL", kPools},
    {"PROFILE", kProfiles},
    {"LEVEL", kLevels},
    {"FORMAT", kFormats},
    {"SERIALIZER", kSerializers},
    {"SHELL", kShells},
}};

}  // namespace

std::span<const string_view> choices_of(string_view type) {
  const auto found = std::ranges::find(kChoices, type, &Choices::type);
  return found == kChoices.end() ? std::span<const string_view>() : found->words;
}

}  // namespace lovage::cli
