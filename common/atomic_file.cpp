// SPDX-License-Identifier: Apache-2.0
// Write beside, then rename.
#include "common/atomic_file.h"

#include <sys/stat.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "common/fd.h"

namespace keelson {

Result<> write_file_atomic(const std::string& path, std::string_view data, mode_t mode, Durability durability) {
  static std::atomic<unsigned> sequence = 0;
  // Hidden, and unique to this process and call: two writers never share a temporary.
  auto slash = path.find_last_of('/');
  std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  std::string temporary;
  Result<Fd> made = fail(Kind::internal, "no temporary");
  // One of this name may be there still, left by a killed process that had our PID.
  do {
    temporary = fmt::format("{}/.{}.{}.{}", folder, name, ::getpid(), sequence.fetch_add(1));
    made = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
  } while (!made && made.error().kind() == Kind::exists && ::unlink(temporary.c_str()) == 0);
  KEELSON_TRY(auto fd, std::move(made));
  auto written = write_all(fd.get(), data).context("{}", path);
  if (written && ::fchmod(fd.get(), mode) < 0) {
    written = fail_errno(errno, "set the mode of {}", path);
  }
  if (written && durability == Durability::power && ::fsync(fd.get()) < 0) {
    written = fail_errno(errno, "sync {}", path);
  }
  if (written && ::rename(temporary.c_str(), path.c_str()) < 0) {
    written = fail_errno(errno, "replace {}", path);
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (durability == Durability::power) {
    KEELSON_TRY(auto dir, open_file(folder, O_RDONLY | O_DIRECTORY));
    if (::fsync(dir.get()) < 0) {
      return fail_errno(errno, "sync {}", folder);
    }
  }
  return {};
}

void remove_unfinished(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    // ".<name>.<pid>.<number>"
    const auto name = entry.path().filename().string();
    const auto last = name.rfind('.');
    const auto before = last == 0 || last == std::string::npos ? std::string::npos : name.rfind('.', last - 1);
    if (!name.starts_with('.') || before == 0 || before == std::string::npos) {
      continue;
    }
    pid_t pid = 0;
    const char* const end = name.data() + last;
    if (std::from_chars(name.data() + before + 1, end, pid).ptr == end && pid > 0 && ::kill(pid, 0) < 0 &&
        errno == ESRCH) {
      ::unlink(entry.path().c_str());
    }
  }
}

}  // namespace keelson
