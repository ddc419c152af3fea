#include "cli/man_page.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "base/exit_code.hpp"
#include "cli/parser.hpp"

namespace lovage::cli {
namespace {

// Text as roff reads it: a hyphen that is to be copied, a backslash, and no line that begins as a request does.
std::string escaped(std::string_view text) {
  std::string out;
  if (text.starts_with('.') || text.starts_with('\'')) out = "\\&";
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '\'':
        out += "\\(aq";
        break;
      case '^':
        out += "\\(ha";
        break;
      case '~':
        out += "\\(ti";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) {
  return "\\fB" + escaped(text) + "\\fR";
}

std::string italic(std::string_view text) {
  return "\\fI" + escaped(text) + "\\fR";
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string entry(const std::string& term, const std::string& text) {
  return fmt::format(".TP\n{}\n{}\n", term, text);
}

std::string option_entry(const OptionInfo& option) {
  std::string term;
  for (const auto& name : option.names) {
    if (!term.empty()) term += ", ";
    term += bold(name);
  }
  if (!option.type.empty()) term += ' ' + italic(option.type);
  std::string help = escaped(option.help) + '.';
  // Flags have "false" as their initial value, which says nothing.
  if (!option.initial.empty() && !option.type.empty()) help += " Default: " + bold(option.initial) + '.';
  return entry(term, help);
}

std::string argument_word(const OptionInfo& argument) {
  return '[' + italic(argument.names.front()) + (argument.many ? "...]" : "]");
}

// What stands below a command's name: one line of usage, its help, its options under their headings.
std::string command_text(const CommandInfo& command) {
  std::string usage = bold(command.path) + " [options]";
  for (const auto& argument : command.arguments) usage += ' ' + argument_word(argument);
  std::string out = fmt::format(".SS {}\n{}\n.PP\n{}.\n", escaped(command.path), usage, escaped(command.help));
  for (const auto& argument : command.arguments) {
    out += entry(italic(argument.names.front()), escaped(argument.help) + '.');
  }
  std::string group = "Options";
  for (const auto& option : command.options) {
    if (option.names.back() == "--help") continue;
    if (option.group != group) {
      group = option.group;
      out += fmt::format(".PP\n{}:\n", escaped(group));
    }
    out += option_entry(option);
  }
  return out;
}

std::string all_commands(const CommandInfo& command) {
  if (command.commands.empty()) return command_text(command);
  std::string out;
  for (const auto& below : command.commands) out += all_commands(below);
  return out;
}

std::string environment() {
  std::string out = ".SH ENVIRONMENT\nThe command line wins over all of these.\n";
  out += entry(bold("CELERY_BROKER_URL") + ", " + bold("CELERY_RESULT_BACKEND"),
               "The settings broker_url and result_backend, as for Celery.");
  out += entry(R"(\fBLOVAGE_\fISETTING\fR)", "Any other setting: LOVAGE_TASK_ACKS_LATE=false.");
  for (const auto& [option, variables] : global_environment()) {
    std::string term;
    for (const char* variable : variables) term += (term.empty() ? "" : ", ") + bold(variable);
    out += entry(term, "The option " + bold(option) + '.');
  }
  out += entry(R"(\fBCELERY_\fICOMMAND\fB_\fIOPTION\fR)",
               "An option of a command: CELERY_WORKER_CONCURRENCY=4 is " + bold("worker --concurrency") + " 4.");
  out += entry(bold("NO_COLOR"), "No colours, whatever its value.");
  return out;
}

struct ExitText {
  int code;
  const char* text;
};

std::string exit_status() {
  static constexpr std::array<ExitText, 5> kCodes{{
      {kOk, "Done."},
      {kFailure, "The command ran and the answer is no: a failed task, \"Aborted!\"."},
      {kUsage, "An unknown command, option, setting or value."},
      {kUnavailable, "No server, or no worker answered."},
      {kCannotCreate, "The pid file cannot be made."},
  }};
  std::string out = ".SH EXIT STATUS\n";
  for (const auto& [code, text] : kCodes) out += entry(bold(std::to_string(code)), escaped(text));
  return out;
}

std::string example(const std::string& command, const std::string& what) {
  return fmt::format(".PP\n{}\n.PP\n.RS 4\n.EX\n{}\n.EE\n.RE\n", what, escaped(command));
}

std::string examples(const std::string& program) {
  return ".SH EXAMPLES\n" +
         example(program + " -A ./libshop.so worker -c 4 -Q celery,images -l INFO",
                 "Run the tasks of a shared library, four at a time, from two queues:") +
         example(program + " -b redis://localhost call tasks.add -a '[2, 3]' --wait",
                 "Send a task through Redis and wait for its result:");
}

}  // namespace

std::string man_page(const CommandInfo& root) {
  std::string out = fmt::format(".\\\" Made by `{} man`.\n.TH {} 1 \"\" \"Lovage {}\" \"User Commands\"\n.nh\n.ad l\n",
                                root.name, upper(root.name), LOVAGE_VERSION);
  out +=
      fmt::format(".SH NAME\n{} \\- a distributed task queue that speaks Celery\\(aqs protocol\n", escaped(root.name));
  out +=
      fmt::format(".SH SYNOPSIS\n{} [global options] {} [options] [arguments]\n", bold(root.name), italic("command"));
  out +=
      ".SH DESCRIPTION\n"
      "Runs workers that take tasks from the queues of a broker, sends tasks, reads their results, and looks after\n"
      "queues and dead letters.\n"
      "Without a broker URL everything lives in one SQLite file, lovage.db in the working folder.\n"
      "Settings have Celery\\(aqs names.\n";
  out += ".SH GLOBAL OPTIONS\nBefore or after the command.\n";
  for (const auto& option : global_options(root)) out += option_entry(option);
  for (const auto& option : root.options) {
    if (option.group != kGlobalOptions) out += option_entry(option);
  }
  out += ".SH COMMANDS\n";
  for (const auto& command : root.commands) out += all_commands(command);
  return out + exit_status() + environment() + examples(root.name) + ".SH FILES\n" +
         entry(italic("./lovage.db"), "Broker and results, where no URL says otherwise.") +
         ".SH SEE ALSO\n.UR https://docs.celeryq.dev\nCelery\\(aqs documentation\n.UE\n";
}

}  // namespace lovage::cli
