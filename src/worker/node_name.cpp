#include "worker/node_name.hpp"

#include <unistd.h>

#include <array>

#include <fmt/format.h>

#include <lovage/error.hpp>

#include "worker/worker.hpp"

namespace lovage::worker {

std::string host_name() {
  std::array<char, 256> buffer{};
  if (::gethostname(buffer.data(), buffer.size() - 1) != 0) return "localhost";
  return buffer.data();
}

std::string expand_node_name(std::string_view pattern, std::string_view host) {
  if (pattern.empty()) pattern = "celery@%h";
  const auto at = pattern.find('@');
  // Celery completes the name first: a word without @ is taken as the host.
  const std::string full = at == std::string_view::npos ? "celery@" + std::string(pattern) : std::string(pattern);
  const auto dot = host.find('.');
  const std::string_view short_name = host.substr(0, dot);
  const std::string_view domain = dot == std::string_view::npos ? std::string_view() : host.substr(dot + 1);
  std::string name;
  for (std::size_t i = 0; i < full.size(); ++i) {
    if (full[i] != '%' || i + 1 == full.size()) {
      name += full[i];
      continue;
    }
    switch (full[++i]) {
      case 'h':
        name += host;
        break;
      case 'n':
        name += short_name;
        break;
      case 'd':
        name += domain;
        break;
      case 'i':  // the process index: the parent's is 0, and its -index form is empty
        name += '0';
        break;
      case 'I':
        break;
      case '%':
        name += '%';
        break;
      default:
        throw ConfigError(fmt::format("unknown expansion %{} in the node name '{}'", full[i], pattern));
    }
  }
  return name;
}

}  // namespace lovage::worker
