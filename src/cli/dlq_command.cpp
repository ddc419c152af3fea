#include <CLI/CLI.hpp>

#include <fmt/format.h>
#include <lovage/error.hpp>

#include "base/printable.hpp"
#include "base/uuid.hpp"
#include "cli/command.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"
#include "cli/whereabouts.hpp"
#include "wire/task_message.hpp"

namespace lovage::cli {
namespace {

struct Options {
  std::size_t limit = 100;
  std::vector<std::string> keys;
  bool all = false;
  bool force = false;
  bool same_id = false;
  bool json = false;
};

constexpr std::size_t kAtOnce = 1'000;

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

// What happened to the message before: kept in a header, which workers pass over.
constexpr const char* kHistory = "lovage_history";

Array history_of(const wire::TaskMessage& message) {
  const Value* const history = message.custom_headers.find(kHistory);
  const Array* const entries = history == nullptr ? nullptr : history->if_array();
  return entries == nullptr ? Array{} : *entries;
}

// "2026-01-31T12:00:00Z poison, as 5f3c..."; the header is whatever the wire brought.
std::string history_line(const Value& step) {
  const auto text = [&](const char* name) {
    const Value* const value = step.find(name);
    const std::string* const found = value == nullptr ? nullptr : value->if_string();
    return found == nullptr ? std::string("?") : *found;
  };
  return fmt::format("{} {}, as {}", text("died"), text("reason"), text("id"));
}

int show(Session& session, const Options& options) {
  if (options.keys.size() != 1) throw ConfigError("which dead letter? lovage dlq show KEY (or a task id)");
  const auto entry = find(session.broker(), options.keys.front());
  Object facts = describe(entry);
  const auto message = wire::decode_envelope(entry.bytes);
  const Array history = message ? history_of(*message) : Array{};
  if (options.json) {
    facts.set("history", history);
    facts.set("message", printable(entry.bytes));
    print_json(std::move(facts));
    return kOk;
  }
  std::string earlier;
  for (const auto& step : history) earlier += (earlier.empty() ? "" : "\n         ") + history_line(step);
  if (!earlier.empty()) facts.set("before", earlier);
  facts.set("message", printable(entry.bytes));
  for (const auto& [name, value] : facts)
    print(fmt::format("{:<8} {}", name + ":", printable(*value.if_string(), Lines::many)));
  return kOk;
}

// The message again, under a delivery of its own: what killed it may be mended by now. A new id by default, because the
// old one has a result: who asks for it learns that it failed. Returns the id.
std::string retry_one(broker::Broker& broker, const broker::DeadLetterEntry& entry, bool same_id) {
  auto message = wire::decode_envelope(entry.bytes);
  if (!message) {
    throw Error("dead letter " + entry.key + " cannot be sent again: " + message.error().reason + ": " +
                message.error().detail);
  }
  Array history = history_of(*message);
  history.push_back(Object{{"id", message->id}, {"reason", entry.letter.reason}, {"died", iso(entry.died)}});
  message->custom_headers.set(kHistory, std::move(history));
  message->delivery_tag = new_uuid();
  if (!same_id && !message->protocol1) {  // whose id is in its body as well
    const std::string id = new_task_id();
    if (message->root_id == message->id) message->root_id = id;
    message->id = id;
  }
  take(broker.retry_dead_letter(entry.key, *message, management_deadline()));
  return message->id;
}

int retry(Session& session, const Options& options) {
  if (options.all == !options.keys.empty()) throw ConfigError("which dead letters? lovage dlq retry KEY..., or --all");
  auto& broker = session.broker();
  std::vector<broker::DeadLetterEntry> entries;
  for (const auto& key : options.keys) entries.push_back(find(broker, key));
  if (options.all) entries = take(broker.dead_letters(kAtOnce, management_deadline()));
  Array sent;
  for (const auto& entry : entries) {
    try {
      auto id = retry_one(broker, entry, options.same_id);
      sent.push_back(Object{{"key", entry.key}, {"id", id}, {"earlier_id", entry.letter.task_id}});
      if (!options.json) print(printable(fmt::format("{} {} is sent again as {}", entry.key, entry.letter.task, id)));
    } catch (const ConnectionError&) {
      throw;
    } catch (const Error& error) {
      print_error(error.what());
    }
  }
  const std::size_t count = sent.size();
  if (options.json) {
    print_json({{"retried", count}, {"failed", entries.size() - count}, {"sent", std::move(sent)}});
  } else {
    print(fmt::format("Sent {} again.", count_of(count, "message")));
  }
  return count == entries.size() ? kOk : kFailure;
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
  again->add_flag("--same-id", options->same_id, "Keep their ids; otherwise each is a new task");
  CLI::App* const drop = declare("purge", "Drop dead letters", purge);
  drop->add_option("KEY", options->keys, "Keys from the list, or task ids");
  drop->add_flag("--all", options->all, "All of them");
  drop->add_flag("-f,--force", options->force, "Do not ask");
  return [options, chosen](Session& session) { return (*chosen)(session, *options); };
}

}  // namespace lovage::cli
