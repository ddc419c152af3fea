// The layout of Lovage's SQLite database.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "client/sqlite_db.hpp"

namespace lovage::broker::sqlite {

inline constexpr int kLayout = 3;

// Creates the tables of an empty database; checks the layout of one that is not. `misconfigured` when
// it is another program's, or of a layout that this version does not know.
Result<void> prepare_schema(client::SqliteDb& db, Deadline deadline);

}  // namespace lovage::broker::sqlite
