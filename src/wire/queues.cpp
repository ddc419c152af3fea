#include "wire/queues.hpp"

#include <algorithm>

namespace lovage::wire {
namespace {

// A character class behind its "[": whether it holds `c`; sets `at` behind its "]". Without an end the "["
// is a plain character, as in Python's fnmatch.
bool class_matches(std::string_view pattern, std::size_t& at, char c) noexcept {
  std::size_t i = at + 1;
  const bool negated = i < pattern.size() && pattern[i] == '!';
  if (negated) ++i;
  const std::size_t first = i;
  const std::size_t end = pattern.find(']', first + 1);
  if (end == std::string_view::npos) {
    ++at;
    return c == '[';
  }
  bool found = false;
  while (i < end) {
    const bool range = i + 2 < end && pattern[i + 1] == '-';
    const auto low = static_cast<unsigned char>(pattern[i]);
    const auto high = static_cast<unsigned char>(pattern[range ? i + 2 : i]);
    const auto byte = static_cast<unsigned char>(c);
    found = found || (byte >= low && byte <= high);
    i += range ? 3 : 1;
  }
  at = end + 1;
  return found != negated;
}

std::vector<std::string_view> words_of(std::string_view key) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t dot = key.find('.');
    words.push_back(key.substr(0, dot));
    if (dot == std::string_view::npos) return words;
    key.remove_prefix(dot + 1);
  }
}

// Where the key can be matched up to, once a word of the pattern is added: kombu's regular expression has
// "*" as .*?[^\.] (some text that does not end in a dot) and "#" as .*? (any text).
std::vector<bool> after_word(const std::vector<bool>& before, std::string_view word, std::string_view key) {
  std::vector<bool> after(key.size() + 1);
  for (std::size_t at = 0; at <= key.size(); ++at) {
    if (!before[at]) continue;
    if (word != "*" && word != "#") {
      if (key.substr(at).starts_with(word)) after[at + word.size()] = true;
      continue;
    }
    if (word == "#") after[at] = true;
    for (std::size_t end = at; end < key.size(); ++end) {
      if (word == "#" || key[end] != '.') after[end + 1] = true;
    }
    break;  // a later start reaches nothing more
  }
  return after;
}

bool topic_matches(std::string_view pattern, std::string_view key) {
  std::vector<bool> reached(key.size() + 1);
  reached[0] = true;
  bool first = true;
  for (std::string_view word : words_of(pattern)) {
    if (!first) reached = after_word(reached, ".", key);
    first = false;
    reached = after_word(reached, word, key);
  }
  return reached[key.size()];
}

// As kombu escapes words: all but letters and digits (of any script) and its own wildcards.
std::string escaped_word(std::string_view word) {
  std::string out;
  for (const char c : word) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       static_cast<unsigned char>(c) >= 0x80 || c == '#' || c == '*';
    if (!plain) out += '\\';
    out += c;
  }
  return out;
}

std::string topic_regex(std::string_view routing_key) {
  std::string out;
  for (std::string_view word : words_of(routing_key)) {
    out += out.empty() ? "^" : "\\.";
    if (word == "*") {
      out += ".*?[^\\.]";
    } else if (word == "#") {
      out += ".*?";
    } else {
      out += escaped_word(word);
    }
  }
  return out + "$";
}

}  // namespace

int priority_step(int priority, std::span<const int> steps) noexcept {
  const int clamped = std::clamp(priority, 0, 9);
  int chosen = steps.back();
  for (int step : steps) {
    if (step > clamped) break;
    chosen = step;
  }
  return chosen;
}

std::string list_name(std::string_view queue, int step, std::string_view separator) {
  std::string name(queue);
  if (step != 0) name.append(separator).append(std::to_string(step));
  return name;
}

std::string encode_binding(const Binding& binding, std::string_view separator) {
  std::string out = binding.routing_key;
  out.append(separator).append(binding.pattern).append(separator).append(binding.queue);
  return out;
}

std::optional<Binding> decode_binding(std::string_view member, std::string_view separator) {
  const std::size_t first = member.find(separator);
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t pattern = first + separator.size();
  const std::size_t second = member.find(separator, pattern);
  if (second == std::string_view::npos) return std::nullopt;
  return Binding{std::string(member.substr(0, first)), std::string(member.substr(pattern, second - pattern)),
                 std::string(member.substr(second + separator.size()))};
}

Binding binding_of(const QueueDeclaration& queue) {
  Binding binding{queue.routing_key, {}, queue.name};
  if (queue.exchange_type == ExchangeType::fanout) return binding;
  if (binding.routing_key.empty()) binding.routing_key = queue.name;
  if (queue.exchange_type == ExchangeType::topic) binding.pattern = topic_regex(binding.routing_key);
  return binding;
}

std::vector<std::string> route(ExchangeType type, std::span<const Binding> bindings, std::string_view routing_key) {
  std::vector<std::string> queues;
  for (const Binding& binding : bindings) {
    const bool matches = type == ExchangeType::fanout ||
                         (type == ExchangeType::direct && binding.routing_key == routing_key) ||
                         (type == ExchangeType::topic && topic_matches(binding.routing_key, routing_key));
    const bool is_new = std::find(queues.begin(), queues.end(), binding.queue) == queues.end();
    if (matches && is_new) queues.push_back(binding.queue);
  }
  return queues;
}

bool glob_match(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // the last "*", and where its match ends so far
  std::size_t star_end = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_end = t;
      continue;
    }
    std::size_t next = p + 1;
    bool matches = p < pattern.size();
    if (matches && pattern[p] == '[') {
      next = p;
      matches = class_matches(pattern, next, text[t]);
    } else if (matches && pattern[p] != '?') {
      matches = pattern[p] == text[t];
    }
    if (matches) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_end;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace lovage::wire
