#include <CLI/CLI.hpp>
#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <lovage/error.hpp>

#include "base/printable.hpp"
#include "base/uuid.hpp"
#include "cli/command.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"
#include "wire/task_message.hpp"

namespace lovage::cli {
namespace {

struct Options {
  std::size_t limit = 100;
  std::vector<std::string> keys;
  bool all = false;
  bool force = false;
  bool json = false;
};

constexpr std::size_t kAtOnce = 1'000;

std::string iso(Timestamp at) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(at)));
}

Object describe(const broker::DeadLetterEntry& entry) {
  return {{"key", entry.key},       {"id", entry.letter.task_id},    {"task", entry.letter.task},
          {"queue", entry.queue},   {"reason", entry.letter.reason}, {"detail", entry.letter.detail},
          {"died", iso(entry.died)}};
}

broker::DeadLetterEntry find(broker::Broker& broker, const std::string& key) {
  auto found = take(broker.dead_letter(key, management_deadline()));
  if (!found) throw Error("no dead letter has the key or task id '" + key + "'");
  return std::move(*found);
}

int list(Session& session, const Options& options) {
  const auto entries = take(session.broker().dead_letters(options.limit, management_deadline()));
  if (options.json) {
    Array out;
    for (const auto& entry : entries) out.push_back(describe(entry));
    print_json(std::move(out));
    return kOk;
  }
  if (entries.empty()) {
    print("No dead letters.");
    return kOk;
  }
  std::vector<std::vector<std::string>> rows{{"Key", "Died", "Queue", "Reason", "Task", "Id"}};
  for (const auto& entry : entries) {
    rows.push_back(
        {entry.key, iso(entry.died), entry.queue, entry.letter.reason, entry.letter.task, entry.letter.task_id});
  }
  std::fputs(format_table(rows).c_str(), stdout);
  if (entries.size() == options.limit) print(fmt::format("(the oldest {}; --limit shows more)", options.limit));
  return kOk;
}

int show(Session& session, const Options& options) {
  if (options.keys.size() != 1) throw ConfigError("which dead letter? lovage dlq show KEY (or a task id)");
  const auto entry = find(session.broker(), options.keys.front());
  Object facts = describe(entry);
  facts.set("message", printable(entry.bytes));
  if (options.json) {
    print_json(std::move(facts));
    return kOk;
  }
  for (const auto& [name, value] : facts)
    print(fmt::format("{:<8} {}", name + ":", printable(*value.if_string(), Lines::many)));
  return kOk;
}

// The message again, under a delivery of its own: what killed it may be mended by now.
void retry_one(broker::Broker& broker, const broker::DeadLetterEntry& entry) {
  auto message = wire::decode_envelope(entry.bytes);
  if (!message) {
    throw Error("dead letter " + entry.key + " cannot be sent again: " + message.error().reason + ": " +
                message.error().detail);
  }
  message->delivery_tag = new_uuid();
  take(broker.retry_dead_letter(entry.key, *message, management_deadline()));
}

int retry(Session& session, const Options& options) {
  if (options.all == !options.keys.empty()) throw ConfigError("which dead letters? lovage dlq retry KEY..., or --all");
  auto& broker = session.broker();
  std::vector<broker::DeadLetterEntry> entries;
  for (const auto& key : options.keys) entries.push_back(find(broker, key));
  if (options.all) entries = take(broker.dead_letters(kAtOnce, management_deadline()));
  std::size_t sent = 0;
  for (const auto& entry : entries) {
    try {
      retry_one(broker, entry);
      ++sent;
    } catch (const ConnectionError&) {
      throw;
    } catch (const Error& error) {
      print_error(error.what());
    }
  }
  if (options.json) {
    print_json({{"retried", sent}, {"failed", entries.size() - sent}});
  } else {
    print(fmt::format("Sent {} again.", count_of(sent, "message")));
  }
  return sent == entries.size() ? kOk : kFailure;
}

int purge(Session& session, const Options& options) {
  if (options.all == !options.keys.empty()) throw ConfigError("which dead letters? lovage dlq purge KEY..., or --all");
  auto& broker = session.broker();
  if (options.all && !options.force && !confirm("Drop all dead letters? There is no undo. [y/N]: ")) {
    std::fputs("Aborted!\n", stderr);
    return kFailure;
  }
  std::uint64_t purged = 0;
  if (options.all) purged = take(broker.purge_dead_letters(std::nullopt, management_deadline()));
  for (const auto& key : options.keys) {
    purged += take(broker.purge_dead_letters(find(broker, key).key, management_deadline()));
  }
  if (options.json) {
    print_json({{"purged", purged}});
  } else {
    print(fmt::format("Dropped {}.", count_of(purged, "dead letter")));
  }
  return kOk;
}

using Action = int (*)(Session&, const Options&);

CLI::App* declare_action(CLI::App& parser, const std::string& name, const std::string& summary, Action action,
                         const std::shared_ptr<Options>& options, const std::shared_ptr<Action>& chosen) {
  CLI::App* const sub = parser.add_subcommand(name, summary);
  sub->fallthrough();
  sub->add_flag("-j,--json", options->json, "Print JSON");
  sub->parse_complete_callback([action, chosen] { *chosen = action; });
  return sub;
}

}  // namespace

Run declare_dlq(CLI::App& parser) {
  auto options = std::make_shared<Options>();
  auto chosen = std::make_shared<Action>(nullptr);
  parser.require_subcommand(0, 1);
  const auto declare = [&](const std::string& name, const std::string& summary, Action action) {
    return declare_action(parser, name, summary, action, options, chosen);
  };
  declare("list", "List dead letters, oldest first", list)
      ->add_option("-n,--limit", options->limit, "At most so many")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  declare("show", "Print one dead letter with its message", show)
      ->add_option("KEY", options->keys, "A key from the list, or a task id");
  CLI::App* const again = declare("retry", "Send dead letters to their queues again", retry);
  again->add_option("KEY", options->keys, "Keys from the list, or task ids");
  again->add_flag("--all", options->all, "All of them (at most 1,000 a call)");
  CLI::App* const drop = declare("purge", "Drop dead letters", purge);
  drop->add_option("KEY", options->keys, "Keys from the list, or task ids");
  drop->add_flag("--all", options->all, "All of them");
  drop->add_flag("-f,--force", options->force, "Do not ask");
  return [options, chosen](Session& session) { return (*chosen)(session, *options); };
}

}  // namespace lovage::cli
