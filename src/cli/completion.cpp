#include "cli/completion.hpp"

#include <algorithm>
#include <cctype>
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/choices.hpp"

namespace lovage::cli {
namespace {

// In single quotes, as all three shells read them; fish has escapes of its own in them.
std::string quoted(std::string_view text, bool fish = false) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += fish ? "\\'" : "'\\''";
    } else if (c == '\\' && fish) {
      out += "\\\\";
    } else {
      out += c;
    }
  }
  return out + '\'';
}

// What may stand for the value of an option: "files", "folders", "any", or "words:" and the words.
std::string value_kind(const std::string& type) {
  if (type == "FILE" || type == "APP") return "files";
  if (type == "FOLDER") return "folders";
  const auto choices = choices_of(type);
  return choices.empty() ? "any" : fmt::format("words:{}", fmt::join(choices, " "));
}

// One entry for each command, the root first, with the options that may follow it.
struct Entry {
  const CommandInfo* command;
  std::vector<OptionInfo> options;
};

std::vector<Entry> entries(const CommandInfo& root) {
  std::vector<Entry> out;
  const auto globals = global_options(root);
  const std::function<void(const CommandInfo&)> add = [&](const CommandInfo& command) {
    Entry entry{&command, command.options};
    if (&command != &root) entry.options.insert(entry.options.end(), globals.begin(), globals.end());
    out.push_back(std::move(entry));
    for (const auto& below : command.commands) add(below);
  };
  add(root);
  return out;
}

std::string function_name(const std::string& program) {
  std::string out = program;
  std::ranges::replace_if(
      out, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return out;
}

// `case` branches in bash and zsh: what the value of an option may be.
std::string value_branches(const std::vector<Entry>& all) {
  std::string out;
  for (const auto& entry : all) {
    for (const auto& option : entry.options) {
      if (option.type.empty()) continue;
      std::vector<std::string> patterns;
      for (const auto& name : option.names) patterns.push_back(quoted(entry.command->path + ' ' + name));
      out += fmt::format("    {}) value={} ;;\n", fmt::join(patterns, "|"), quoted(value_kind(option.type)));
    }
  }
  // Arguments: what a command is followed by.
  for (const auto& entry : all) {
    for (const auto& argument : entry.command->arguments) {
      const auto kind = value_kind(argument.type);
      if (kind != "any") out += fmt::format("    {}) value={} ;;\n", quoted(entry.command->path), quoted(kind));
    }
  }
  return out;
}

constexpr std::string_view kBash = R"sh(# bash completion for {program}: made by `{program} completion bash`.

_{name}_words() {{
  case "$1" in
{words}  esac
}}

_{name}_value() {{
  value=''
  case "$1" in
{values}  esac
  [[ -n $value ]]
}}

_{name}() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} at={program_word} commands='' options='' value='' i word
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    [[ $word == -- ]] && return
    if [[ $word == -* ]] && _{name}_value "$at $word"; then
      # "--pool=solo" comes as three words.
      ((i++))
      if [[ ${{COMP_WORDS[i]}} == = ]]; then
        if ((i == COMP_CWORD)); then cur=''; else ((i++)); fi
      fi
      ((i < COMP_CWORD)) && value=''
      continue
    fi
    _{name}_words "$at"
    [[ " $commands " == *" $word "* ]] && at+=" $word"
  done
  _{name}_words "$at"
  [[ -z $value && $cur != -* ]] && _{name}_value "$at"
  case $value in
    words:*) mapfile -t COMPREPLY < <(compgen -W "${{value#words:}}" -- "$cur") ;;
    files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    any) ;;
    *)
      if [[ $cur == -* ]]; then commands=$options; fi
      mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
      ;;
  esac
}}
complete -F _{name} {program_word}
)sh";

std::string bash(const CommandInfo& root) {
  const auto all = entries(root);
  std::string words;
  for (const auto& entry : all) {
    std::vector<std::string> commands;
    std::vector<std::string> options;
    for (const auto& command : entry.command->commands) commands.push_back(command.name);
    for (const auto& option : entry.options) options.insert(options.end(), option.names.begin(), option.names.end());
    words += fmt::format("    {}) commands='{}' options='{}' ;;\n", quoted(entry.command->path),
                         fmt::join(commands, " "), fmt::join(options, " "));
  }
  return fmt::format(kBash, fmt::arg("program", root.name), fmt::arg("program_word", quoted(root.name)),
                     fmt::arg("name", function_name(root.name)), fmt::arg("words", words),
                     fmt::arg("values", value_branches(all)));
}

// "name:what it is" for each, as zsh's _describe wants them.
std::string described(std::string_view name, std::string_view help) {
  std::string out;
  for (const char c : name) out += c == ':' ? "\\:" : std::string(1, c);
  return quoted(fmt::format("{}:{}", out, help));
}

constexpr std::string_view kZsh = R"sh(#compdef {program}
# zsh completion for {program}: made by `{program} completion zsh`.

_{name}_words() {{
  case "$1" in
{words}  esac
}}

_{name}_value() {{
  value=''
  case "$1" in
{values}  esac
  [[ -n $value ]]
}}

_{name}() {{
  local at={program_word} value='' word i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    word=${{words[i]}}
    [[ $word == -- ]] && return 1
    if [[ $word == -* ]] && _{name}_value "$at $word"; then
      ((++i < CURRENT)) && value=''
      continue
    fi
    _{name}_words "$at"
    (( ${{commands[(I)$word:*]}} )) && at+=" $word"
  done
  _{name}_words "$at"
  if [[ -z $value && $PREFIX == --*=* ]]; then
    _{name}_value "$at ${{PREFIX%%=*}}" && compset -P '*='
  elif [[ -z $value && $PREFIX != -* ]]; then
    _{name}_value "$at"
  fi
  case $value in
    words:*) compadd -- ${{=value#words:}} ;;
    files) _files ;;
    folders) _files -/ ;;
    any) return 1 ;;
    *)
      if [[ $PREFIX == -* ]]; then
        _describe -o option options
      else
        _describe command commands
      fi
      ;;
  esac
}}

if [[ ${{funcstack[1]}} == _{name} ]]; then _{name} "$@"; else compdef _{name} {program_word}; fi
)sh";

std::string zsh(const CommandInfo& root) {
  const auto all = entries(root);
  std::string words;
  for (const auto& entry : all) {
    words += fmt::format("    {})\n      commands=(", quoted(entry.command->path));
    for (const auto& command : entry.command->commands) words += ' ' + described(command.name, command.help);
    words += " )\n      options=(";
    for (const auto& option : entry.options) {
      for (const auto& name : option.names) words += "\n        " + described(name, option.help);
    }
    words += "\n      )\n      ;;\n";
  }
  return fmt::format(kZsh, fmt::arg("program", root.name), fmt::arg("program_word", quoted(root.name)),
                     fmt::arg("name", function_name(root.name)), fmt::arg("words", words),
                     fmt::arg("values", value_branches(all)));
}

constexpr std::string_view kFish = R"sh(# fish completion for {program}: made by `{program} completion fish`.

function __{name}_words --no-scope-shadowing
    set commands
    set options
    switch $argv[1]
{words}    end
end

function __{name}_value
    switch "$argv[1]"
{values}        case '*'
            return 1
    end
end

function __{name}_complete
    set -l at {program_word}
    set -l value ''
    set -l commands
    set -l options
    set -l given (commandline -opc)
    set -l current (commandline -ct)
    set -l i 2
    while test $i -le (count $given)
        set -l word $given[$i]
        test "$word" = --; and return
        set value ''
        if string match -q -- '-*' $word; and set value (__{name}_value "$at $word")
            set i (math $i + 2)
            test $i -le (math (count $given) + 1); and set value ''
            continue
        end
        __{name}_words $at
        for command in $commands
            string match -q -- "$word"\t'*' $command; and set at "$at $word"; and break
        end
        set i (math $i + 1)
    end
    __{name}_words $at
    set -l before ''
    if test -z "$value"; and string match -q -- '--*=*' $current
        set before (string replace -r '=.*' '' -- $current)
        set value (__{name}_value "$at $before")
        set before $before=
    else if test -z "$value"; and not string match -q -- '-*' $current
        set value (__{name}_value $at)
    end
    switch "$value"
        case 'words:*'
            for word in (string split ' ' -- (string replace 'words:' '' -- $value))
                echo $before$word
            end
        case files
            __fish_complete_path $current
        case folders
            __fish_complete_directories $current ''
        case any
        case '*'
            if string match -q -- '-*' $current
                printf '%s\n' $options
            else if set -q commands[1]
                printf '%s\n' $commands
            end
    end
end

complete -c {program_word} -f -a '(__{name}_complete)'
)sh";

std::string fish(const CommandInfo& root) {
  const auto all = entries(root);
  std::string words;
  std::string values;
  for (const auto& entry : all) {
    words += fmt::format("        case {}\n", quoted(entry.command->path, true));
    for (const auto& command : entry.command->commands) {
      words += fmt::format("            set -a commands {}\\t{}\n", command.name, quoted(command.help, true));
    }
    for (const auto& option : entry.options) {
      for (const auto& name : option.names) {
        words += fmt::format("            set -a options {}\\t{}\n", name, quoted(option.help, true));
      }
      if (option.type.empty()) continue;
      values += "        case";
      for (const auto& name : option.names) values += ' ' + quoted(entry.command->path + ' ' + name, true);
      values += fmt::format("\n            echo {}\n", quoted(value_kind(option.type), true));
    }
    for (const auto& argument : entry.command->arguments) {
      const auto kind = value_kind(argument.type);
      if (kind == "any") continue;
      values +=
          fmt::format("        case {}\n            echo {}\n", quoted(entry.command->path, true), quoted(kind, true));
    }
  }
  return fmt::format(kFish, fmt::arg("program", root.name), fmt::arg("program_word", quoted(root.name, true)),
                     fmt::arg("name", function_name(root.name)), fmt::arg("words", words), fmt::arg("values", values));
}

}  // namespace

std::string completion(const CommandInfo& root, std::string_view shell) {
  if (shell == "bash") return bash(root);
  return shell == "zsh" ? zsh(root) : fish(root);
}

}  // namespace lovage::cli
