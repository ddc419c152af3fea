#include "broker/sqlite/schema.hpp"

#include <fmt/format.h>

namespace lovage::broker::sqlite {
namespace {

// A message is one row for all of its life, so it is in exactly one place: `place` says which. The row
// keeps its position while it is reserved; given back, it stands where it stood. `owner` and `token`
// are the fence of a settlement. A continuation takes over the row of the message that it follows.
constexpr const char* kSchema = R"sql(
CREATE TABLE store(layout INTEGER NOT NULL);

CREATE TABLE queues(name TEXT PRIMARY KEY) WITHOUT ROWID;  -- the declared ones
CREATE TABLE exchanges(name TEXT PRIMARY KEY, type INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE bindings(
  exchange TEXT NOT NULL, routing_key TEXT NOT NULL, pattern TEXT NOT NULL, queue TEXT NOT NULL,
  PRIMARY KEY(exchange, routing_key, pattern, queue)) WITHOUT ROWID;

CREATE TABLE messages(
  position INTEGER PRIMARY KEY,
  queue TEXT NOT NULL,
  step INTEGER NOT NULL,
  place INTEGER NOT NULL,             -- 0 ready, 1 reserved, 2 scheduled, 3 a continuation that waits for a worker
  owner INTEGER,                      -- reserved: workers.id
  token INTEGER,                      -- reserved: the worker's own counter
  due INTEGER,                        -- scheduled: microseconds since 1970
  unknown TEXT,                       -- scheduled: the task, which a worker did not know; another may take it now
  started INTEGER NOT NULL DEFAULT 0, -- reserved: a recorded start
  suspect INTEGER NOT NULL DEFAULT 0,
  strikes INTEGER NOT NULL DEFAULT 0,
  waited INTEGER NOT NULL DEFAULT 0,  -- milliseconds for a worker that knows the task
  continuation INTEGER NOT NULL DEFAULT 0, -- places 1 and 3: `bytes` are one
  bytes BLOB NOT NULL);
CREATE INDEX messages_ready ON messages(queue, step, position) WHERE place = 0;
CREATE UNIQUE INDEX messages_reserved ON messages(owner, token) WHERE place = 1;
CREATE INDEX messages_scheduled ON messages(queue, due) WHERE place = 2;
CREATE INDEX messages_unknown ON messages(queue, unknown, step, position) WHERE place = 2 AND unknown IS NOT NULL;
CREATE INDEX messages_waiting ON messages(queue, position) WHERE place = 3;

-- Ids are never used again: the owner of a reservation must not be mistaken for a later worker.
CREATE TABLE workers(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  incarnation TEXT NOT NULL UNIQUE, node_name TEXT NOT NULL, counter INTEGER NOT NULL);
CREATE TABLE sweeper(id INTEGER PRIMARY KEY CHECK(id = 1), holder TEXT NOT NULL, until INTEGER NOT NULL);

CREATE TABLE dead_letters(
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  task_id TEXT NOT NULL, task TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
  queue TEXT NOT NULL, step INTEGER NOT NULL, died INTEGER NOT NULL, bytes BLOB NOT NULL);
CREATE INDEX dead_letters_task ON dead_letters(task_id);

-- Rows ascend in time; only the small index is in the random order of task ids.
CREATE TABLE results(
  id INTEGER PRIMARY KEY,
  task_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, meta BLOB NOT NULL,
  expires INTEGER);                   -- microseconds since 1970
CREATE INDEX results_expiring ON results(expires) WHERE expires IS NOT NULL;

-- Only what has no size yet expires. The continuation is left in the step that settles the last part, and that once.
CREATE TABLE chords(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id TEXT NOT NULL UNIQUE,
  size INTEGER,                          -- header tasks; NULL: not known yet
  extensions INTEGER NOT NULL DEFAULT 0, -- header tasks that were added later
  parts INTEGER NOT NULL DEFAULT 0,      -- how many there are
  continued INTEGER NOT NULL DEFAULT 0,  -- the continuation has been left
  expires INTEGER);
CREATE INDEX chords_expiring ON chords(expires) WHERE expires IS NOT NULL;
CREATE TABLE chord_parts(
  id INTEGER PRIMARY KEY,
  chord INTEGER NOT NULL, task_id TEXT NOT NULL,
  number INTEGER NOT NULL,               -- its place in the header; the largest number: it has none
  text BLOB NOT NULL);
CREATE UNIQUE INDEX chord_parts_task ON chord_parts(chord, task_id);
CREATE INDEX chord_parts_in_order ON chord_parts(chord, number, id);

-- Workflows whose messages refer to them. They go with their last holder.
CREATE TABLE graphs(id TEXT PRIMARY KEY, holders INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX graphs_expiring ON graphs(expires);
CREATE TABLE graph_pages(
  id INTEGER PRIMARY KEY,
  graph TEXT NOT NULL, page INTEGER NOT NULL, text BLOB NOT NULL, UNIQUE(graph, page));

CREATE TABLE saved_groups(id TEXT PRIMARY KEY, text BLOB NOT NULL, expires INTEGER);
CREATE INDEX saved_groups_expiring ON saved_groups(expires) WHERE expires IS NOT NULL;

INSERT INTO store VALUES(3);
)sql";

Result<void> check_layout(client::SqliteDb& db) {
  auto row = db.query("SELECT layout FROM store");
  auto found = row.step();
  if (!found) return tl::unexpected(found.error());
  const std::int64_t layout = *found ? row.integer(0) : 0;
  if (layout == kLayout) return {};
  return fail(Errc::misconfigured,
              fmt::format("the SQLite database has layout {}, but this version of Lovage knows layout {} only", layout,
                          kLayout));
}

enum class Content { none, ours, foreign };

Result<Content> content_of(client::SqliteDb& db) {
  auto row = db.query(
      "SELECT count(*), sum(name IN ('store', 'messages', 'results')) FROM sqlite_master WHERE type = 'table'");
  auto found = row.step();
  if (!found) return tl::unexpected(found.error());
  if (row.integer(0) == 0) return Content::none;
  return row.integer(1) == 3 ? Content::ours : Content::foreign;
}

}  // namespace

Result<void> prepare_schema(client::SqliteDb& db, Deadline deadline) {
  auto content = content_of(db);
  if (!content) return tl::unexpected(content.error());
  if (*content == Content::ours) return check_layout(db);
  // Again inside the gate: another process may be creating it right now.
  auto transaction = db.begin(deadline);
  if (!transaction) return tl::unexpected(transaction.error());
  content = content_of(db);
  if (!content) return tl::unexpected(content.error());
  if (*content == Content::ours) return check_layout(db);
  if (*content == Content::foreign) {
    return fail(Errc::misconfigured, "the SQLite database belongs to another program: its tables are not Lovage's");
  }
  if (auto created = db.execute(kSchema); !created) return created;
  return transaction->commit();
}

}  // namespace lovage::broker::sqlite
