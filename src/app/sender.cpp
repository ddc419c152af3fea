#include "app/sender.hpp"

#include <unistd.h>

#include <array>

#include "base/process_id.hpp"
#include "base/uuid.hpp"

namespace lovage::app {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

}  // namespace

const Sender& sender() {
  struct Known {
    pid_t pid = 0;
    Sender sender;
  };
  static thread_local Known known;
  if (const pid_t pid = process_id(); known.pid != pid)
    known = {pid, {"gen" + std::to_string(pid) + "@" + host_name(), new_uuid()}};
  return known.sender;
}

}  // namespace lovage::app
