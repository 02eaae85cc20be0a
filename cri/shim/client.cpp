// SPDX-License-Identifier: Apache-2.0
// Calls to a shim, and its start.
#include "cri/shim/client.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>

#include "common/pipe.h"
#include "cri/shim/frames.h"

extern char** environ;

namespace keelson::cri::shim {

namespace {

/// The binary, opened on a read-only clone of its mount: through /proc/<pid>/exe a container could otherwise reach a
/// writable inode of the node (CVE-2019-5736).
Result<Fd> open_read_only(const std::string& binary) {
  Fd tree(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, binary.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree) {
    return fail_errno(errno, "open {} for the shim", binary);
  }
  struct mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) {
    return fail_errno(errno, "make the mount of {} read-only", binary);
  }
  return tree;
}

Error error_of(const Reply& reply) {
  return Error(static_cast<Kind>(reply.error_kind), reply.error, reply.error_code);
}

/// What a shim that was killed while it began could not take away itself.
void clear_after_death(const SandboxSpec& spec) {
  ::unlink((spec.run_dir + "/shim.sock").c_str());
  if (!spec.netns_pin.empty()) {
    ::umount2(spec.netns_pin.c_str(), MNT_DETACH);
    ::unlink(spec.netns_pin.c_str());
  }
}

}  // namespace

ShimClient::ShimClient(Fd socket, pid_t pid, std::chrono::milliseconds timeout)
    : socket_(std::move(socket)), pid_(pid), timeout_(timeout), reader_(std::make_unique<FrameReader>()) {}

ShimClient::~ShimClient() = default;

Result<std::unique_ptr<ShimClient>> ShimClient::launch(const std::string& binary, const SandboxSpec& spec,
                                                       std::chrono::milliseconds timeout) {
  KEELSON_TRY(auto image, open_read_only(binary));
  KEELSON_TRY(auto input, make_pipe());
  KEELSON_TRY(auto output, make_pipe());
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input.read.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, output.write.get(), 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  std::string path = fmt::format("/proc/self/fd/{}", image.get());
  std::string name = "keelson-shim";
  std::string id = spec.id;
  std::string run_dir = spec.run_dir;
  char* words[] = {name.data(), id.data(), run_dir.data(), nullptr};
  char* environment[] = {nullptr};
  pid_t child = -1;
  int failed = ::posix_spawn(&child, path.c_str(), &actions, &attributes, words, environment);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    return fail_errno(failed, "start {}", binary);
  }
  input.read.reset();
  output.write.reset();
  auto sent = write_all(input.write.get(), encode(spec));
  input.write.reset();
  // The first process forks the shim and ends at once.
  ::waitpid(child, nullptr, 0);
  KEELSON_TRY(auto answer, read_all(output.read.get(), 1 << 16));
  if (!sent || answer.empty()) {
    clear_after_death(spec);
    return fail(Kind::internal, "the shim ended before it served");
  }
  KEELSON_TRY(auto reply, decode<Reply>(answer));
  if (!reply.ok) {
    return std::unexpected(error_of(reply));
  }
  return connect(spec.run_dir, timeout);
}

Result<std::unique_ptr<ShimClient>> ShimClient::connect(const std::string& run_dir, std::chrono::milliseconds timeout) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) {
    return fail_errno(errno, "make a socket");
  }
  // By the folder's descriptor, so that a long path fits into sun_path.
  KEELSON_TRY(auto folder, open_file(run_dir, O_PATH | O_DIRECTORY));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto path = fmt::format("/proc/self/fd/{}/shim.sock", folder.get());
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    return fail_errno(errno, "connect to the shim in {}", run_dir);
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    return fail_errno(errno, "ask who serves {}", run_dir);
  }
  return std::unique_ptr<ShimClient>(new ShimClient(std::move(socket), peer.pid, timeout));
}

Result<Reply> ShimClient::call(const Request& request, const std::vector<int>& fds, Fd* received) {
  std::lock_guard lock(mutex_);
  KEELSON_DO(send_frame(socket_.get(), FrameType::request, encode(request), fds));
  KEELSON_TRY(auto frame, receive_frame(socket_.get(), *reader_, timeout_));
  KEELSON_TRY(auto reply, decode<Reply>(frame.body));
  if (!reply.ok) {
    return std::unexpected(error_of(reply));
  }
  if (received != nullptr && !frame.fds.empty()) {
    *received = std::move(frame.fds.front());
  }
  return reply;
}

namespace {

Result<ProcessStatus> only_status(Result<Reply> reply) {
  if (!reply) {
    return std::unexpected(std::move(reply).error());
  }
  if (reply->statuses.empty()) {
    return fail(Kind::internal, "the shim's answer has no status");
  }
  return reply->statuses.front();
}

Result<> done(const Result<Reply>& reply) {
  if (!reply) {
    return std::unexpected(reply.error());
  }
  return {};
}

}  // namespace

Result<ProcessStatus> ShimClient::create(const ContainerSpec& spec) {
  Request request{.verb = Verb::create, .container_id = spec.id, .spec = spec};
  return only_status(call(request, {}, nullptr));
}

Result<ProcessStatus> ShimClient::start(const std::string& container_id) {
  Request request{.verb = Verb::start, .container_id = container_id};
  return only_status(call(request, {}, nullptr));
}

Result<> ShimClient::signal(const std::string& container_id, int number, bool all) {
  Request request{.verb = Verb::signal, .container_id = container_id, .number = number, .all = all};
  return done(call(request, {}, nullptr));
}

Result<ProcessStatus> ShimClient::exec(const std::string& container_id, const std::string& exec_id,
                                       const ProcessSpec& process, const std::vector<int>& stdio) {
  Request request{.verb = Verb::exec, .container_id = container_id, .exec_id = exec_id, .process = process};
  return only_status(call(request, stdio, nullptr));
}

Result<ShimClient::Terminal> ShimClient::exec_terminal(const std::string& container_id, const std::string& exec_id,
                                                       const ProcessSpec& process) {
  Request request{.verb = Verb::exec, .container_id = container_id, .exec_id = exec_id, .process = process};
  Terminal terminal;
  KEELSON_TRY(terminal.status, only_status(call(request, {}, &terminal.master)));
  return terminal;
}

Result<Fd> ShimClient::attach(const std::string& container_id, int out, int error, bool want_input) {
  Request request{.verb = Verb::attach, .container_id = container_id, .output_only = !want_input};
  Fd input;
  KEELSON_DO(call(request, {out, error}, &input));
  if (!want_input) {
    input.reset();  // a shim of an earlier version passes it all the same
  }
  return input;
}

Result<> ShimClient::resize(const std::string& container_id, const std::string& exec_id, uint32_t width,
                            uint32_t height) {
  Request request{
      .verb = Verb::resize, .container_id = container_id, .exec_id = exec_id, .width = width, .height = height};
  return done(call(request, {}, nullptr));
}

Result<> ShimClient::reopen_log(const std::string& container_id) {
  return done(call({.verb = Verb::reopen_log, .container_id = container_id}, {}, nullptr));
}

Result<> ShimClient::remove(const std::string& container_id) {
  return done(call({.verb = Verb::remove, .container_id = container_id}, {}, nullptr));
}

Result<std::vector<ProcessStatus>> ShimClient::state() {
  KEELSON_TRY(auto reply, call({.verb = Verb::state}, {}, nullptr));
  return std::move(reply.statuses);
}

Result<> ShimClient::shutdown() {
  return done(call({.verb = Verb::shutdown}, {}, nullptr));
}

Result<> ShimClient::subscribe() {
  return done(call({.verb = Verb::subscribe}, {}, nullptr));
}

Result<Event> ShimClient::next_event(std::optional<std::chrono::milliseconds> limit) {
  std::lock_guard lock(mutex_);
  KEELSON_TRY(auto frame, receive_frame(socket_.get(), *reader_, limit));
  return decode<Event>(frame.body);
}

}  // namespace keelson::cri::shim
