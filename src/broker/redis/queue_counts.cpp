// RedisBroker::queues: where the messages of queues are, those of a queue all counted at one moment.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "broker/redis/key_scan.hpp"
#include "broker/redis/redis_broker.hpp"
#include "broker/redis/transaction.hpp"

namespace lovage::broker::redis {
namespace {

using client::RedisReply;

// Queues that are counted in one step of the server: it answers nobody else meanwhile.
constexpr std::size_t kQueuesAtOnce = 100;

// Kombu's own exchanges for control and events: no task waits behind them.
bool is_of_tasks(std::string_view exchange) {
  return exchange != "celeryev" && !exchange.ends_with("celery.pidbox");
}

// Who may hold messages. One look asks the holders that the look before it found; when it finds the same ones, its
// numbers are whole.
struct Holders {
  std::set<std::string> incarnations;
  std::set<std::pair<std::string, std::string>> inboxes;  // incarnation, list; of incarnations that are gone as well
  friend bool operator==(const Holders&, const Holders&) = default;
};

// One transaction: its commands, and its replies in their order.
class Look {
 public:
  void add(std::initializer_list<std::string_view> words) {
    client::append_command(bytes_, words);
    ++commands_;
  }
  Result<void> run(client::RedisSync& connection, Deadline deadline) {
    auto replies = in_one_step(connection, bytes_, commands_, deadline);
    if (!replies) return tl::unexpected(replies.error());
    done_ = std::move(*replies);
    return {};
  }
  const RedisReply& next() { return done_.at(next_++); }
  std::uint64_t next_number() { return static_cast<std::uint64_t>(next().integer); }

 private:
  std::string bytes_;
  std::size_t commands_ = 0;
  std::vector<RedisReply> done_;
  std::size_t next_ = 0;
};

// Counts the messages of some lists.
class Census {
 public:
  Census(const Keys& keys, std::set<std::string> lists) : keys_(keys), lists_(std::move(lists)) {}

  // Looks once; true when the counts are whole, else the next look knows more.
  Result<bool> look(client::RedisSync& connection, Deadline deadline);
  [[nodiscard]] QueueInfo of(const std::string& queue) const {
    const auto found = counts_.find(queue);
    QueueInfo info = found == counts_.end() ? QueueInfo{} : found->second;
    info.name = queue;
    return info;
  }

 private:
  [[nodiscard]] Look ask() const;
  void count(Look& look, Holders& found);
  void add_inbox(Holders& holders, const std::string& incarnation, const std::string& list) const {
    if (lists_.contains(list)) holders.inboxes.emplace(incarnation, list);
  }
  QueueInfo& of_list(const std::string& list) { return counts_[parse_list_name(list, keys_.layout()).queue]; }

  const Keys& keys_;
  const std::set<std::string> lists_;
  Holders holders_;
  std::map<std::string, QueueInfo> counts_;
};

Look Census::ask() const {
  Look look;
  look.add({"HKEYS", keys_.incarnations()});
  look.add({"ZRANGE", keys_.orphans(), "0", "-1"});
  for (const auto& id : holders_.incarnations) {
    look.add({"HKEYS", keys_.about(IncarnationId(id))});
    look.add({"HKEYS", keys_.reserved(IncarnationId(id))});
  }
  for (const auto& [id, list] : holders_.inboxes) look.add({"LLEN", keys_.inbox(IncarnationId(id), list)});
  for (const auto& list : lists_) {
    look.add({"LLEN", keys_.list(list)});
    look.add({"ZCARD", keys_.schedule(list)});
  }
  return look;
}

void Census::count(Look& look, Holders& found) {
  counts_.clear();
  for (const auto& id : look.next().items) found.incarnations.insert(id.text);
  for (const auto& member : look.next().items) {
    const auto colon = member.text.find(':');
    if (colon != std::string::npos) add_inbox(found, member.text.substr(0, colon), member.text.substr(colon + 1));
  }
  for (const auto& id : holders_.incarnations) {
    for (const auto& field : look.next().items) {
      if (field.text.starts_with(kListField)) add_inbox(found, id, field.text.substr(kListField.size()));
    }
    for (const auto& field : look.next().items) {
      Reservation reservation;
      if (parse_reservation_field(field.text, reservation)) ++of_list(reservation.list_name).reserved;
    }
  }
  // What a wait has brought counts as reserved as well.
  for (const auto& [id, list] : holders_.inboxes) of_list(list).reserved += look.next_number();
  for (const auto& list : lists_) {
    QueueInfo& info = of_list(list);
    info.ready += look.next_number();
    info.scheduled += look.next_number();
  }
}

Result<bool> Census::look(client::RedisSync& connection, Deadline deadline) {
  Look look = ask();
  if (auto looked = look.run(connection, deadline); !looked) return tl::unexpected(looked.error());
  Holders found;
  count(look, found);
  if (found == holders_) return true;
  holders_ = std::move(found);
  return false;
}

}  // namespace

Result<std::set<std::string>> RedisBroker::known_queues(client::RedisSync& connection, Deadline deadline) {
  std::set<std::string> names;
  const std::string prefix = keys_.binding("");
  auto scanned = scan_keys(connection, glob_of(prefix) + "*", deadline, [&](const std::string& key) -> Result<void> {
    if (!is_of_tasks(std::string_view(key).substr(prefix.size()))) return {};
    const auto rows = connection.command({"SMEMBERS", key}, deadline);
    if (!rows) return tl::unexpected(rows.error());
    for (const auto& row : rows->items) {
      if (auto binding = wire::decode_binding(row.text, keys_.layout().separator))
        names.insert(std::move(binding->queue));
    }
    return {};
  });
  if (!scanned) return tl::unexpected(scanned.error());
  const auto lists = connection.command({"SMEMBERS", keys_.lists()}, deadline);
  if (!lists) return tl::unexpected(lists.error());
  for (const auto& list : lists->items) names.insert(parse_list_name(list.text, keys_.layout()).queue);
  return names;
}

Result<std::vector<QueueInfo>> RedisBroker::queues(std::span<const std::string> names, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  std::vector<std::string> wanted(names.begin(), names.end());
  if (wanted.empty()) {
    auto known = known_queues(**connection, deadline);
    if (!known) return tl::unexpected(known.error());
    wanted.assign(known->begin(), known->end());
  }
  std::vector<QueueInfo> infos;
  for (std::size_t from = 0; from < wanted.size(); from += kQueuesAtOnce) {
    const auto some = std::span<const std::string>(wanted).subspan(from, std::min(kQueuesAtOnce, wanted.size() - from));
    auto counted = count_queues(**connection, some, deadline);
    if (!counted) return tl::unexpected(counted.error());
    std::move(counted->begin(), counted->end(), std::back_inserter(infos));
  }
  return infos;
}

Result<std::vector<QueueInfo>> RedisBroker::count_queues(client::RedisSync& connection,
                                                         std::span<const std::string> names, Deadline deadline) {
  std::set<std::string> lists;
  for (const auto& name : names) {
    for (const int step : keys_.layout().steps) lists.insert(keys_.list_name(name, step));
  }
  Census census(keys_, std::move(lists));
  for (;;) {
    const auto whole = census.look(connection, deadline);
    if (!whole) return tl::unexpected(whole.error());
    if (*whole) break;
    if (deadline.passed()) return fail(Errc::timed_out, "workers come and go faster than they can be counted");
  }
  std::vector<QueueInfo> infos;
  for (const auto& name : names) infos.push_back(census.of(name));
  return infos;
}

}  // namespace lovage::broker::redis
