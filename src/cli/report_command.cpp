#include <sys/utsname.h>

#include <CLI/CLI.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "app/settings.hpp"
#include "cli/command.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"
#include "engines/engines.hpp"

namespace lovage::cli {
namespace {

std::string compiler() {
#ifdef __clang__
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string libc() {
#ifdef __GLIBC__
  return fmt::format("glibc {}", ::gnu_get_libc_version());
#else
  return "unknown";
#endif
}

std::string scheme_of(const std::string& url) {
  return url.substr(0, url.find(':'));
}

struct Facts {
  std::string transports;
  utsname system{};
  std::string loader;
  std::string transport;
  std::string results;
  Object settings;
};

Facts gather(Session& session) {
  const Config& config = session.core().config();
  Facts out;
  out.transports = fmt::format("{}", fmt::join(engines::transports(), ", "));
  if (::uname(&out.system) != 0) out.system = {};
  out.loader = session.globals().app.empty() ? "app '" + session.core().name() + "'" : session.globals().app;
  out.transport = scheme_of(engines::broker_url_of(config));
  out.results = engines::display_url(engines::backend_url_of(config), session.core().folder());
  out.settings = app::changed_settings(config);
  return out;
}

int report(Session& session, bool json) {
  const Facts facts = gather(session);
  if (json) {
    print_json(
        {{"software",
          {{"lovage", LOVAGE_VERSION}, {"compiler", compiler()}, {"libc", libc()}, {"transports", facts.transports}}},
         {"platform",
          {{"system", facts.system.sysname}, {"machine", facts.system.machine}, {"kernel", facts.system.release}}},
         {"loader", facts.loader},
         {"settings", facts.settings}});
    return kOk;
  }
  print(fmt::format("software -> lovage:{} compiler:{} libc:{}", LOVAGE_VERSION, compiler(), libc()));
  print(fmt::format("            transports:{}", facts.transports));
  print(fmt::format("platform -> system:{} arch:{}", facts.system.sysname, facts.system.machine));
  print(fmt::format("            kernel version:{}", facts.system.release));
  print(fmt::format("loader   -> {}", facts.loader));
  print(fmt::format("settings -> transport:{} results:{}", facts.transport, facts.results));
  if (!facts.settings.empty()) print("");
  for (const auto& [name, value] : facts.settings) print(fmt::format("{}: {}", name, to_json(value)));
  return kOk;
}

}  // namespace

Run declare_report(CLI::App& parser) {
  auto json = std::make_shared<bool>(false);
  parser.add_flag("-j,--json", *json, "Print JSON");
  return [json](Session& session) { return report(session, *json); };
}

}  // namespace lovage::cli
