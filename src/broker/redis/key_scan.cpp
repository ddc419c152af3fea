#include "broker/redis/key_scan.hpp"

namespace lovage::broker::redis {

Result<void> scan_keys(client::RedisSync& connection, const std::string& pattern, Deadline deadline,
                       const std::function<Result<void>(const std::string& key)>& visit,
                       std::chrono::milliseconds patience) {
  std::string cursor = "0";
  do {
    const auto page = connection.command({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"},
                                         Deadline::after(patience).or_earlier(deadline));
    if (!page) return tl::unexpected(page.error());
    if (page->items.size() != 2) return fail(Errc::bad_data, "a SCAN reply of another shape");
    cursor = page->items[0].text;
    for (const auto& key : page->items[1].items) {
      if (auto visited = visit(key.text); !visited) return visited;
    }
  } while (cursor != "0");
  return {};
}

std::string glob_of(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("*?[]\\^-").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace lovage::broker::redis
