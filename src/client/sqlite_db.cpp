#include "client/sqlite_db.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/process_id.hpp"
#include "client/commit_watch.hpp"
#include "client/local_file_system.hpp"
#include "client/write_gate.hpp"

namespace lovage::client {
namespace {

constexpr const char* kMemory = ":memory:";

// Debian's SQLite overwrites what is deleted with zeros unless told otherwise: pages that nobody needs any more would
// be written, synced and copied like the others. A WAL that is copied into the file more seldom writes a page that
// changed often once. The cache holds what a turn of a worker touches.
constexpr const char* kTuning =
    "PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=3000; PRAGMA cache_size=-8192; "
    "PRAGMA journal_size_limit=16777216";

struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};

FileId file_id(const std::string& path) noexcept {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino};
}

int busy_milliseconds(Deadline deadline) noexcept {
  const int left = deadline.poll_timeout();
  return left < 0 ? INT_MAX : left;
}

}  // namespace

struct SqliteDb::Impl {
  SqliteOptions options;
  sqlite3* db = nullptr;
  std::unique_ptr<WriteGate> gate;  // none in memory
  int commit_fd = -1;
  FileId file;
  pid_t owner = process_id();
  bool healthy = true;
  CommitSurvives survives = CommitSurvives::power_loss;
  std::unordered_map<const char*, sqlite3_stmt*> statements;

  [[nodiscard]] bool in_memory() const { return options.path == kMemory; }

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (owner != process_id()) {  // the parent's: even closing would disturb its locks
      (void)gate.release();
      return;
    }
    for (const auto& [sql, statement] : statements) sqlite3_finalize(statement);
    sqlite3_close(db);
    if (commit_fd >= 0) ::close(commit_fd);
  }

  void tell_others() {
    if (commit_fd < 0) return;
    // Waiters look every few seconds anyway, should the disk be full.
    [[maybe_unused]] const auto written = ::pwrite(commit_fd, "c", 1, 0);
  }

  // The pragma takes effect between transactions only.
  int set_survives(CommitSurvives wanted) {
    if (!options.power_safe || in_memory() || survives == wanted) return SQLITE_OK;
    const char* sql = wanted == CommitSurvives::power_loss ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";
    const int code = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) survives = wanted;
    return code;
  }
};

SqliteDb::SqliteDb(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
SqliteDb::~SqliteDb() = default;

Result<std::unique_ptr<SqliteDb>> SqliteDb::open(const SqliteOptions& options, Deadline deadline) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  const std::string& path = options.path;
  if (!impl->in_memory()) {
    if (auto local = check_local_file_system(path); !local) return tl::unexpected(local.error());
    auto gate = WriteGate::open(path);
    if (!gate) return tl::unexpected(gate.error());
    impl->gate = std::move(*gate);
    auto commit_fd = open_commit_file(path);
    if (!commit_fd) return tl::unexpected(commit_fd.error());
    impl->commit_fd = *commit_fd;
  }
  const int code = sqlite3_open_v2(path.c_str(), &impl->db,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  auto db = std::unique_ptr<SqliteDb>(new SqliteDb(std::move(impl)));
  if (code != SQLITE_OK) return tl::unexpected(db->failure(code));
  if (auto prepared = db->prepare(deadline); !prepared) return tl::unexpected(prepared.error());
  return db;
}

Result<void> SqliteDb::prepare(Deadline deadline) {
  Impl& impl = *impl_;
  sqlite3_extended_result_codes(impl.db, 1);
  if (impl.in_memory()) return {};
  if (sqlite3_db_readonly(impl.db, "main") == 1) return tl::unexpected(failure(SQLITE_READONLY));
  sqlite3_busy_timeout(impl.db, busy_milliseconds(deadline));
  // Whoever comes first turns an empty file into a WAL database: one at a time.
  if (auto entered = impl.gate->enter(deadline); !entered) return entered;
  Result<void> done = execute("PRAGMA auto_vacuum=INCREMENTAL");
  if (done) done = execute("PRAGMA journal_mode=WAL");
  if (done) done = execute(impl.options.power_safe ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  if (done) done = execute(kTuning);
  impl.gate->leave();
  impl.file = file_id(impl.options.path);
  return done;
}

SqliteQuery SqliteDb::query(const char* sql) {
  sqlite3_stmt*& statement = impl_->statements[sql];
  int code = SQLITE_OK;
  if (statement == nullptr) {
    code = sqlite3_prepare_v3(impl_->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  }
  return {*this, statement, code};
}

Result<void> SqliteDb::execute(const char* sql) {
  const int code = sqlite3_exec(impl_->db, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return tl::unexpected(failure(code));
  return {};
}

Result<SqliteDb::Transaction> SqliteDb::begin(Deadline deadline, CommitSurvives survives) {
  return begin(deadline, [survives] { return survives; });
}

Result<SqliteDb::Transaction> SqliteDb::begin(Deadline deadline, const std::function<CommitSurvives()>& survives) {
  Impl& impl = *impl_;
  if (impl.gate) {
    if (auto entered = impl.gate->enter(deadline); !entered) return tl::unexpected(entered.error());
  }
  int code = SQLITE_OK;
  if (impl.gate && file_id(impl.options.path) != impl.file) {
    impl.healthy = false;
    impl.gate->leave();
    return fail(Errc::unavailable,
                fmt::format("the database '{}' was removed or replaced while in use", impl.options.path));
  }
  sqlite3_busy_timeout(impl.db, busy_milliseconds(deadline));
  code = impl.set_survives(survives());
  if (code == SQLITE_OK) code = sqlite3_exec(impl.db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return Transaction(this);
  Failure why = failure(code);
  if (impl.gate) impl.gate->leave();
  return tl::unexpected(std::move(why));
}

SqliteDb::Transaction::Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}

SqliteDb::Transaction::~Transaction() {
  if (db_ == nullptr) return;
  Impl& impl = *db_->impl_;
  // After some errors SQLite has rolled back by itself.
  if (sqlite3_get_autocommit(impl.db) == 0) sqlite3_exec(impl.db, "ROLLBACK", nullptr, nullptr, nullptr);
  if (impl.gate) impl.gate->leave();
}

Result<void> SqliteDb::Transaction::commit(CommitWakes wakes) {
  Impl& impl = *db_->impl_;
  const int code = sqlite3_exec(impl.db, "COMMIT", nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return tl::unexpected(db_->failure(code));  // the destructor rolls back
  db_ = nullptr;
  if (impl.gate) impl.gate->leave();
  if (wakes == CommitWakes::everybody) impl.tell_others();
  return {};
}

Failure SqliteDb::failure(int code) {
  Impl& impl = *impl_;
  const std::string& path = impl.options.path;
  const int error = impl.db == nullptr ? 0 : sqlite3_system_errno(impl.db);
  const auto say = [&](Errc errc, std::string_view what) {
    return Failure{errc, fmt::format("SQLite database '{}': {}", path, what)};
  };
  switch (code & 0xff) {
    case SQLITE_FULL:
      return say(Errc::no_space, "the disk is full");
    case SQLITE_READONLY:
      return say(Errc::no_space, "the file is read-only");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return say(Errc::timed_out, "another program holds its lock");
    case SQLITE_NOTADB:
      impl.healthy = false;
      return say(Errc::misconfigured, "the file is not a SQLite database");
    case SQLITE_TOOBIG:
      return say(Errc::too_large, "a value is larger than SQLite allows");
    case SQLITE_CORRUPT:
      impl.healthy = false;
      return say(Errc::refused, "the file is damaged (see `PRAGMA integrity_check`)");
    case SQLITE_CANTOPEN:
      impl.healthy = false;
      return say(Errc::refused,
                 fmt::format("cannot open the file: {}", error == 0 ? "no access" : std::strerror(error)));
    case SQLITE_IOERR:
      // SQLITE_FULL is for ENOSPC alone; quotas and file size limits arrive here.
      if (code == SQLITE_IOERR_WRITE) return say(Errc::no_space, "a write failed: quota, file size limit or bad disk");
      impl.healthy = false;
      return say(Errc::unavailable, fmt::format("I/O error: {}", sqlite3_errstr(code)));
    default:
      return say(Errc::refused, impl.db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(impl.db));
  }
}

bool SqliteDb::healthy() const noexcept {
  return impl_->healthy && impl_->owner == process_id();
}

std::string SqliteDb::identity() const {
  return fmt::format("sqlite:{}:{}", impl_->file.device, impl_->file.inode);
}

SqliteQuery::SqliteQuery(SqliteDb& db, sqlite3_stmt* statement, int code) noexcept
    : db_(&db), statement_(statement), code_(code) {}

SqliteQuery::SqliteQuery(SqliteQuery&& other) noexcept
    : db_(other.db_), statement_(std::exchange(other.statement_, nullptr)), code_(other.code_) {}

SqliteQuery::~SqliteQuery() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteQuery& SqliteQuery::bind(int index, std::int64_t value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, index, value);
  return *this;
}

SqliteQuery& SqliteQuery::bind_text(int index, std::string_view value) {
  // A null pointer would bind NULL.
  const char* data = value.data() == nullptr ? "" : value.data();
  if (code_ == SQLITE_OK) {
    code_ = sqlite3_bind_text64(statement_, index, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  return *this;
}

SqliteQuery& SqliteQuery::bind_blob(int index, std::string_view value) {
  const char* data = value.data() == nullptr ? "" : value.data();
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_blob64(statement_, index, data, value.size(), SQLITE_STATIC);
  return *this;
}

SqliteQuery& SqliteQuery::bind_null(int index) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_null(statement_, index);
  return *this;
}

Result<bool> SqliteQuery::step() {
  if (code_ != SQLITE_OK) return tl::unexpected(db_->failure(code_));
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  code_ = code;
  return tl::unexpected(db_->failure(code));
}

Result<std::int64_t> SqliteQuery::run() {
  auto stepped = step();
  if (!stepped) return tl::unexpected(stepped.error());
  return sqlite3_changes64(db_->impl_->db);
}

std::int64_t SqliteQuery::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view SqliteQuery::text(int column) const {
  // Blobs must be asked for before their size: sqlite3_column_text would convert them.
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

bool SqliteQuery::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

}  // namespace lovage::client
