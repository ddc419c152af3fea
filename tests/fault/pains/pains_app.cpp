// The application of the tests in this folder. `pains_app worker ...` is its worker; with one of the words
// below it is a client, on the store that CELERY_BROKER_URL and CELERY_RESULT_BACKEND name:
//
//   send TASK COUNT PATH MS [PRIORITY [COUNTDOWN_S [TIME_LIMIT_MS [SOFT_LIMIT_MS]]]]   prints the ids
//   trickle FIRST COUNT PATH MS PAUSE_MS   sends pains.mark one by one, from number FIRST on, until COUNT are sent or
//                         its input ends; prints "sent|uncertain|refused NUMBER ID-OR-REASON" for each
//   calls COUNT EVERY     calls pains.quick one by one, awaits each EVERYth; prints its own memory ten times
//   payloads COUNT BYTES  calls pains.size with a text of so many bytes; prints the ids, or why it was refused
//   deadline TIMES        sends with no broker there: prints what each took (ms) and how it ended
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <lovage/lovage.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

// One write(2) to a file opened for appending: lines of many processes never mix.
void append_line(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const std::string line = text + "\n";
  const bool written = fd >= 0 && ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (fd >= 0) ::close(fd);
  if (!written) throw std::runtime_error("cannot append to " + path);
}

// Keeps a processor busy and looks at nothing, least of all at a soft limit.
void compute_for(Milliseconds time) {
  const auto end = Clock::now() + time;
  for (volatile std::uint64_t turns = 0; Clock::now() < end;) turns = turns + 1;
}

// A system call that returns only when the time limit's signal ends the process.
void read_from_nobody() {
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
  char byte = 0;
  while (::read(ends[0], &byte, 1) >= 0 || errno == EINTR) {
  }
}

// Every task but pains.quick has the same parameters: it appends its number to the file, then does its work.
void declare_tasks(lovage::App& app) {
  const auto declare = [&app](const std::string& name, auto work) {
    app.task(
        "pains." + name,
        [work](std::int64_t number, std::string path, std::int64_t milliseconds) {
          append_line(path, std::to_string(number));
          return work(number, Milliseconds(milliseconds));
        },
        lovage::params("number", "path", "milliseconds"));
  };
  declare("mark", [](std::int64_t number, Milliseconds time) {
    std::this_thread::sleep_for(time);  // the work
    return number;
  });
  declare("compute", [](std::int64_t number, Milliseconds time) {
    compute_for(time);
    return number;
  });
  declare("block", [](std::int64_t number, Milliseconds) {
    read_from_nobody();
    return number;
  });
  // A result that takes many writes on its way out of a child.
  declare("large", [](std::int64_t, Milliseconds time) {
    std::this_thread::sleep_for(time);  // the work
    return std::string(1'000'000, 'x');
  });
  declare("fail", [](std::int64_t number, Milliseconds) -> std::int64_t {
    throw std::invalid_argument("number " + std::to_string(number) + " is not wanted");
  });
  if (std::getenv("PAINS_KNOWS_NEW") != nullptr)
    declare("new", [](std::int64_t number, Milliseconds) { return number; });
  // The same on the other side: pains_celery.py.
  app.task(
      "pains.size", [](const std::string& text) { return text.size(); }, lovage::params("text"));
  app.task(
      "pains.text", [](std::size_t size) { return std::string(size, 'x'); }, lovage::params("size"));
  app.task(
      "pains.quick", [](std::int64_t number) { return number; }, lovage::params("number"));
}

int send(const lovage::App& app, std::span<char* const> words) {
  const auto word = [&](std::size_t i, const char* otherwise) {
    return std::string(i < words.size() ? words[i] : otherwise);
  };
  const int count = std::stoi(word(1, "1"));
  lovage::ApplyOptions options;
  options.priority = std::stoi(word(4, "0"));
  if (const int seconds = std::stoi(word(5, "0")); seconds > 0) options.countdown = std::chrono::seconds(seconds);
  if (const int limit = std::stoi(word(6, "0")); limit > 0) options.time_limit = Milliseconds(limit);
  if (const int limit = std::stoi(word(7, "0")); limit > 0) options.soft_time_limit = Milliseconds(limit);
  constexpr int kChunk = 1'000;
  for (int first = 0; first < count; first += kChunk) {
    std::vector<lovage::Signature> calls;
    for (int i = first; i < std::min(count, first + kChunk); ++i) {
      calls.push_back(app.signature(words[0], {i, word(2, ""), std::stoi(word(3, "0"))}));
      calls.back().set(options);
    }
    for (const auto& outcome : app.send_many(calls, std::chrono::seconds(30))) {
      if (!outcome.sent()) std::rethrow_exception(outcome.error);
      std::puts(outcome.result.id().c_str());
    }
  }
  return 0;
}

// False when standard input ends within the pause: nobody wants more.
bool wanted_after(Milliseconds pause) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return ::poll(&input, 1, static_cast<int>(pause.count())) == 0;
}

int trickle(lovage::App& app, std::span<char* const> words) {
  const auto mark = app.remote<std::int64_t(std::int64_t, std::string, std::int64_t)>("pains.mark");
  const std::int64_t first = std::stoll(words[0]);
  for (std::int64_t i = first; i < first + std::stoll(words[1]); ++i) {
    std::string ended = "sent";
    std::string what;
    try {
      what = mark.delay(i, words[2], std::stoll(words[3])).id();
    } catch (const lovage::SendUncertain& error) {
      ended = "uncertain";
      what = error.task_id();
    } catch (const lovage::Error& error) {
      ended = "refused";
      what = error.what();
    }
    std::printf("%s %lld %s\n", ended.c_str(), static_cast<long long>(i), what.c_str());
    std::fflush(stdout);
    if (!wanted_after(Milliseconds(std::stoll(words[4])))) break;
  }
  return 0;
}

std::string resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::to_string(std::stol(line.substr(6)));
  throw std::runtime_error("no VmRSS");
}

int calls(lovage::App& app, std::span<char* const> words) {
  const auto quick = app.remote<std::int64_t(std::int64_t)>("pains.quick");
  const int count = std::stoi(words[0]);
  const int every = std::stoi(words[1]);
  for (int i = 0; i < count; ++i) {
    const auto result = quick.delay(i);
    if (i % every == 0 && result.get(std::chrono::seconds(60)) != i) throw std::runtime_error("another task's result");
    if ((i + 1) % (count / 10) == 0) {
      std::printf("%d %s\n", i + 1, resident_kib().c_str());
      std::fflush(stdout);
    }
  }
  return 0;
}

// Rows as programs send them, to the byte.
std::string rows(std::size_t size) {
  std::string text;
  for (int row = 0; text.size() < size; ++row) {
    const std::string number = std::to_string(row);
    text += R"({"id": )" + number + R"(, "name": "customer )" + number + R"(", "active": true, "orders": []}, )";
  }
  text.resize(size);
  return text;
}

int payloads(lovage::App& app, std::span<char* const> words) {
  const auto size_of = app.remote<std::size_t(std::string)>("pains.size");
  const std::string text = rows(std::stoul(words[1]));
  for (int i = 0; i < std::stoi(words[0]); ++i) {
    try {
      std::puts(size_of.delay(text).id().c_str());
    } catch (const lovage::MessageTooLarge& error) {
      std::printf("refused: %s\n", error.what());
    }
  }
  return 0;
}

// As one group, or by send_many of a thousand each. Prints the milliseconds that it took, and the memory before it and
// after it; of chunks, after the first of them.
int bulk(lovage::App& app, std::span<char* const> words) {
  constexpr std::size_t kChunk = 1'000;
  const bool as_group = words[0] == std::string_view("group");
  const auto quick = app.remote<std::int64_t(std::int64_t)>("pains.quick");
  const std::size_t count = std::stoul(words[1]);
  std::string before = resident_kib();
  const auto begin = Clock::now();
  for (std::size_t sent = 0; sent < count;) {
    std::vector<lovage::TypedSignature<std::int64_t()>> calls;
    const std::size_t end = as_group ? count : std::min(count, sent + kChunk);
    for (; sent < end; ++sent) calls.push_back(quick.s(static_cast<std::int64_t>(sent)));
    if (as_group) {
      static_cast<void>(lovage::group(calls).delay());
      break;
    }
    const std::vector<lovage::Signature> signatures(calls.begin(), calls.end());
    for (const auto& outcome : app.send_many(signatures, std::chrono::seconds(30)))
      if (!outcome.sent()) std::rethrow_exception(outcome.error);
    if (sent == 5 * kChunk) before = resident_kib();  // its buffers have their size by then
  }
  const auto took = std::chrono::duration_cast<Milliseconds>(Clock::now() - begin);
  std::printf("%lld %s %s\n", static_cast<long long>(took.count()), before.c_str(), resident_kib().c_str());
  return 0;
}

int deadline(lovage::App& app, std::span<char* const> words) {
  const auto quick = app.remote<std::int64_t(std::int64_t)>("pains.quick");
  for (int i = 0; i < std::stoi(words[0]); ++i) {
    const auto begin = Clock::now();
    std::string ended = "sent";
    try {
      quick.delay(i);
    } catch (const lovage::Error& error) {
      ended = error.what();
    }
    const auto took = std::chrono::duration_cast<Milliseconds>(Clock::now() - begin);
    std::printf("%lld %s\n", static_cast<long long>(took.count()), ended.c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  lovage::App app("pains");
  declare_tasks(app);
  const std::string mode = argc > 1 ? argv[1] : "";
  const std::span<char* const> words(argv + 2, argc > 2 ? static_cast<std::size_t>(argc - 2) : 0);
  try {
    if (mode == "send" && !words.empty()) return send(app, words);
    if (mode == "trickle" && words.size() == 5) return trickle(app, words);
    if (mode == "calls" && words.size() == 2) return calls(app, words);
    if (mode == "payloads" && words.size() == 2) return payloads(app, words);
    if (mode == "bulk" && words.size() == 2) return bulk(app, words);
    if (mode == "deadline" && words.size() == 1) return deadline(app, words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return lovage::main(app, argc, argv);
}
