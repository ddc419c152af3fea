// RedisBroker::survey: where every message is. Windows of lists and SCANs on a connection of its own; nothing is
// locked.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <set>
#include <utility>

#include "broker/redis/key_scan.hpp"
#include "broker/redis/redis_broker.hpp"
#include "broker/redis/script.hpp"
#include "broker/redis/unacked.hpp"

namespace lovage::broker::redis {
namespace {

using client::RedisReply;

// How many to ask for, so that a reply has about 1 MiB, whatever the messages' size.
class Pace {
 public:
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::string text() const { return std::to_string(count_); }
  void saw(std::size_t messages, std::size_t bytes) noexcept {
    if (messages == 0) return;
    constexpr std::size_t kBytes = 1u << 20;
    count_ = std::clamp<std::size_t>(kBytes / std::max<std::size_t>(bytes / messages, 1), 1, 1'000);
  }

 private:
  std::size_t count_ = 16;
};

std::size_t bytes_in(const std::vector<RedisReply>& items) {
  std::size_t bytes = 0;
  for (const auto& item : items) bytes += item.text.size();
  return bytes;
}

// "suspect:strikes:waited_ms", and what follows.
Marks marks_of(std::string_view text) {
  std::array<std::uint64_t, 3> numbers{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (auto& number : numbers) {
    const auto parsed = std::from_chars(at, end, number);
    if (parsed.ec != std::errc()) break;
    at = parsed.ptr == end ? end : parsed.ptr + 1;
  }
  return {numbers[0] != 0, static_cast<int>(numbers[1]), std::chrono::milliseconds(numbers[2])};
}

// The keys of Lovage's own that hold messages, by what their names say.
struct Holders {
  std::set<std::pair<std::string, std::string>> inboxes;  // incarnation, list
  std::set<std::string> reserved;                         // incarnation
  std::set<std::string> schedules;                        // list
};

class Survey {
 public:
  Survey(client::RedisSync& connection, const Keys& keys, const SurveyVisit& visit, std::chrono::milliseconds patience)
      : connection_(connection), keys_(keys), visit_(visit), patience_(patience) {}

  Result<void> list(const std::string& name);
  Result<void> python(const UnackedOptions& options);
  Result<Holders> holders();
  Result<void> inbox(const std::string& incarnation, const std::string& list);
  Result<void> reserved(const std::string& incarnation);
  Result<void> schedule(const std::string& list);
  Result<void> dead();
  Result<void> continuations();

 private:
  [[nodiscard]] Deadline soon() const { return Deadline::after(patience_); }
  [[nodiscard]] Sighting sighting(Place place, const std::string& list, std::string bytes) const {
    Sighting sighting;
    sighting.place = place;
    const ListName name = parse_list_name(list, keys_.layout());
    sighting.queue = name.queue;
    sighting.step = name.step;
    sighting.bytes = std::move(bytes);
    return sighting;
  }
  // HSCAN or ZSCAN: pairs of texts, page by page.
  Result<void> scan_pairs(const char* command, const std::string& key,
                          const std::function<Result<void>(std::vector<RedisReply>&)>& page);
  // Of a hash, in order; nil where there is none.
  Result<std::vector<RedisReply>> fields(const std::string& hash, const std::vector<std::string>& names);

  client::RedisSync& connection_;
  const Keys& keys_;
  const SurveyVisit& visit_;
  const std::chrono::milliseconds patience_;
};

// From the tail, where new messages enter, to the head: what is taken meanwhile moves nothing, what enters moves the
// rest on, and the last message of the window before shows how far.
Result<void> Survey::list(const std::string& name) {
  const std::string key = keys_.list(name);
  Pace pace;
  std::string last;
  for (std::size_t from = 0;;) {
    const std::size_t count = pace.count();
    std::string bytes;
    client::append_command(bytes, {"LLEN", key});
    client::append_command(bytes, {"LRANGE", key, std::to_string(from), std::to_string(from + count - 1)});
    auto replies = connection_.pipeline(bytes, 2, soon());
    if (!replies) return tl::unexpected(replies.error());
    if ((*replies)[0].is_error()) return tl::unexpected(client::failure_of((*replies)[0]));
    const auto length = static_cast<std::uint64_t>((*replies)[0].integer);
    auto& items = (*replies)[1].items;
    pace.saw(items.size(), bytes_in(items));
    const auto seen =
        std::find_if(items.rbegin(), items.rend(), [&](const auto& item) { return from > 0 && item.text == last; });
    if (!items.empty()) last = items.back().text;
    for (auto i = static_cast<std::size_t>(items.rend() - seen); i < items.size(); ++i) {
      auto found = sighting(Place::queued, name, std::move(items[i].text));
      found.ahead = length > from + i ? length - from - i - 1 : 0;
      visit_(std::move(found));
    }
    from += items.size();
    if (items.size() < count) return {};
  }
}

Result<void> Survey::python(const UnackedOptions& options) {
  return scan_pairs("HSCAN", keys_.list(options.key), [&](std::vector<RedisReply>& items) -> Result<void> {
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      auto restored = restore_record(items[i + 1].text);
      Sighting found;
      found.place = Place::python;
      found.queue = restored ? restored->routing_key : "";
      found.bytes = restored ? std::move(restored->message) : std::move(items[i + 1].text);
      visit_(std::move(found));
    }
    return {};
  });
}

Result<Holders> Survey::holders() {
  Holders holders;
  const std::string inbox = keys_.inbox(IncarnationId(), "");
  const std::string inboxes = inbox.substr(0, inbox.size() - 1);  // without the colon behind the id
  const std::string reserved = keys_.reserved(IncarnationId());
  const std::string schedule = keys_.schedule("");
  for (const auto& prefix : {inboxes, reserved, schedule}) {
    auto scanned = scan_keys(
        connection_, glob_of(prefix) + "*", Deadline::never(),
        [&](const std::string& key) -> Result<void> {
          const std::string rest = key.substr(prefix.size());
          if (prefix == reserved) holders.reserved.insert(rest);
          if (prefix == schedule) holders.schedules.insert(rest);
          const auto colon = rest.find(':');
          if (prefix == inboxes && colon != std::string::npos) {
            holders.inboxes.emplace(rest.substr(0, colon), rest.substr(colon + 1));
          }
          return {};
        },
        patience_);
    if (!scanned) return tl::unexpected(scanned.error());
  }
  return holders;
}

// Who holds it is asked first: an incarnation registers before it takes anything, and what it held is gone in the
// step that unregisters it.
Result<void> Survey::inbox(const std::string& incarnation, const std::string& list) {
  const IncarnationId id(incarnation);
  std::string bytes;
  client::append_command(bytes, {"HEXISTS", keys_.incarnations(), incarnation});
  client::append_command(bytes, {"ZSCORE", keys_.orphans(), incarnation + ":" + list});
  client::append_command(bytes, {"LRANGE", keys_.inbox(id, list), "0", "-1"});
  auto replies = connection_.pipeline(bytes, 3, soon());
  if (!replies) return tl::unexpected(replies.error());
  for (const auto& reply : *replies) {
    if (reply.is_error()) return tl::unexpected(client::failure_of(reply));
  }
  for (auto& item : (*replies)[2].items) {
    auto found = sighting(Place::inbox, list, std::move(item.text));
    found.holder = id;
    found.registered = (*replies)[0].integer == 1;
    found.watched = !(*replies)[1].is_nil();
    visit_(std::move(found));
  }
  return {};
}

Result<void> Survey::reserved(const std::string& incarnation) {
  const IncarnationId id(incarnation);
  const auto registered = connection_.command({"HEXISTS", keys_.incarnations(), incarnation}, soon());
  if (!registered) return tl::unexpected(registered.error());
  return scan_pairs("HSCAN", keys_.reserved(id), [&](std::vector<RedisReply>& items) -> Result<void> {
    std::vector<std::string> names;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) names.push_back(items[i].text);
    const auto marks = fields(keys_.held_marks(id), names);
    if (!marks) return tl::unexpected(marks.error());
    for (std::size_t i = 0; i < names.size(); ++i) {
      Reservation reservation;
      parse_reservation_field(names[i], reservation);
      auto found = sighting(Place::reserved, reservation.list_name, std::move(items[2 * i + 1].text));
      found.is_continuation = found.bytes.starts_with(kContinuationMark);
      if (found.is_continuation) found.bytes.erase(0, 1);
      found.holder = id;
      found.registered = registered->integer == 1;
      found.marks = marks_of((*marks)[i].text);
      found.started = (*marks)[i].text.ends_with(":1");
      visit_(std::move(found));
    }
    return {};
  });
}

Result<void> Survey::schedule(const std::string& list) {
  return scan_pairs("ZSCAN", keys_.schedule(list), [&](std::vector<RedisReply>& items) -> Result<void> {
    std::vector<std::string> messages;
    std::vector<std::string> names;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const auto line = items[i].text.find('\n');
      messages.push_back(line == std::string::npos ? std::move(items[i].text) : items[i].text.substr(line + 1));
      names.push_back(sha1_hex(messages.back()));
    }
    const auto marks = fields(keys_.marks(), names);
    if (!marks) return tl::unexpected(marks.error());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      auto found = sighting(Place::scheduled, list, std::move(messages[i]));
      const double due = std::strtod(items[2 * i + 1].text.c_str(), nullptr);
      constexpr double kYear9999 = 253'402'300'799'000;  // in ms
      found.due = Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(due, 0.0, kYear9999))));
      const std::string& mark = (*marks)[i].text;  // "copies:suspect:strikes:waited_ms", or nothing
      found.marks = marks_of(std::string_view(mark).substr(std::min(mark.find(':') + 1, mark.size())));
      visit_(std::move(found));
    }
    return {};
  });
}

Result<void> Survey::dead() {
  Pace pace;
  for (std::string from = "-";;) {
    const std::size_t count = pace.count();
    const auto page = connection_.command({"XRANGE", keys_.dead(), from, "+", "COUNT", pace.text()}, soon());
    if (!page) return tl::unexpected(page.error());
    std::size_t bytes = 0;
    for (const auto& item : page->items) {
      auto entry = dead_letter_of(item);
      from = "(" + entry.key;
      bytes += entry.bytes.size();
      Sighting found;
      found.place = Place::dead;
      found.queue = std::move(entry.queue);
      found.step = entry.step;
      found.bytes = std::move(entry.bytes);
      found.letter_key = std::move(entry.key);
      found.letter = std::move(entry.letter);
      visit_(std::move(found));
    }
    if (page->items.size() < count) return {};
    pace.saw(page->items.size(), bytes);
  }
}

// One at a time: they are few, and each may be large.
Result<void> Survey::continuations() {
  for (std::size_t at = 0;; ++at) {
    auto entry = connection_.command({"LINDEX", keys_.continuations(), std::to_string(at)}, soon());
    if (!entry) return tl::unexpected(entry.error());
    if (entry->is_nil()) return {};
    const auto line = entry->text.find('\n');
    if (line == std::string::npos) continue;
    auto found = sighting(Place::adoption, entry->text.substr(0, line), entry->text.substr(line + 1));
    found.is_continuation = true;
    visit_(std::move(found));
  }
}

Result<void> Survey::scan_pairs(const char* command, const std::string& key,
                                const std::function<Result<void>(std::vector<RedisReply>&)>& page) {
  Pace pace;
  std::string cursor = "0";
  do {
    auto reply = connection_.command({command, key, cursor, "COUNT", pace.text()}, soon());
    if (!reply) return tl::unexpected(reply.error());
    if (reply->items.size() != 2) return fail(Errc::bad_data, std::string("a ") + command + " reply of another shape");
    cursor = reply->items[0].text;
    auto& items = reply->items[1].items;
    pace.saw(items.size() / 2, bytes_in(items));
    if (auto visited = page(items); !visited) return visited;
  } while (cursor != "0");
  return {};
}

Result<std::vector<RedisReply>> Survey::fields(const std::string& hash, const std::vector<std::string>& names) {
  if (names.empty()) return std::vector<RedisReply>();
  std::vector<std::string_view> words{"HMGET", hash};
  words.insert(words.end(), names.begin(), names.end());
  auto reply = connection_.command(words, soon());
  if (!reply) return tl::unexpected(reply.error());
  if (reply->items.size() != names.size()) return fail(Errc::bad_data, "an HMGET reply of another length");
  return std::move(reply->items);
}

}  // namespace

Result<void> RedisBroker::survey(const SurveyVisit& visit, std::chrono::milliseconds patience) {
  auto connection = client::RedisSync::connect(options_.redis, Deadline::after(patience));
  if (!connection) return tl::unexpected(connection.error());
  const auto queues = known_queues(**connection, Deadline::after(patience));
  if (!queues) return tl::unexpected(queues.error());
  Survey survey(**connection, keys_, visit, patience);
  for (const auto& queue : *queues) {
    for (const int step : keys_.layout().steps) {
      if (auto seen = survey.list(keys_.list_name(queue, step)); !seen) return seen;
    }
  }
  if (auto seen = survey.python(options_.unacked.value_or(UnackedOptions{})); !seen) return seen;
  const auto holders = survey.holders();
  if (!holders) return tl::unexpected(holders.error());
  for (const auto& [incarnation, list] : holders->inboxes) {
    if (auto seen = survey.inbox(incarnation, list); !seen) return seen;
  }
  for (const auto& incarnation : holders->reserved) {
    if (auto seen = survey.reserved(incarnation); !seen) return seen;
  }
  for (const auto& list : holders->schedules) {
    if (auto seen = survey.schedule(list); !seen) return seen;
  }
  if (auto seen = survey.dead(); !seen) return seen;
  return survey.continuations();
}

}  // namespace lovage::broker::redis
