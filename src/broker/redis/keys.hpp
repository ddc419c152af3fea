// The names of Lovage's own keys in Redis: "<prefix>lovage:1:...". docs/redis_keys.md says what is in them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/strong.hpp"
#include "broker/chord.hpp"
#include "wire/queues.hpp"

namespace lovage::broker::redis {

class Keys {
 public:
  explicit Keys(std::string global_keyprefix, wire::QueueLayout layout = {})
      : prefix_(std::move(global_keyprefix)), layout_(std::move(layout)) {}

  // Kombu's: a queue's list, the rows of an exchange.
  [[nodiscard]] std::string list(std::string_view list_name) const { return prefix_ + std::string(list_name); }
  [[nodiscard]] std::string binding(std::string_view exchange) const;

  // The names, without prefix, of the lists that hold a queue's messages by priority.
  [[nodiscard]] const wire::QueueLayout& layout() const noexcept { return layout_; }
  [[nodiscard]] std::string list_name(std::string_view queue, int step) const {
    return wire::list_name(queue, step, layout_.separator);
  }
  // The row that declaring this queue adds to its exchange's.
  [[nodiscard]] std::string binding_row(const wire::QueueDeclaration& queue) const {
    return wire::encode_binding(wire::binding_of(queue), layout_.separator);
  }

  // One a store.
  [[nodiscard]] std::string incarnations() const { return own("incarnations"); }
  [[nodiscard]] std::string lists() const { return own("lists"); }
  [[nodiscard]] std::string marks() const { return own("marks"); }
  [[nodiscard]] std::string mark_ages() const { return own("mark-ages"); }
  [[nodiscard]] std::string dead() const { return own("dead"); }
  [[nodiscard]] std::string alarms() const { return own("alarms"); }
  [[nodiscard]] std::string sweeper() const { return own("sweeper"); }
  [[nodiscard]] std::string orphans() const { return own("orphans"); }
  [[nodiscard]] std::string continuations() const { return own("continuations"); }
  [[nodiscard]] std::string schedule(std::string_view list_name) const { return own("schedule:", list_name); }

  // One a workflow that is stored.
  [[nodiscard]] std::string graph(std::string_view graph_id) const { return own("graph:", graph_id); }

  // One an incarnation.
  [[nodiscard]] std::string about(const IncarnationId& id) const { return own("about:", id.get()); }
  [[nodiscard]] std::string reserved(const IncarnationId& id) const { return own("reserved:", id.get()); }
  [[nodiscard]] std::string held_marks(const IncarnationId& id) const { return own("held-marks:", id.get()); }
  [[nodiscard]] std::string settled(const IncarnationId& id) const { return own("settled:", id.get()); }
  [[nodiscard]] std::string inbox(const IncarnationId& id, std::string_view list_name) const {
    return own("inbox:", id.get() + ":" + std::string(list_name));
  }

  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }

 private:
  [[nodiscard]] std::string own(std::string_view name, std::string_view rest = {}) const;
  std::string prefix_;
  wire::QueueLayout layout_;
};

// In reserved:<id>, what stands before the text of a continuation: no message begins so.
inline constexpr char kContinuationMark = '\x01';

// Fields "list:<name>" of about:<id> name the lists that an incarnation serves.
inline constexpr std::string_view kListField = "list:";

// The field of a reservation in reserved:<id>: "<counter>:<list name>".
std::string reservation_field(Token token, std::string_view list_name);

struct Reservation {
  Token token{};
  std::string list_name;
};
// Nothing when it is no such field.
bool parse_reservation_field(std::string_view field, Reservation& out);

// "celery\x06\x163" -> {"celery", 3}: the list's queue and priority step.
struct ListName {
  std::string queue;
  int step = 0;
};
ListName parse_list_name(std::string_view name, const wire::QueueLayout& layout = {});

// Where results are kept, for settlements that store them in the same step.
std::string result_key(std::string_view result_prefix, std::string_view task_id);
// Celery's keys of a group, and of the chord whose header it is: these are the group's with ".j", ".s" and ".t".
struct ChordKeys {
  std::string group;
  std::string parts;
  std::string size;
  std::string more;  // header tasks that were added later
};
ChordKeys chord_keys(std::string_view result_prefix, std::string_view group_id);
// A part's score among its chord's; nothing where they have no order.
std::string part_score(const ChordPart& part, bool ordered);
// The result backend's global_keyprefix as Celery uses it: "_" is added unless it ends in one of ": _ - .".
std::string result_prefix(std::string_view global_keyprefix);

}  // namespace lovage::broker::redis
