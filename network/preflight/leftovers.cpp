// SPDX-License-Identifier: Apache-2.0
#include "network/preflight/leftovers.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/fd.h"
#include "ebpf/hooks.h"

namespace keelson::network {
namespace {

namespace fs = std::filesystem;

/// The folders that a daemon of whatever version pins into, below `bpf_dir`.
bool is_ours(const std::string& name) {
  return name == "services" || (name.starts_with("services-") && name.size() > 9 &&
                                std::all_of(name.begin() + 9, name.end(), [](char c) { return c >= '0' && c <= '9'; }));
}

bool exists(const std::string& path) {
  struct stat info{};
  return lstat(path.c_str(), &info) == 0;
}

/// A pinned object has no other sign of its kind than the folder it is in.
std::string count_pins(const fs::path& folder) {
  size_t maps = 0, links = 0, others = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_directory(error)) {
      continue;
    }
    auto where = entry.path().parent_path().filename();
    (where == "maps" ? maps : where == "links" ? links : others)++;
  }
  return fmt::format("{} maps, {} links{}", maps, links,
                     others > 0 ? fmt::format(", {} other pins", others) : std::string());
}

bool takes_connections(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) {
    return false;
  }
  std::copy(socket.begin(), socket.end(), address.sun_path);
  Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return client && connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

Result<std::vector<std::string>> pin_folders(const std::string& bpf_dir) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(bpf_dir, error), end; !error && entry != end; entry.increment(error)) {
    if (is_ours(entry->path().filename())) {
      found.push_back(entry->path());
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail_errno(error.value(), "read {}", bpf_dir);
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace

Result<std::vector<Leftover>> find_leftovers(const Places& places) {
  std::vector<Leftover> found;
  KEELSON_TRY(auto folders, pin_folders(places.bpf_dir));
  for (const auto& folder : folders) {
    found.push_back({folder, count_pins(folder)});
  }
  for (const auto& file : places.files) {
    if (exists(file)) {
      found.push_back({file, "state"});
    }
  }
  for (const auto& socket : places.sockets) {
    if (exists(socket)) {
      found.push_back({socket, "socket"});
    }
  }
  return found;
}

Result<> check_no_daemon(const Places& places) {
  for (const auto& socket : places.sockets) {
    if (takes_connections(socket)) {
      return fail(Kind::conflict, "a daemon answers at {}: stop it first", socket);
    }
  }
  KEELSON_TRY(auto folders, pin_folders(places.bpf_dir));
  for (const auto& path : folders) {
    KEELSON_TRY(auto folder, open_file(path, O_RDONLY | O_DIRECTORY));
    if (flock(folder.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return fail(Kind::conflict, "a daemon has {}: stop it first", path);
    }
  }
  return {};
}

Result<> remove_leftovers(const Places& places, const std::vector<Leftover>& found) {
  for (const auto& leftover : found) {
    if (leftover.path.starts_with(places.bpf_dir + "/")) {
      KEELSON_DO(ebpf::remove_pins(leftover.path));
    } else {
      KEELSON_DO(remove_tree(leftover.path));
    }
  }
  if (rmdir(places.bpf_dir.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY) {
    return fail_errno(errno, "remove {}", places.bpf_dir);
  }
  return {};
}

}  // namespace keelson::network
