#include "worker/signature_options.hpp"

namespace lovage::worker {

std::optional<std::string> text_option(const Object& options, std::string_view key) {
  const Value* const value = options.find(key);
  const std::string* const text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr && !text->empty() ? std::optional(*text) : std::nullopt;
}

std::optional<Array> list_of(const Value* value) {
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (const Array* const array = value->if_array()) return *array;
  return Array{*value};
}

}  // namespace lovage::worker
