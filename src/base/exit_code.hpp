// The exit codes that scripts can rely on. Celery's, but that every command says kUnavailable where Celery's `call`,
// `result`, `purge` and `worker` say 1: a task that failed and a server that is away are two things.
#pragma once

namespace lovage {

inline constexpr int kOk = 0;
inline constexpr int kFailure = 1;        // the command ran and the answer is no: a failed task, "Aborted!"
inline constexpr int kUsage = 2;          // an unknown command, option, setting or value
inline constexpr int kUnavailable = 69;   // EX_UNAVAILABLE: no server, or nobody answered
inline constexpr int kCannotCreate = 73;  // EX_CANTCREAT: the pid file

}  // namespace lovage
