// SPDX-License-Identifier: Apache-2.0
#include "ebpf/pinned_links.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "common/fd.h"
#include "ebpf/tc_filters.h"

namespace keelson::ebpf {

namespace fs = std::filesystem;

namespace {

// Newer than the headers of Debian 12.
constexpr int kTcxIngress = 46;
constexpr int kTcxEgress = 47;

// A program's, not a link's: the record of a filter.
bool is_program(const Fd& pinned) {
  std::error_code error;
  return fs::read_symlink(fmt::format("/proc/self/fd/{}", pinned.get()), error).string().ends_with("bpf-prog");
}

TcSide side_of(const std::string& name) {
  return name.ends_with("-egress") ? TcSide::egress : TcSide::ingress;
}

Result<> unpin(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(errno, "remove {}", path);
  }
  return {};
}

}  // namespace

// The kernel forgets a link's target when that goes, and refuses it new programs; a filter goes with its target.
Result<bool> PinnedLinks::give(const std::string& name, int program) const {
  auto path = folder_ + "/" + name;
  Fd link(bpf_obj_get(path.c_str()));
  if (!link) {
    return false;
  }
  if (is_program(link)) {
    if (filter_program(ifindex_of(name), side_of(name)) == 0) {
      KEELSON_DO(unpin(path));
      return false;
    }
    KEELSON_DO(set_filter(name, program));
    return true;
  }
  bpf_link_info info{};
  uint32_t size = sizeof info;
  if (bpf_link_update(link.get(), program, nullptr) == 0 && bpf_obj_get_info_by_fd(link.get(), &info, &size) == 0) {
    return true;
  }
  KEELSON_DO(unpin(path));
  return false;
}

// Killed before the pin is there, the next attach() finds the filter in its place.
Result<> PinnedLinks::set_filter(const std::string& name, int program) const {
  auto path = folder_ + "/" + name;
  KEELSON_DO(ebpf::set_filter(ifindex_of(name), side_of(name), program));
  KEELSON_DO(unpin(path));
  if (bpf_obj_pin(program, path.c_str()) != 0) {
    return fail_errno(errno, "pin {}", path);
  }
  return {};
}

Result<> PinnedLinks::make() const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) {
    return fail_errno(error.value(), "make {}: is a bpffs mounted there?", folder_);
  }
  return {};
}

Result<> PinnedLinks::attach(const std::string& name, int program, const Hook& hook) const {
  auto path = folder_ + "/" + name;
  KEELSON_TRY(bool given, give(name, program));
  if (given) {
    return {};
  }
  const bool tc = hook.attach_type == kTcxIngress || hook.attach_type == kTcxEgress;
  if (tc && classic_tc_) {
    return set_filter(name, program);
  }
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = hook.flags);
  Fd link(bpf_link_create(program, hook.target, static_cast<bpf_attach_type>(hook.attach_type), &options));
  if (!link && tc && errno == EINVAL) {  // the kernel does not know tcx
    return set_filter(name, program);
  }
  if (!link) {
    return fail_errno(errno, "attach {}", name);
  }
  if (bpf_obj_pin(link.get(), path.c_str()) != 0) {
    return fail_errno(errno, "pin {}", path);
  }
  return {};
}

Result<> PinnedLinks::replace(const std::function<int(const std::string&)>& program_of) const {
  for (const auto& name : names()) {
    if (int program = program_of(name); program >= 0) {
      KEELSON_TRY([[maybe_unused]] bool given, give(name, program));
    }
  }
  return {};
}

Result<> PinnedLinks::detach(const std::string& name) const {
  auto path = folder_ + "/" + name;
  if (Fd pinned(bpf_obj_get(path.c_str())); pinned && is_program(pinned)) {
    KEELSON_DO(remove_filter(ifindex_of(name), side_of(name)));
  }
  return unpin(path);
}

Result<> PinnedLinks::remove() const {
  for (const auto& name : names()) {
    KEELSON_DO(detach(name));
  }
  std::error_code error;
  fs::remove_all(folder_, error);
  if (error) {
    return fail_errno(error.value(), "remove {}", folder_);
  }
  return {};
}

std::vector<std::string> PinnedLinks::names() const {
  std::vector<std::string> result;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    result.push_back(entry.path().filename());
  }
  std::ranges::sort(result);
  return result;
}

int PinnedLinks::ifindex_of(const std::string& name) {
  int ifindex = 0;
  return sscanf(name.c_str(), "link-%d-", &ifindex) == 1 ? ifindex : 0;
}

}  // namespace keelson::ebpf
