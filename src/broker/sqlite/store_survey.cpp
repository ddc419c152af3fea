// Where the messages of a database are, page by page: each page is one short read, so that neither workers nor the
// checkpoints of the log wait for it.
#include <array>
#include <cstdint>
#include <iterator>
#include <utility>

#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {
namespace {

using client::SqliteQuery;

constexpr std::int64_t kRowsAtOnce = 500;
constexpr std::size_t kBytesAtOnce = 1u << 20;

// Reads rows until they are enough, there are none, or an error.
template <class Read>
Result<std::size_t> read_page(SqliteQuery& rows, std::vector<Sighting>& page, const Read& read) {
  std::size_t bytes = 0;
  while (bytes < kBytesAtOnce) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    page.push_back(read(rows));
    bytes += page.back().bytes.size();
  }
  return page.size();
}

// Columns 0 to 6: queue, step, position, suspect, strikes, waited, bytes.
Sighting sighting_of(const SqliteQuery& row, Place place) {
  Sighting sighting;
  sighting.place = place;
  sighting.queue = row.text(0);
  sighting.step = static_cast<int>(row.integer(1));
  sighting.marks.suspect = row.integer(3) != 0;
  sighting.marks.strikes = static_cast<int>(row.integer(4));
  sighting.marks.waited_unknown = std::chrono::milliseconds(row.integer(5));
  sighting.bytes = row.text(6);
  return sighting;
}

}  // namespace

Result<std::size_t> Store::survey_ready(SurveyCursor& at, std::vector<Sighting>& page) {
  auto rows = db_->query(
      "SELECT queue, step, position, suspect, strikes, waited, bytes FROM messages"
      " WHERE place = 0 AND (queue, step, position) > (?, ?, ?) ORDER BY queue, step, position LIMIT ?");
  const std::string from = at.queue;
  rows.bind_text(1, from).bind(2, at.first).bind(3, at.second).bind(4, kRowsAtOnce);
  return read_page(rows, page, [&](const SqliteQuery& row) {
    auto sighting = sighting_of(row, Place::queued);
    const bool same_list = sighting.queue == at.queue && row.integer(1) == at.first;
    sighting.ahead = at.passed = same_list ? at.passed + 1 : 0;
    at.queue = sighting.queue;
    at.first = row.integer(1);
    at.second = row.integer(2);
    return sighting;
  });
}

Result<std::size_t> Store::survey_reserved(SurveyCursor& at, std::vector<Sighting>& page) {
  auto rows = db_->query(
      "SELECT queue, step, position, suspect, strikes, waited, bytes, owner, token, started, continuation,"
      " (SELECT incarnation FROM workers WHERE id = owner) FROM messages"
      " WHERE place = 1 AND (owner, token) > (?, ?) ORDER BY owner, token LIMIT ?");
  rows.bind(1, at.first).bind(2, at.second).bind(3, kRowsAtOnce);
  return read_page(rows, page, [&](const SqliteQuery& row) {
    auto sighting = sighting_of(row, Place::reserved);
    at.first = row.integer(7);
    at.second = row.integer(8);
    sighting.started = row.integer(9) != 0;
    sighting.is_continuation = row.integer(10) != 0;
    sighting.registered = !row.is_null(11);
    sighting.holder = IncarnationId(std::string(row.text(11)));
    return sighting;
  });
}

Result<std::size_t> Store::survey_scheduled(SurveyCursor& at, std::vector<Sighting>& page) {
  auto rows = db_->query(
      "SELECT queue, step, position, suspect, strikes, waited, bytes, due FROM messages"
      " WHERE place = 2 AND (queue, due, position) > (?, ?, ?) ORDER BY queue, due, position LIMIT ?");
  const std::string from = at.queue;
  rows.bind_text(1, from).bind(2, at.first).bind(3, at.second).bind(4, kRowsAtOnce);
  return read_page(rows, page, [&](const SqliteQuery& row) {
    auto sighting = sighting_of(row, Place::scheduled);
    at.queue = sighting.queue;
    at.first = row.integer(7);
    at.second = row.integer(2);
    sighting.due = Timestamp(std::chrono::microseconds(at.first));
    return sighting;
  });
}

Result<std::size_t> Store::survey_dead(SurveyCursor& at, std::vector<Sighting>& page) {
  auto rows = db_->query(
      "SELECT queue, step, key, 0, 0, 0, bytes, task_id, task, reason, detail FROM dead_letters WHERE key > ?"
      " ORDER BY key LIMIT ?");
  rows.bind(1, at.first).bind(2, kRowsAtOnce);
  return read_page(rows, page, [&](const SqliteQuery& row) {
    auto sighting = sighting_of(row, Place::dead);
    at.first = row.integer(2);
    sighting.letter_key = std::to_string(at.first);
    sighting.letter = {std::string(row.text(7)), std::string(row.text(8)), std::string(row.text(9)),
                       std::string(row.text(10))};
    return sighting;
  });
}

Result<std::size_t> Store::survey_continuations(SurveyCursor& at, std::vector<Sighting>& page) {
  auto rows = db_->query(
      "SELECT queue, step, position, 0, 0, 0, bytes FROM messages WHERE place = 3 AND (queue, position) > (?, ?)"
      " ORDER BY queue, position LIMIT ?");
  const std::string from = at.queue;
  rows.bind_text(1, from).bind(2, at.first).bind(3, kRowsAtOnce);
  return read_page(rows, page, [&](const SqliteQuery& row) {
    auto sighting = sighting_of(row, Place::adoption);
    sighting.is_continuation = true;
    at.queue = sighting.queue;
    at.first = row.integer(2);
    return sighting;
  });
}

Result<bool> Store::survey(SurveyCursor& at, std::vector<Sighting>& page) {
  using Survey = Result<std::size_t> (Store::*)(SurveyCursor&, std::vector<Sighting>&);
  constexpr std::array<Survey, 5> kStages{&Store::survey_ready, &Store::survey_reserved, &Store::survey_scheduled,
                                          &Store::survey_dead, &Store::survey_continuations};
  while (at.stage < std::size(kStages)) {
    const Survey read = kStages[at.stage];  // in a step of its own: g++ 12 checks the index wrongly in the call's
    auto count = (this->*read)(at, page);
    if (!count) return tl::unexpected(count.error());
    if (*count > 0) return true;
    const std::size_t next = at.stage + 1;
    at = SurveyCursor();
    at.stage = next;
  }
  return false;
}

}  // namespace lovage::broker::sqlite
