// SPDX-License-Identifier: Apache-2.0
// seccomp_filter.h.
#include "cri/runtime/seccomp_filter.h"

#include <sys/mman.h>

#include <algorithm>

#include "common/fd.h"

namespace keelson::cri {

Result<SeccompFilter> SeccompFilter::create(uint32_t default_action) {
  auto* context = seccomp_init(default_action);
  if (!context) {
    return fail(Kind::invalid, "seccomp default action {:#x} is not known to libseccomp", default_action);
  }
  SeccompFilter filter(context, default_action);
  // A balanced tree of syscall numbers instead of a list: 9 compares instead of up to 350 for each syscall.
  seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  return filter;
}

void SeccompFilter::add_native_architectures() {
#if defined(__x86_64__)
  seccomp_arch_add(context_.get(), SCMP_ARCH_X86);
  seccomp_arch_add(context_.get(), SCMP_ARCH_X32);
#elif defined(__aarch64__)
  seccomp_arch_add(context_.get(), SCMP_ARCH_ARM);
#elif defined(__s390x__)
  seccomp_arch_add(context_.get(), SCMP_ARCH_S390);
#endif
}

Result<> SeccompFilter::add_architecture(std::string_view name) {
  constexpr std::string_view kPrefix = "SCMP_ARCH_";
  std::string lower(name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const uint32_t arch = seccomp_arch_resolve_name(lower.c_str());
  if (arch == 0) {
    return fail(Kind::invalid, "architectures: unknown \"{}\"", name);
  }
  const int code = seccomp_arch_add(context_.get(), arch);
  if (code != 0 && code != -EEXIST) {
    return fail_errno(-code, "architectures: add {}", name);
  }
  return {};
}

Result<> SeccompFilter::rule(uint32_t action, std::string_view syscall, const std::vector<SeccompArgument>& arguments) {
  const int number = seccomp_syscall_resolve_name(std::string(syscall).c_str());
  if (number == __NR_SCMP_ERROR || action == default_action_) {
    return {};
  }
  std::vector<scmp_arg_cmp> compares;
  for (const auto& argument : arguments) {
    compares.push_back({argument.index, argument.op, argument.value, argument.value_two});
  }
  const int code =
      seccomp_rule_add_array(context_.get(), action, number, static_cast<unsigned>(compares.size()), compares.data());
  if (code != 0 && code != -EEXIST) {
    return fail_errno(-code, "seccomp rule for {}", syscall);
  }
  return {};
}

Result<std::string> SeccompFilter::program() const {
  const Fd memory(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!memory) {
    return fail_errno(errno, "memfd for a seccomp program");
  }
  if (const int code = seccomp_export_bpf(context_.get(), memory.get()); code != 0) {
    return fail_errno(-code, "export a seccomp program");
  }
  ::lseek(memory.get(), 0, SEEK_SET);
  return read_all(memory.get());
}

}  // namespace keelson::cri
