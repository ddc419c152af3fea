#include "cli/parser.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

#include <lovage/error.hpp>

#include "base/suggest.hpp"
#include "cli/not_yet.hpp"

namespace lovage::cli {
namespace {

constexpr const char* kVersion = LOVAGE_VERSION " (lovage)";

void declare_globals(CLI::App& root, Globals& globals) {
  const std::string group = kGlobalOptions;
  root.add_option("-A,--app", globals.app, "The app: a shared library (./libshop.so) or a program (./shop)")
      ->group(group)
      ->type_name("APP");
  root.add_option("-b,--broker", globals.broker, "Broker URL: sqlite:///file.db, redis://host:6379/0")
      ->group(group)
      ->type_name("URL");
  root.add_option("--result-backend", globals.result_backend, "Result backend URL; default: where the broker is")
      ->group(group)
      ->type_name("URL");
  root.add_option("--config", globals.config, "Settings, under Celery's names, in a TOML file")
      ->group(group)
      ->type_name("FILE");
  root.add_option("--workdir", globals.workdir, "Change to this folder first")->group(group)->type_name("FOLDER");
  root.add_flag("-C,--no-color", globals.no_color, "No colours (also: NO_COLOR)")->group(group);
  root.add_flag("-q,--quiet", globals.quiet, "No banner and no closing lines")->group(group);
  root.add_flag("--version")->description("Print the version");
}

void add_result(CLI::Option& option, const char* variable, const char* value) {
  try {
    option.add_result(value);
    option.run_callback();
  } catch (const CLI::Error& error) {
    throw ConfigError(std::string(variable) + ": " + error.what());
  }
}

void read_global_environment(CLI::App& root, bool with_app) {
  for (const auto& [name, variables] : global_environment()) {
    if (!with_app && std::string_view(name) == "--app") continue;
    CLI::Option& option = *root.get_option(name);
    for (const char* variable : variables) {
      const char* const value = std::getenv(variable);
      if (option.count() != 0 || value == nullptr || *value == '\0') continue;
      add_result(option, variable, value);
    }
  }
  // Any value counts: https://no-color.org
  if (const char* value = std::getenv("NO_COLOR"); value != nullptr && *value != '\0') {
    CLI::Option& option = *root.get_option("--no-color");
    if (option.count() == 0) add_result(option, "NO_COLOR", "true");
  }
}

// "--prefetch-multiplier" of worker is CELERY_WORKER_PREFETCH_MULTIPLIER.
std::string variable_of(const std::string& command, const std::string& option) {
  std::string out = "CELERY_" + command + '_' + option;
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return c == '-' || c == ' ' ? '_' : std::toupper(c); });
  return out;
}

void read_command_environment(CLI::App& command, const std::string& path) {
  for (CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty() || option->count() != 0 || option->check_lname("help")) continue;
    const std::string variable = variable_of(path, option->get_lnames().front());
    const char* const value = std::getenv(variable.c_str());
    if (value != nullptr && *value != '\0') add_result(*option, variable.c_str(), value);
  }
  if (path != "worker") return;
  for (const auto& entry : worker_options_not_yet()) {
    const auto name = entry.names.substr(entry.names.find("--") + 2);
    const std::string variable = variable_of(path, std::string(name.substr(0, name.find('/'))));
    if (std::getenv(variable.c_str()) != nullptr) {
      throw ConfigError(variable + ": " +
                        *not_yet(entry.names.substr(0, entry.names.find('/')), worker_options_not_yet()));
    }
  }
}

std::vector<std::string> option_names(const CLI::App& command, const CLI::App& root) {
  std::vector<std::string> names;
  for (const CLI::App* app : {&command, &root}) {
    for (const CLI::Option* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) names.push_back("--" + name);
      for (const auto& name : option->get_snames()) names.push_back("-" + name);
    }
  }
  return names;
}

[[noreturn]] void refuse_command(const std::string& word, const std::string& path,
                                 const std::vector<std::string>& known, const std::string& program) {
  if (path.empty()) {
    if (const auto why = not_yet(word, commands_not_yet())) throw ConfigError("the command " + *why);
  }
  throw ConfigError("no such command '" + (path.empty() ? word : path + ' ' + word) + "'" + did_you_mean(word, known) +
                    "\nTry '" + program + (path.empty() ? "" : " " + path) + " --help'.");
}

[[noreturn]] void refuse_extra(const std::string& word, const CLI::App& command, const CLI::App& root,
                               const std::string& path, const std::string& program) {
  const std::string help = "\nTry '" + program + ' ' + path + " --help'.";
  if (!word.starts_with('-')) throw ConfigError("unexpected argument '" + word + "'" + help);
  if (path == "worker") {
    if (const auto why = not_yet(word, worker_options_not_yet())) throw ConfigError(*why);
  }
  const auto name = word.substr(0, word.find('='));
  const auto known = option_names(command, root);
  if (std::find(known.begin(), known.end(), name) != known.end()) {
    throw ConfigError("the option " + name + " goes after its command: " + program + ' ' + path + ' ' + word + help);
  }
  throw ConfigError("no such option: " + name + did_you_mean(name, known) + help);
}

// The names of the commands below `app`.
std::vector<std::string> command_names(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) names.push_back(sub->get_name());
  return names;
}

// What was left over, in the order given. Nothing is when the arguments were all understood.
std::vector<std::string> leftovers(const CLI::App& root) {
  auto words = root.remaining(true);
  std::erase(words, "--");
  return words;
}

struct Selected {
  CLI::App* leaf;    // "dlq show"'s parser
  std::string path;  // "dlq show"
};

Selected selected(CLI::App& root) {
  Selected out{&root, ""};
  while (!out.leaf->get_subcommands().empty()) {
    out.leaf = out.leaf->get_subcommands().front();
    out.path += (out.path.empty() ? "" : " ") + out.leaf->get_name();
  }
  return out;
}

// Throws for the first word that was not understood.
void check_leftovers(CLI::App& root, const Selected& chosen, const std::string& program) {
  const auto extra = leftovers(root);
  const auto below = command_names(*chosen.leaf);
  if (!below.empty()) {
    const auto word = std::find_if(extra.begin(), extra.end(), [](const auto& w) { return !w.starts_with('-'); });
    if (word != extra.end()) refuse_command(*word, chosen.path, below, program);
  }
  if (!extra.empty()) refuse_extra(extra.front(), *chosen.leaf, root, chosen.path, program);
}

// CLI11 says "Could not convert: --concurrency = abc".
std::string describe(const CLI::ParseError& error) {
  std::string text = error.what();
  if (!text.empty()) text.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(text.front())));
  return text;
}

}  // namespace

const std::vector<EnvironmentNames>& global_environment() {
  static const std::vector<EnvironmentNames> kNames{
      {"--app", {"APP", "CELERY_APP"}},
      {"--broker", {"BROKER_URL", "CELERY_BROKER"}},
      {"--result-backend", {"RESULT_BACKEND"}},
      {"--config", {"CELERY_CONFIG"}},
      {"--workdir", {"CELERY_WORKDIR"}},
      {"--no-color", {"CELERY_NO_COLOR"}},
      {"--quiet", {"CELERY_QUIET"}},
  };
  return kNames;
}

std::variant<Text, Parsed> parse(const std::string& program, std::vector<std::string> arguments,
                                 bool app_from_environment) {
  Parsed out{};
  out.globals.arguments = arguments;
  auto globals = std::make_shared<Globals>(out.globals);
  auto root = std::make_shared<CLI::App>("Lovage: a distributed task queue that speaks Celery's protocol.", program);
  declare_globals(*root, *globals);
  root->require_subcommand(0, 1);
  root->allow_extras();
  root->get_formatter()->column_width(38);
  std::map<std::string, Run> runs;
  for (const auto& command : commands()) {
    CLI::App* const parser = root->add_subcommand(std::string(command.name), std::string(command.summary));
    parser->fallthrough();
    if (command.hidden) parser->group("");
    runs[std::string(command.name)] = command.declare(*parser);
  }
  try {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    root->parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return Text{root->help()};
  } catch (const CLI::ParseError& error) {
    throw ConfigError(describe(error) + "\nTry '" + program + " --help'.");
  }
  if (root->get_option("--version")->count() != 0) return Text{std::string(kVersion) + '\n'};
  const Selected chosen = selected(*root);
  check_leftovers(*root, chosen, program);
  if (!command_names(*chosen.leaf).empty()) return Text{root->help()};
  read_global_environment(*root, app_from_environment);
  read_command_environment(*chosen.leaf, chosen.path);

  const std::string name = root->get_subcommands().front()->get_name();
  const auto all = commands();
  out.command = &*std::find_if(all.begin(), all.end(), [&](const Command& command) { return command.name == name; });
  out.run = std::move(runs[name]);
  out.globals = *globals;
  out.parser = std::move(root);
  return out;
}

}  // namespace lovage::cli
