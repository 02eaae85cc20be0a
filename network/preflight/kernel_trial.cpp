// SPDX-License-Identifier: Apache-2.0
#include "network/preflight/kernel_trial.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "common/netlink.h"
#include "ebpf/programs.h"

namespace keelson::network {
namespace {

constexpr ebpf::ProgramSizes kSmall{64, 64, 64, 64, 64, 64};

/// Pins that go with it.
class TrialPins {
 public:
  explicit TrialPins(std::string folder) : folder_(std::move(folder)) {}
  TrialPins(const TrialPins&) = delete;
  ~TrialPins() {
    if (ebpf::Programs::remove(folder_)) {
      std::error_code ignored;
      std::filesystem::remove(folder_, ignored);
    }
  }

 private:
  std::string folder_;
};

class TrialCgroup {
 public:
  static Result<TrialCgroup> make(const std::string& parent) {
    TrialCgroup made(parent + "/keelson-check-" + std::to_string(getpid()));
    if (mkdir(made.path_.c_str(), 0755) != 0) {
      return fail_errno(errno, "make a cgroup below {}", parent);
    }
    made.exists_ = true;
    return made;
  }
  TrialCgroup(TrialCgroup&& other) noexcept
      : path_(std::move(other.path_)), exists_(std::exchange(other.exists_, false)) {}
  ~TrialCgroup() {
    if (exists_) {
      rmdir(path_.c_str());
    }
  }
  const std::string& path() const { return path_; }

 private:
  explicit TrialCgroup(std::string path) : path_(std::move(path)) {}
  std::string path_;
  bool exists_ = false;
};

Result<> attach_in_new_namespace(const TrialOptions& options) {
  if (unshare(CLONE_NEWNET) != 0) {
    return fail_errno(errno, "make a network namespace");
  }
  KEELSON_TRY(auto cgroup, TrialCgroup::make(options.cgroup));
  KEELSON_TRY(auto netlink, Netlink::open());
  KEELSON_TRY(auto loopback, netlink.find_link("lo"));
  TrialPins pins(options.pin_folder);
  KEELSON_TRY(auto programs, ebpf::Programs::load({options.pin_folder, kSmall}));
  KEELSON_DO(programs.attach_link(loopback.index.value, ebpf::LinkKind::uplink, false));
  return programs.attach_sockets(cgroup.path());
}

}  // namespace

Result<> try_loading(const TrialOptions& options) {
  TrialPins pins(options.pin_folder);
  KEELSON_DO(ebpf::Programs::load({options.pin_folder, kSmall}));
  return {};
}

Result<> try_attaching(const TrialOptions& options) {
  Result<> outcome;
  // A thread of its own: the caller stays in its namespace.
  std::jthread([&] { outcome = attach_in_new_namespace(options); }).join();
  return outcome;
}

}  // namespace keelson::network
