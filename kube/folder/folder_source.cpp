// SPDX-License-Identifier: Apache-2.0
// Watching the manifest folder.
#include <sys/inotify.h>
#include <sys/stat.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "common/fd.h"
#include "common/log.h"
#include "kube/folder/manifest_folder.h"

namespace keelson::kube {

namespace {

constexpr auto kGather = std::chrono::milliseconds(5);
constexpr auto kRescan = std::chrono::seconds(20);
constexpr uint32_t kEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

}  // namespace

struct FolderSource::State {
  State(Loop& l, std::string p, std::function<void(DesiredState)> c)
      : loop(l), path(std::move(p)), changed(std::move(c)), folder(path), stream(l.io()) {}
  Loop& loop;
  std::string path;
  std::function<void(DesiredState)> changed;
  ManifestFolder folder;
  asio::posix::stream_descriptor stream;

  /// The folder may be made, or replaced, after us: the watch is set anew before every wait.
  void watch() { ::inotify_add_watch(stream.native_handle(), path.c_str(), kEvents); }

  void scan() {
    auto state = folder.scan();
    if (state) {
      changed(*std::move(state));
    } else {
      log::warning("manifests: {}; trying again within 20 s", state.error().message());
    }
  }

  /// Until something happened in the folder, or the rescan is due.
  Task<> next() {
    char buffer[4096];
    auto waited = co_await with_deadline(loop, kRescan, read_some(asio::buffer(buffer)));
    if (!waited) {
      co_return waited.error().kind() == Kind::timeout ? Result<>() : std::unexpected(waited.error());
    }
    KEELSON_CO_DO(co_await loop.sleep(kGather));
    boost::system::error_code error;
    while (!error && stream.read_some(asio::buffer(buffer), error) > 0) {
    }
    co_return Result<>();
  }

  Task<> read_some(asio::mutable_buffer buffer) {
    auto [error, size] = co_await stream.async_read_some(buffer, use_result);
    if (error) {
      co_return fail_asio(error, "read inotify");
    }
    co_return Result<>();
  }
};

FolderSource::FolderSource(Loop& loop, std::string path, std::function<void(DesiredState)> changed)
    : state_(std::make_unique<State>(loop, std::move(path), std::move(changed))) {}

FolderSource::~FolderSource() = default;

Task<> FolderSource::run() {
  int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    co_return fail_errno(errno, "inotify_init1 (raise fs.inotify.max_user_instances)");
  }
  state_->stream.assign(fd);
  boost::system::error_code ignored;
  state_->stream.non_blocking(true, ignored);
  while (true) {
    state_->watch();
    state_->scan();
    KEELSON_CO_DO(co_await state_->next());
  }
}

}  // namespace keelson::kube
