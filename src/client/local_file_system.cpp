#include "client/local_file_system.hpp"

#include <fmt/format.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>

namespace lovage::client {
namespace {

struct RemoteFileSystem {
  std::uint32_t magic;  // statfs(2): f_type
  const char* name;
};

constexpr std::array<RemoteFileSystem, 13> kRemote{{
    {0x00006969, "NFS"},
    {0x0000517B, "SMB"},
    {0xFE534D42, "SMB2"},
    {0xFF534D42, "CIFS"},
    {0x65735546, "FUSE"},
    {0x01021997, "9P"},
    {0x00C36400, "Ceph"},
    {0x5346414F, "AFS"},
    {0x0BD00BD0, "Lustre"},
    {0x01161970, "GFS2"},
    {0x7461636F, "OCFS2"},
    {0x47504653, "GPFS"},
    {0x19830326, "BeeGFS"},
}};

}  // namespace

Result<void> check_local_file_system(const std::string& database_path) {
  std::filesystem::path folder = std::filesystem::path(database_path).parent_path();
  if (folder.empty()) folder = ".";
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) != 0) {
    return fail(Errc::misconfigured, fmt::format("SQLite database '{}': its folder '{}' cannot be used: {}",
                                                 database_path, folder.string(), std::strerror(errno)));
  }
  for (const auto& remote : kRemote) {
    if (static_cast<std::uint32_t>(info.f_type) != remote.magic) continue;
    return fail(Errc::misconfigured,
                fmt::format("SQLite database '{}' lies on {}: a file system whose locks and change notices cannot be "
                            "relied on between machines; put it on a local disk, or use Redis",
                            database_path, remote.name));
  }
  return {};
}

}  // namespace lovage::client
