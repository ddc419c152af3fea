#include "cli/not_yet.hpp"

#include <array>

namespace lovage::cli {
namespace {

constexpr std::array<NotYet, 13> kCommands{{
    {"beat", "periodic tasks come with a later version"},
    {"events", "this version sends no events"},
    {"inspect", "this version has no remote control; 'lovage status' lists the live workers"},
    {"control", "this version has no remote control"},
    {"migrate", "it comes with a later version"},
    {"graph", "it comes with a later version"},
    {"logtool", "it comes with a later version"},
    {"amqp", "this version has no AMQP broker"},
    {"shell", "it comes with a later version; 'lovage call' sends tasks"},
    {"upgrade", "it comes with a later version"},
    {"multi", "it comes with a later version; start each worker by itself, or from systemd"},
    {"monitor", "it comes with a later version"},
    {"flower", "it comes with a later version"},
}};

constexpr std::array<NotYet, 14> kWorkerOptions{{
    {"-D/--detach", "run the worker from systemd, or with nohup"},
    {"-S/--statedb", "revoked ids are not kept yet"},
    {"--disable-prefetch", "use --prefetch-multiplier=0 -O fair"},
    {"-E/--task-events/--events", "this version sends no events"},
    {"-I/--include", "put all tasks into the app that -A names"},
    {"--without-gossip", "this version has no gossip to switch off"},
    {"--without-mingle", "this version has no mingle to switch off"},
    {"--without-heartbeat", "this version sends no event heartbeats to switch off"},
    {"--heartbeat-interval", "this version sends no event heartbeats"},
    {"--autoscale", "use -c with a fixed number"},
    {"-B/--beat", "periodic tasks come with a later version"},
    {"-s/--schedule/--schedule-filename/--scheduler", "periodic tasks come with a later version"},
    {"--uid/--gid/--umask", "use systemd's User=, Group= and UMask="},
    {"--executable", "it comes with a later version"},
}};

bool matches(std::string_view word, std::string_view name) {
  if (name.starts_with("--") || !name.starts_with('-')) return word.substr(0, word.find('=')) == name;
  return word.starts_with(name) && !word.starts_with("--");  // "-B", or with its value: "-sfile"
}

}  // namespace

std::span<const NotYet> commands_not_yet() {
  return kCommands;
}
std::span<const NotYet> worker_options_not_yet() {
  return kWorkerOptions;
}

std::optional<std::string> not_yet(std::string_view word, std::span<const NotYet> table) {
  for (const auto& entry : table) {
    std::string_view rest = entry.names;
    while (!rest.empty()) {
      const auto end = rest.find('/');
      if (matches(word, rest.substr(0, end))) {
        return std::string(entry.names) + " is not there yet: " + std::string(entry.why);
      }
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
  }
  return std::nullopt;
}

}  // namespace lovage::cli
