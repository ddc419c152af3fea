#include "broker/redis/server_info.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace lovage::broker::redis {
namespace {

bool is_at_least_6_2(std::string_view version) {
  int major = 0;
  int minor = 0;
  const char* const end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end) return false;
  std::from_chars(first.ptr + 1, end, minor);
  return std::pair(major, minor) >= std::pair(6, 2);
}

// Queues and reservations have no time to live, results have one. That no maxmemory is set today does not count: it can
// be set while workers run, and nobody would look at the policy then.
void judge_eviction(std::string_view info, ServerReport& report) {
  const std::string policy = info_field(info, "maxmemory_policy");
  const std::string when = info_field(info, "maxmemory") == "0" ? "once it has a maxmemory and its memory is full"
                                                                : "when its memory is full";
  if (policy.starts_with("volatile-")) {
    report.warnings.push_back(fmt::format(
        "RESULTS CAN BE LOST: maxmemory-policy is {}: {} the server throws results away. Set it to noeviction", policy,
        when));
  } else if (policy != "noeviction" && !policy.empty()) {
    report.refusal = fmt::format(
        "MESSAGES CAN BE LOST: maxmemory-policy is {}: {} the server throws queues away, with every message in them. "
        "Set it to noeviction, in its configuration and by CONFIG SET maxmemory-policy noeviction. "
        "broker_transport_options allow_eviction = true lets workers start all the same",
        policy, when);
  }
}

void warn_of_lost_writes(std::string_view info, std::string_view save, std::vector<std::string>& warnings) {
  if (info_field(info, "aof_enabled") != "1") {
    warnings.emplace_back(save.empty()
                              ? "the server keeps nothing on disk: a restart of it loses every message. Set appendonly"
                              : "the server keeps snapshots only: its crash loses what came after the last one. Set "
                                "appendonly");
  } else if (info_field(info, "aof_last_write_status") == "err") {
    warnings.emplace_back("MESSAGES CAN BE LOST: the server cannot write its append-only file; its log says why");
  }
}

}  // namespace

std::string info_field(std::string_view info, std::string_view name) {
  const std::string wanted = std::string(name) + ":";
  while (!info.empty()) {
    const auto end = info.find('\n');
    std::string_view line = info.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(wanted)) return std::string(line.substr(wanted.size()));
    if (end == std::string_view::npos) break;
    info.remove_prefix(end + 1);
  }
  return {};
}

Result<std::string> server_identity(client::RedisSync& connection, Deadline deadline) {
  const auto info = connection.command({"INFO", "server"}, deadline);
  if (!info) return tl::unexpected(info.error());
  return info_field(info->text, "run_id");
}

Result<ServerReport> judge_server(std::string_view info, std::string_view save) {
  const std::string version = info_field(info, "redis_version");
  const bool valkey = !info_field(info, "valkey_version").empty();
  if (!valkey && !is_at_least_6_2(version)) {
    return fail(Errc::misconfigured, fmt::format("Redis {} is too old: 6.2 or newer is needed, or Valkey", version));
  }
  if (info_field(info, "cluster_enabled") == "1") {
    return fail(Errc::misconfigured,
                "Redis Cluster cannot be used: a step that settles a message touches keys of several slots");
  }
  ServerReport report;
  judge_eviction(info, report);
  warn_of_lost_writes(info, save, report.warnings);
  return report;
}

Result<ServerReport> check_server(client::RedisSync& connection, Deadline deadline) {
  const auto info = connection.command({"INFO"}, deadline);
  if (!info) return tl::unexpected(info.error());
  // Servers of hosting companies refuse CONFIG: then nothing is known of snapshots.
  const auto save = connection.command({"CONFIG", "GET", "save"}, deadline);
  if (!save && save.error().code != Errc::refused) return tl::unexpected(save.error());
  return judge_server(info->text, save && save->items.size() == 2 ? save->items[1].text : "unknown");
}

}  // namespace lovage::broker::redis
