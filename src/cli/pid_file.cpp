#include "cli/pid_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>

namespace lovage::cli {
namespace {

namespace fs = std::filesystem;

std::optional<pid_t> read_pid(const fs::path& path) {
  std::ifstream file(path);
  pid_t pid = 0;
  if (!(file >> pid) || pid <= 0) return std::nullopt;
  return pid;
}

bool lives(pid_t pid) {
  return ::kill(pid, 0) == 0 || errno == EPERM;
}

// False when the file is there already.
bool create(const fs::path& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) {
    if (errno == EEXIST) return false;
    throw CannotCreate("pid file '" + path.string() + "': " + std::strerror(errno));
  }
  const std::string text = std::to_string(::getpid()) + '\n';
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  ::close(file);
  if (written) return true;
  ::unlink(path.c_str());
  throw CannotCreate("pid file '" + path.string() + "': " + std::strerror(error));
}

}  // namespace

PidFile::PidFile(const std::string& path) {
  if (path.empty()) return;
  const fs::path wanted = fs::absolute(path);
  if (!create(wanted)) {
    const auto owner = read_pid(wanted);
    if (owner && *owner != ::getpid() && lives(*owner)) {
      throw CannotCreate("pid file '" + path + "' belongs to the running process " + std::to_string(*owner));
    }
    ::unlink(wanted.c_str());
    if (!create(wanted)) throw CannotCreate("pid file '" + path + "': another process has just made it");
  }
  path_ = wanted;
}

PidFile::~PidFile() {
  if (!path_.empty() && read_pid(path_) == ::getpid()) ::unlink(path_.c_str());
}

}  // namespace lovage::cli
