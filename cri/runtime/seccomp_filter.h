// SPDX-License-Identifier: Apache-2.0
// libseccomp's filter context, owned.
#pragma once

#include <seccomp.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace keelson::cri {

/// One condition on a syscall's argument, as libseccomp's scmp_arg_cmp: for SCMP_CMP_MASKED_EQ `value` is the mask.
struct SeccompArgument {
  unsigned index;
  scmp_compare op;
  uint64_t value;
  uint64_t value_two;
};

/// A filter in the making. One thread.
class SeccompFilter {
 public:
  static Result<SeccompFilter> create(uint32_t default_action);

  /// The 32-bit sisters of this machine (x86 and x32 beside x86-64, ARM beside AArch64), as the default profile wants.
  void add_native_architectures();
  /// An OCI name, "SCMP_ARCH_X86_64"; unknown is Kind::invalid.
  Result<> add_architecture(std::string_view name);
  /// An unknown syscall is skipped; a rule equal to the default action too (libseccomp refuses it, it means nothing).
  Result<> rule(uint32_t action, std::string_view syscall, const std::vector<SeccompArgument>& arguments);
  /// The filter as an array of struct sock_filter.
  Result<std::string> program() const;

 private:
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };
  SeccompFilter(void* context, uint32_t default_action) : context_(context), default_action_(default_action) {}
  std::unique_ptr<void, Release> context_;
  uint32_t default_action_;
};

}  // namespace keelson::cri
