// Thompson's way: the pattern becomes a program, and all places that the program may be at go through the text
// together.
#include "wire/regex.hpp"

#include <bitset>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lovage::wire {
namespace {

constexpr std::size_t kMaxProgram = 4000;  // steps
constexpr int kMaxNesting = 50;
constexpr std::size_t kMaxCount = 1000;  // of a repetition

// ASCII's characters, and all others as one: a pattern cannot tell them apart.
constexpr std::size_t kOther = 128;
using Characters = std::bitset<kOther + 1>;

struct Step {
  enum class Kind { character, fork, jump, start, end };
  Kind kind;
  std::ptrdiff_t offset = 0;  // fork: here too, beside the next step; jump: here only
  Characters characters{};
};
// It has matched where it gets behind its last step. Offsets are relative, so that programs can be put together.
using Program = std::vector<Step>;

void append(Program& to, const Program& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::ptrdiff_t distance(std::size_t steps) {
  return static_cast<std::ptrdiff_t>(steps);
}

Characters range(unsigned char low, unsigned char high) {
  Characters set;
  for (std::size_t c = low; c <= high; ++c) set.set(c);
  return set;
}

// \d, \w, \s and their opposites.
std::optional<Characters> class_of(char letter) {
  switch (letter) {
    case 'd':
      return range('0', '9');
    case 'w':
      return range('0', '9') | range('A', 'Z') | range('a', 'z') | range('_', '_');
    case 's':
      return range('\t', '\r') | range('\x1c', ' ');
    case 'D':
    case 'W':
    case 'S':
      return ~*class_of(static_cast<char>(letter - 'A' + 'a'));
    default:
      return std::nullopt;
  }
}

bool is_alphanumeric(char c) {
  return (range('0', '9') | range('A', 'Z') | range('a', 'z')).test(static_cast<unsigned char>(c));
}

class Compiler {
 public:
  explicit Compiler(std::string_view pattern) : rest_(pattern) {}

  Result<Program> compile() {
    if (rest_.size() > kMaxRegexBytes) return fail(Errc::too_large, "a pattern of over 1000 bytes");
    for (const char c : rest_) {
      if (static_cast<unsigned char>(c) >= kOther)
        return fail(Errc::bad_data, "a pattern with characters beyond ASCII");
    }
    Program program = alternatives();
    if (!rest_.empty()) refuse("a pattern with ')' and no '('");
    if (failure_) return tl::unexpected(std::move(*failure_));
    return program;
  }

 private:
  // The first error counts. Nothing is left to read after it, so that all loops end.
  void refuse(std::string why, Errc code = Errc::bad_data) {
    if (!failure_) failure_ = Failure{code, std::move(why)};
    rest_ = {};
  }

  bool take(char c) {
    const bool there = rest_.starts_with(c);
    if (there) rest_.remove_prefix(1);
    return there;
  }

  char take_any() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  // False when the program grows too large.
  bool fits(std::size_t steps) {
    if (steps > kMaxProgram) refuse("a pattern that says too much: repetitions multiply", Errc::too_large);
    return steps <= kMaxProgram;
  }

  Program alternatives() {
    std::vector<Program> branches{sequence()};
    while (take('|')) branches.push_back(sequence());
    std::size_t left = 0;  // steps to the end
    for (const Program& branch : branches) left += branch.size() + 2;
    left -= 2;
    Program all;
    if (!fits(left)) return all;
    for (const Program& branch : branches) {
      const bool last = &branch == &branches.back();
      if (!last) all.push_back({Step::Kind::fork, distance(branch.size() + 2)});
      append(all, branch);
      if (last) break;
      left -= branch.size() + 2;
      all.push_back({Step::Kind::jump, distance(left + 1)});
    }
    return all;
  }

  Program sequence() {
    Program all;
    while (!rest_.empty() && !rest_.starts_with('|') && !rest_.starts_with(')')) {
      const Program piece = repeated();
      if (!fits(all.size() + piece.size())) break;
      append(all, piece);
    }
    return all;
  }

  struct Count {
    std::size_t least;
    std::optional<std::size_t> most;
  };

  Program repeated() {
    const bool anchor = rest_.starts_with('^') || rest_.starts_with('$');
    Program piece = atom();
    const auto count = repetition();
    if (!count) return piece;
    if (anchor) refuse("a pattern that repeats '^' or '$'");
    take('?');  // lazy: another way to the same answer
    if (rest_.starts_with('+')) refuse("a pattern with a possessive repetition, or two in a row");
    if (repetition()) refuse("a pattern with two repetitions in a row");
    return times(piece, *count);
  }

  std::optional<Count> repetition() {
    if (take('*')) return Count{0, {}};
    if (take('+')) return Count{1, {}};
    if (take('?')) return Count{0, 1};
    if (!take('{')) return std::nullopt;
    const auto least = number();
    const bool comma = take(',');
    const auto most = comma ? number() : least;
    if (!take('}') || (!least && !most)) refuse("a pattern with '{' that begins no count; the character is '\\{'");
    const Count count{least.value_or(0), most};
    if (!most || *most >= count.least) return count;
    refuse("a pattern whose count ends before it begins");
    return Count{0, 0};
  }

  std::optional<std::size_t> number() {
    std::optional<std::size_t> value;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      value = value.value_or(0) * 10 + static_cast<std::size_t>(take_any() - '0');
      if (*value > kMaxCount) refuse("a pattern that repeats over 1000 times", Errc::too_large);
    }
    return value;
  }

  Program times(const Program& piece, const Count& count) {
    Program all;
    if (!fits((piece.size() + 2) * (count.most ? *count.most : count.least + 1))) return all;
    for (std::size_t i = 0; i < count.least; ++i) append(all, piece);
    if (!count.most && count.least > 0) {
      all.push_back({Step::Kind::fork, -distance(piece.size())});
    } else if (!count.most) {
      all.push_back({Step::Kind::fork, distance(piece.size() + 2)});
      append(all, piece);
      all.push_back({Step::Kind::jump, -distance(piece.size() + 1)});
    } else {
      for (std::size_t left = *count.most - count.least; left > 0; --left) {
        all.push_back({Step::Kind::fork, distance(left * (piece.size() + 1))});
        append(all, piece);
      }
    }
    return all;
  }

  Program atom() {
    const char c = take_any();
    switch (c) {
      case '(':
        return group();
      case '[':
        return {{Step::Kind::character, 0, set()}};
      case '.':
        return {{Step::Kind::character, 0, ~range('\n', '\n')}};
      case '^':
        return {{Step::Kind::start}};
      case '$':
        return {{Step::Kind::end}};
      case '\\':
        return {{Step::Kind::character, 0, escape().characters}};
      case '*':
      case '+':
      case '?':
      case '{':
        refuse("a pattern with a repetition of nothing");
        return {};
      default:
        return {{Step::Kind::character, 0, one(c).characters}};
    }
  }

  Program group() {
    if (take('?') && !take(':')) {
      refuse("a pattern with '(?': only '(?:' is supported");
      return {};
    }
    if (++nesting_ > kMaxNesting) refuse("a pattern whose groups are nested too deeply", Errc::too_large);
    Program inner = alternatives();
    --nesting_;
    if (!take(')')) refuse("a pattern with '(' and no ')'");
    return inner;
  }

  struct Member {
    Characters characters;
    std::optional<unsigned char> single;  // a class has none
  };

  static Member one(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return {range(byte, byte), byte};
  }

  // Behind its backslash.
  Member escape() {
    if (rest_.empty()) {
      refuse("a pattern that ends with '\\'");
      return {};
    }
    const char c = take_any();
    if (const auto known = class_of(c)) return {*known, {}};
    if (is_alphanumeric(c)) refuse(std::string("a pattern with '\\") + c + "', which is not supported");
    return one(c);
  }

  // Behind its "[".
  Characters set() {
    const bool negated = take('^');
    Characters all;
    for (bool first = true; first || !take(']'); first = false) {
      if (rest_.empty()) {
        refuse("a pattern with '[' and no ']'");
        return all;
      }
      const Member low = member();
      const bool is_range = rest_.size() > 1 && rest_[0] == '-' && rest_[1] != ']';
      if (!is_range) {
        all |= low.characters;
        continue;
      }
      take('-');
      const Member high = member();
      if (!low.single || !high.single || *high.single < *low.single) {
        refuse("a pattern with a range that is none");
        return all;
      }
      all |= range(*low.single, *high.single);
    }
    return negated ? ~all : all;
  }

  Member member() {
    const char c = take_any();
    return c == '\\' ? escape() : one(c);
  }

  std::string_view rest_;
  int nesting_ = 0;
  std::optional<Failure> failure_;
};

std::size_t length_of_character(std::string_view text) {
  if (static_cast<unsigned char>(text[0]) < kOther) return 1;
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) ++length;
  return length;
}

class Matcher {
 public:
  explicit Matcher(const Program& program) : program_(program), places_{0} {}

  bool match(std::string_view text) {
    at_start_ = true;
    while (!reaches_end(text)) {
      if (places_.empty()) return false;
      text.remove_prefix(length_of_character(text));
      at_start_ = false;
    }
    return true;
  }

 private:
  // Follows all that takes no character; leaves the places behind the text's first one.
  bool reaches_end(std::string_view text) {
    std::vector<bool> seen(program_.size());
    std::vector<std::size_t> open = std::exchange(places_, {});
    while (!open.empty()) {
      const std::size_t at = open.back();
      open.pop_back();
      if (at == program_.size()) return true;
      if (seen[at]) continue;
      seen[at] = true;
      const Step& step = program_[at];
      if (step.kind == Step::Kind::character) {
        if (takes(step, text)) places_.push_back(at + 1);
        continue;
      }
      if (step.offset != 0) open.push_back(static_cast<std::size_t>(distance(at) + step.offset));
      if (passes(step, text)) open.push_back(at + 1);
    }
    return false;
  }

  static bool takes(const Step& step, std::string_view text) {
    if (text.empty()) return false;
    const auto byte = static_cast<unsigned char>(text[0]);
    return step.characters.test(byte < kOther ? byte : kOther);
  }

  [[nodiscard]] bool passes(const Step& step, std::string_view text) const {
    if (step.kind == Step::Kind::start) return at_start_;
    if (step.kind == Step::Kind::end) return text.empty() || text == "\n";
    return step.kind == Step::Kind::fork;
  }

  const Program& program_;
  std::vector<std::size_t> places_;
  bool at_start_ = true;
};

}  // namespace

Result<bool> regex_match(std::string_view pattern, std::string_view text) {
  const auto program = Compiler(pattern).compile();
  if (!program) return tl::unexpected(program.error());
  return Matcher(*program).match(text);
}

}  // namespace lovage::wire
