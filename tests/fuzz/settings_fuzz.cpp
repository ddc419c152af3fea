// A configuration file, the same lines as environment variables, and URLs.
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <lovage/config.hpp>
#include <lovage/error.hpp>

#include "app/settings.hpp"
#include "base/url.hpp"
#include "client/redis_options.hpp"
#include "fuzz/target.hpp"
#include "net/fd.hpp"

using namespace lovage;

namespace {

void read_file(std::string_view text) {
  const net::Fd file(::memfd_create("settings", MFD_CLOEXEC));
  fuzz::promise(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()),
                "the file is there");
  Config config;
  try {
    app::apply_toml_file(config, "/proc/self/fd/" + std::to_string(file.get()));
    (void)app::changed_settings(config);
  } catch (const ConfigError& error) {
    fuzz::promise(*error.what() != '\0', "a refusal says why");
  }
}

void read_environment(std::string_view text) {
  std::vector<std::string> variables;
  while (!text.empty() && variables.size() < 100) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    variables.emplace_back("LOVAGE_" + std::string(line));
  }
  Config config;
  try {
    app::apply_environment(config, variables);
  } catch (const ConfigError&) {
    return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  read_file(text);
  read_environment(text);
  (void)client::redis_options_from_url(std::string(text));
  return 0;
}
