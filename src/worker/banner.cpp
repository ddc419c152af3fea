#include "worker/banner.hpp"

#include <sys/utsname.h>

#include <chrono>
#include <ctime>
#include <iterator>
#include <string_view>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace lovage::worker {
namespace {

std::string platform() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown platform";
  return fmt::format("{}-{}-{}", name.sysname, name.release, name.machine);
}

std::string_view exchange_type_name(wire::ExchangeType type) {
  switch (type) {
    case wire::ExchangeType::direct:
      return "direct";
    case wire::ExchangeType::topic:
      return "topic";
    case wire::ExchangeType::fanout:
      return "fanout";
  }
  return "";
}

std::string queue_line(const wire::QueueDeclaration& queue) {
  return fmt::format(".> {:<16} exchange={}({}) key={}", queue.name,
                     queue.exchange.empty() ? queue.name : queue.exchange, exchange_type_name(queue.exchange_type),
                     queue.routing_key.empty() ? queue.name : queue.routing_key);
}

}  // namespace

std::string banner(const BannerFacts& facts) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, " \n -------------- {} v{} (lovage)\n", facts.node_name, LOVAGE_VERSION);
  fmt::format_to(out, "--- ***** ----- \n");
  fmt::format_to(out, "-- ******* ---- {} {:%Y-%m-%d %H:%M:%S}\n", platform(), fmt::localtime(now));
  fmt::format_to(out, "- *** --- * --- \n");
  fmt::format_to(out, "- ** ---------- [config]\n");
  fmt::format_to(out, "- ** ---------- .> app:         {}\n", facts.app);
  fmt::format_to(out, "- ** ---------- .> transport:   {}\n", facts.transport);
  fmt::format_to(out, "- ** ---------- .> results:     {}\n", facts.results);
  fmt::format_to(out, "- *** --- * --- .> concurrency: {} ({})\n", facts.concurrency, facts.pool);
  fmt::format_to(out, "-- ******* ---- .> task events: OFF\n");
  fmt::format_to(out, "--- ***** ----- \n");
  fmt::format_to(out, " -------------- [queues]\n");
  for (const auto& queue : facts.queues) fmt::format_to(out, "                {}\n", queue_line(queue));
  if (!facts.tasks.empty()) {
    fmt::format_to(out, "\n[tasks]\n");
    for (const auto& task : facts.tasks) fmt::format_to(out, "  . {}\n", task);
  }
  return text + "\n";
}

}  // namespace lovage::worker
