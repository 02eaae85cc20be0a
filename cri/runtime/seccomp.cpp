// SPDX-License-Identifier: Apache-2.0
// The default seccomp filter, and the export of any filter as bytes.
#include "cri/runtime/seccomp.h"

#include <linux/sched.h>
#include <sys/socket.h>

#include <map>
#include <mutex>
#include <set>

#include <boost/json.hpp>

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

struct Rule {
  uint32_t action = SCMP_ACT_ALLOW;
  std::string_view syscall;
  std::vector<SeccompArgument> arguments{};
};

/// What goes beyond EPERM.
std::vector<Rule> default_rules(Capabilities bounding) {
  std::vector<Rule> rules;
  const auto allow = [&rules](auto names) {
    for (const std::string_view name : names) {
      rules.push_back({.syscall = name});
    }
  };
  allow(std::span(kSeccompAlways));
  allow(std::span(kSeccompArch));
  for (const auto& grant : kSeccompGrants) {
    if ((bounding >> grant.capability & 1) != 0) {
      allow(grant.syscalls);
    }
  }
  rules.push_back({.syscall = "socket", .arguments = {SeccompArgument{0, SCMP_CMP_NE, AF_VSOCK, 0}}});
  for (const auto value : kPersonalities) {
    rules.push_back({.syscall = "personality", .arguments = {SeccompArgument{0, SCMP_CMP_EQ, value, 0}}});
  }
  if ((bounding >> CAP_SYS_ADMIN & 1) == 0) {  // otherwise clone and clone3 are in its grant
    rules.push_back({.syscall = "clone",
                     .arguments = {SeccompArgument{kCloneFlagsArgument, SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0}}});
    rules.push_back({.action = SCMP_ACT_ERRNO(ENOSYS), .syscall = "clone3"});
  }
  return rules;
}

Result<std::string> build_default(Capabilities bounding) {
  KEELSON_TRY(auto filter, SeccompFilter::create(SCMP_ACT_ERRNO(EPERM)));
  filter.add_native_architectures();
  for (const auto& rule : default_rules(bounding)) {
    KEELSON_DO(filter.rule(rule.action, rule.syscall, rule.arguments));
  }
  return filter.program();
}

std::string_view name_of(scmp_compare op) {
  return op == SCMP_CMP_NE ? "SCMP_CMP_NE" : op == SCMP_CMP_EQ ? "SCMP_CMP_EQ" : "SCMP_CMP_MASKED_EQ";
}

boost::json::object document_of(const Rule& rule) {
  boost::json::object item;
  item["names"] = boost::json::array{boost::json::value(rule.syscall)};
  if (rule.action == SCMP_ACT_ALLOW) {
    item["action"] = "SCMP_ACT_ALLOW";
  } else {
    item["action"] = "SCMP_ACT_ERRNO";
    item["errnoRet"] = rule.action & 0xffff;
  }
  boost::json::array arguments;
  for (const auto& argument : rule.arguments) {
    arguments.push_back(boost::json::object{{"index", argument.index},
                                            {"value", argument.value},
                                            {"valueTwo", argument.value_two},
                                            {"op", name_of(argument.op)}});
  }
  if (!arguments.empty()) {
    item["args"] = std::move(arguments);
  }
  return item;
}

boost::json::array native_architectures() {
#if defined(__x86_64__)
  return {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
  return {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#elif defined(__s390x__)
  return {"SCMP_ARCH_S390X", "SCMP_ARCH_S390"};
#else
  return {};
#endif
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

std::string default_seccomp_document(Capabilities bounding) {
  boost::json::array allowed;
  boost::json::array others;
  std::set<std::string_view> seen;
  for (const auto& rule : default_rules(bounding)) {
    if (rule.action != SCMP_ACT_ALLOW || !rule.arguments.empty()) {
      others.push_back(document_of(rule));
    } else if (seen.insert(rule.syscall).second) {
      allowed.push_back(boost::json::value(rule.syscall));
    }
  }
  boost::json::array calls;
  calls.push_back(boost::json::object{{"names", std::move(allowed)}, {"action", "SCMP_ACT_ALLOW"}});
  calls.insert(calls.end(), others.begin(), others.end());
  return boost::json::serialize(boost::json::object{{"defaultAction", "SCMP_ACT_ERRNO"},
                                                    {"defaultErrnoRet", EPERM},
                                                    {"architectures", native_architectures()},
                                                    {"syscalls", std::move(calls)}});
}

}  // namespace keelson::cri
