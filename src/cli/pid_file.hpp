// The file that holds a running worker's process id.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

namespace lovage::cli {

// The pid file cannot be made: exit code 73.
class CannotCreate : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Created with this process's id, removed at the end. The file of a process that is gone is replaced; that of a
// living one is an error, for two workers under one name are most often a mistake.
class PidFile {
 public:
  // An empty path: no file. Throws CannotCreate.
  explicit PidFile(const std::string& path);
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  std::filesystem::path path_;  // absolute; empty when there is none
};

}  // namespace lovage::cli
