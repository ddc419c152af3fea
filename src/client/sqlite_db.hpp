// A SQLite database: prepared statements, transactions inside a fair gate between processes, and
// wake-ups when another process has committed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace lovage::client {

class SqliteDb;

// One run of a prepared statement: bind, step, read columns. Resets itself when it goes.
class SqliteQuery {
 public:
  SqliteQuery(SqliteDb& db, sqlite3_stmt* statement) noexcept : db_(&db), statement_(statement) {}
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
};

// Two flocks on side files that make a fair gate between writers of all processes: take "next", take
// "main", drop "next", transact, drop "main".
class WriteGate {
 public:
  static Result<std::unique_ptr<WriteGate>> open(const std::string& database_path);
  ~WriteGate();
  WriteGate(const WriteGate&) = delete;
  WriteGate& operator=(const WriteGate&) = delete;
  Result<void> enter(Deadline deadline);
  void leave() noexcept;

 private:
  WriteGate(int next_fd, int main_fd) noexcept : next_fd_(next_fd), main_fd_(main_fd) {}
  int next_fd_;
  int main_fd_;
};

struct SqliteOptions {
  std::string path;
  bool power_safe = true;  // synchronous=FULL; else NORMAL (sqlite_durability = normal)
  bool create = true;
};

// One thread at a time. Not usable after fork(): open a new one.
class SqliteDb {
 public:
  static Result<std::unique_ptr<SqliteDb>> open(const SqliteOptions& options);
  ~SqliteDb();
  SqliteDb(const SqliteDb&) = delete;
  SqliteDb& operator=(const SqliteDb&) = delete;

  // The statement is prepared once and kept; `sql` must be a literal (its address is the key).
  SqliteQuery query(const char* sql);
  Result<void> execute(const char* sql);

  // BEGIN IMMEDIATE inside the gate; COMMIT and the wake-up, or ROLLBACK when it is not committed.
  class Transaction {
   public:
    Transaction(Transaction&& other) noexcept;
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();
    Result<void> commit();

   private:
    friend class SqliteDb;
    explicit Transaction(SqliteDb* db) noexcept : db_(db) {}
    SqliteDb* db_;
  };
  Result<Transaction> begin(Deadline deadline);

  // The failure that the last error of this connection means; disk full and read-only are no_space.
  [[nodiscard]] Failure failure(int code) const;

 private:
  struct Impl;
  explicit SqliteDb(std::unique_ptr<Impl> impl) noexcept;
  friend class SqliteQuery;
  std::unique_ptr<Impl> impl_;
};

// Tells when some process has committed to the database: inotify on a side file that committers touch
// after COMMIT.
class CommitWatch {
 public:
  static Result<std::unique_ptr<CommitWatch>> open(const std::string& database_path);
  ~CommitWatch();
  CommitWatch(const CommitWatch&) = delete;
  CommitWatch& operator=(const CommitWatch&) = delete;
  [[nodiscard]] int fd() const noexcept { return fd_; }  // readable after a commit
  void drain() noexcept;
  // Blocks until a commit, the deadline, or a byte at wake_fd (-1: none).
  void wait(Deadline deadline, int wake_fd = -1) noexcept;

 private:
  explicit CommitWatch(int fd) noexcept : fd_(fd) {}
  int fd_;
};

}  // namespace lovage::client
