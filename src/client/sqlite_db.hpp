// A SQLite database: prepared statements, and transactions inside a fair gate between processes whose
// commits wake other processes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace lovage::client {

class SqliteDb;

// One run of a prepared statement: bind, step, read columns. Resets itself when it goes. The first
// error (a failed bind included) is what step() and run() answer. Two runs of one statement must not
// overlap.
class SqliteQuery {
 public:
  SqliteQuery(SqliteDb& db, sqlite3_stmt* statement, int code) noexcept;
  SqliteQuery(const SqliteQuery&) = delete;
  SqliteQuery& operator=(const SqliteQuery&) = delete;
  SqliteQuery(SqliteQuery&& other) noexcept;
  SqliteQuery& operator=(SqliteQuery&&) = delete;
  ~SqliteQuery();

  // Texts and blobs are not copied: they must live until the last step.
  SqliteQuery& bind(int index, std::int64_t value);
  SqliteQuery& bind_text(int index, std::string_view value);
  SqliteQuery& bind_blob(int index, std::string_view value);
  SqliteQuery& bind_null(int index);

  // True: a row is there; false: done.
  Result<bool> step();
  // For statements without rows; the number of changed rows.
  Result<std::int64_t> run();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view text(int column) const;  // valid until the next step; blobs too
  [[nodiscard]] bool is_null(int column) const;

 private:
  SqliteDb* db_;
  sqlite3_stmt* statement_;
  int code_;  // of the first call that failed
};

struct SqliteOptions {
  std::string path;        // ":memory:" is a database of this connection alone
  bool power_safe = true;  // synchronous=FULL; else NORMAL (sqlite_durability = normal)
};

// What a commit must outlive: `power_loss` as far as the options say, or only the death of processes.
enum class CommitSurvives { power_loss, process_death };
// Whether somebody may be waiting for what a commit brings.
enum class CommitWakes { everybody, nobody };

// One thread at a time. Not usable after fork(): open a new one (the destructor then lets go of the
// parent's without touching it).
class SqliteDb {
 public:
  // Local file systems only: others are refused with the reason.
  static Result<std::unique_ptr<SqliteDb>> open(const SqliteOptions& options, Deadline deadline);
  ~SqliteDb();
  SqliteDb(const SqliteDb&) = delete;
  SqliteDb& operator=(const SqliteDb&) = delete;

  // The statement is prepared once and kept; `sql` must be a literal (its address is the key).
  SqliteQuery query(const char* sql);
  Result<void> execute(const char* sql);

  // BEGIN IMMEDIATE inside the gate; COMMIT and the wake-up, or ROLLBACK when it is not committed.
  class Transaction {
   public:
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    Transaction(Transaction&& other) noexcept;
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();
    Result<void> commit(CommitWakes wakes = CommitWakes::everybody);

   private:
    friend class SqliteDb;
    explicit Transaction(SqliteDb* db) noexcept : db_(db) {}
    SqliteDb* db_;
  };
  Result<Transaction> begin(Deadline deadline, CommitSurvives survives = CommitSurvives::power_loss);
  // The same; `survives` is asked when the gate has been entered, which may have taken a while.
  Result<Transaction> begin(Deadline deadline, const std::function<CommitSurvives()>& survives);

  // The failure that an error code of this connection means; disk full and read-only are no_space.
  [[nodiscard]] Failure failure(int code);
  // False after an error that another connection may not have: do not use this one again.
  [[nodiscard]] bool healthy() const noexcept;
  // Which file this is: equal for two connections to one database.
  [[nodiscard]] std::string identity() const;

 private:
  struct Impl;
  explicit SqliteDb(std::unique_ptr<Impl> impl) noexcept;
  Result<void> prepare(Deadline deadline);
  friend class SqliteQuery;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lovage::client
