// SPDX-License-Identifier: Apache-2.0
// The default seccomp filter, and the export of any filter as bytes.
#include "cri/runtime/seccomp.h"

#include <linux/sched.h>
#include <sys/socket.h>

#include <map>
#include <mutex>

#include "cri/runtime/seccomp_filter.h"
#include "cri/runtime/seccomp_table.h"

namespace keelson::cri {

namespace {

constexpr uint64_t kNamespaceFlags =
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
#if defined(__s390x__)
constexpr unsigned kCloneFlagsArgument = 1;
#else
constexpr unsigned kCloneFlagsArgument = 0;
#endif

// Linux, Linux without address randomisation, the 2.6 version number, both, and "tell me": nothing that weakens
// anything.
constexpr uint64_t kPersonalities[] = {0x0, 0x0008, 0x20000, 0x20008, 0xffffffff};

Result<> allow_clone(SeccompFilter& filter, bool admin) {
  if (admin) {
    return {};  // clone and clone3 are in its grant
  }
  KEELSON_DO(filter.rule(SCMP_ACT_ALLOW, "clone",
                         {SeccompArgument{kCloneFlagsArgument, SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0}}));
  return filter.rule(SCMP_ACT_ERRNO(ENOSYS), "clone3", {});
}

Result<std::string> build_default(Capabilities bounding) {
  KEELSON_TRY(auto filter, SeccompFilter::create(SCMP_ACT_ERRNO(EPERM)));
  filter.add_native_architectures();
  for (const auto name : kSeccompAlways) {
    KEELSON_DO(filter.rule(SCMP_ACT_ALLOW, name, {}));
  }
  for (const auto name : kSeccompArch) {
    KEELSON_DO(filter.rule(SCMP_ACT_ALLOW, name, {}));
  }
  for (const auto& grant : kSeccompGrants) {
    if ((bounding >> grant.capability & 1) != 0) {
      for (const auto name : grant.syscalls) {
        KEELSON_DO(filter.rule(SCMP_ACT_ALLOW, name, {}));
      }
    }
  }
  KEELSON_DO(filter.rule(SCMP_ACT_ALLOW, "socket", {SeccompArgument{0, SCMP_CMP_NE, AF_VSOCK, 0}}));
  for (const auto value : kPersonalities) {
    KEELSON_DO(filter.rule(SCMP_ACT_ALLOW, "personality", {SeccompArgument{0, SCMP_CMP_EQ, value, 0}}));
  }
  KEELSON_DO(allow_clone(filter, (bounding >> CAP_SYS_ADMIN & 1) != 0));
  return filter.program();
}

}  // namespace

Result<std::string> default_seccomp_program(Capabilities bounding) {
  Capabilities relevant = 0;
  for (const auto& grant : kSeccompGrants) {
    relevant |= bounding & (Capabilities{1} << grant.capability);
  }
  static std::mutex mutex;
  static auto* cache = new std::map<Capabilities, std::string>();
  const std::scoped_lock lock(mutex);
  auto found = cache->find(relevant);
  if (found == cache->end()) {
    KEELSON_TRY(auto program, build_default(relevant));
    found = cache->emplace(relevant, std::move(program)).first;
  }
  return found->second;
}

}  // namespace keelson::cri
