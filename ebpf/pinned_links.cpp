// SPDX-License-Identifier: Apache-2.0
#include "ebpf/pinned_links.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "common/fd.h"

namespace keelson::ebpf {

namespace fs = std::filesystem;

namespace {

// The kernel forgets a link's target when that goes, and refuses it new programs.
Result<bool> give(const std::string& path, int program) {
  Fd link(bpf_obj_get(path.c_str()));
  if (!link) {
    return false;
  }
  bpf_link_info info{};
  uint32_t size = sizeof info;
  if (bpf_link_update(link.get(), program, nullptr) == 0 && bpf_obj_get_info_by_fd(link.get(), &info, &size) == 0) {
    return true;
  }
  if (unlink(path.c_str()) != 0) {
    return fail_errno(errno, "remove {}", path);
  }
  return false;
}

}  // namespace

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
  KEELSON_TRY(bool given, give(path, program));
  if (given) {
    return {};
  }
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = hook.flags);
  Fd link(bpf_link_create(program, hook.target, static_cast<bpf_attach_type>(hook.attach_type), &options));
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
      KEELSON_TRY([[maybe_unused]] bool given, give(folder_ + "/" + name, program));
    }
  }
  return {};
}

Result<> PinnedLinks::detach(const std::string& name) const {
  auto path = folder_ + "/" + name;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(errno, "remove {}", path);
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
