// SPDX-License-Identifier: Apache-2.0
// device_filter.h: rules as BPF instructions, one after the other, through libbpf.
#include "common/cgroup/device_filter.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <sstream>

#include "common/fd.h"

namespace keelson::cgroup {

namespace {

constexpr const char* kName = "keelson_devices";  // 15 characters are kept
constexpr size_t kMostPrograms = 64;              // the kernel's own limit for a cgroup
constexpr int32_t kAllAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

struct Rule {
  int32_t type = 0;  // BPF_DEVCG_DEV_*; 0: any
  int32_t access = kAllAccess;
  std::optional<int32_t> major, minor;
};

std::unexpected<Error> wrong(const std::string& text) {
  return fail(Kind::invalid, "device rule \"{}\": not as \"c 10:200 rwm\"", text);
}

bool parse_number(std::string_view text, std::optional<int32_t>& number) {
  if (text == "*") {
    return true;
  }
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  number = value;
  return error == std::errc() && end == text.data() + text.size() && value >= 0;
}

Result<Rule> parse(const std::string& text) {
  if (text == "a") {
    return Rule{};
  }
  std::istringstream words(text);
  std::string type, number, access, more;
  words >> type >> number >> access;
  const auto colon = number.find(':');
  Rule rule{.type = type == "c" ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK, .access = 0};
  if ((type != "c" && type != "b") || words >> more || colon == std::string::npos || access.empty() ||
      !parse_number(std::string_view(number).substr(0, colon), rule.major) ||
      !parse_number(std::string_view(number).substr(colon + 1), rule.minor)) {
    return wrong(text);
  }
  for (const char letter : access) {
    const auto bit = letter == 'r'   ? BPF_DEVCG_ACC_READ
                     : letter == 'w' ? BPF_DEVCG_ACC_WRITE
                     : letter == 'm' ? BPF_DEVCG_ACC_MKNOD
                                     : 0;
    if (bit == 0) {
      return wrong(text);
    }
    rule.access |= bit;
  }
  return rule;
}

constexpr uint8_t kContext = BPF_REG_1;
constexpr uint8_t kType = BPF_REG_2;
constexpr uint8_t kAccess = BPF_REG_3;
constexpr uint8_t kMajor = BPF_REG_4;
constexpr uint8_t kMinor = BPF_REG_5;
constexpr uint8_t kScratch = BPF_REG_6;

bpf_insn instruction(uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  return {.code = code, .dst_reg = to, .src_reg = from, .off = offset, .imm = value};
}

bpf_insn load(uint8_t to, size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, kContext, static_cast<int16_t>(offset), 0);
}

void answer(std::vector<bpf_insn>& program, int32_t value) {
  program.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value));
  program.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

/// Allows what the rule allows; another request jumps past it.
void add(std::vector<bpf_insn>& program, const Rule& rule) {
  std::vector<size_t> jumps;
  const auto leave_unless = [&](uint8_t left, uint8_t how, uint8_t right, int32_t value) {
    jumps.push_back(program.size());
    program.push_back(instruction(BPF_JMP | BPF_JNE | how, left, right, 0, value));
  };
  if (rule.type != 0) {
    leave_unless(kType, BPF_K, 0, rule.type);
  }
  if (rule.access != kAllAccess) {  // all that is asked for has to be allowed
    program.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_X, kScratch, kAccess, 0, 0));
    program.push_back(instruction(BPF_ALU64 | BPF_AND | BPF_K, kScratch, 0, 0, rule.access));
    leave_unless(kScratch, BPF_X, kAccess, 0);
  }
  if (rule.major) {
    leave_unless(kMajor, BPF_K, 0, *rule.major);
  }
  if (rule.minor) {
    leave_unless(kMinor, BPF_K, 0, *rule.minor);
  }
  answer(program, 1);
  for (const auto jump : jumps) {
    program[jump].off = static_cast<int16_t>(program.size() - jump - 1);
  }
}

Result<Fd> load_program(const std::vector<std::string>& allowed) {
  std::vector<bpf_insn> program = {
      load(kAccess, offsetof(bpf_cgroup_dev_ctx, access_type)),  // the type below, the access above 16 bits
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, kType, kAccess, 0, 0),
      instruction(BPF_ALU64 | BPF_AND | BPF_K, kType, 0, 0, 0xffff),
      instruction(BPF_ALU64 | BPF_RSH | BPF_K, kAccess, 0, 0, 16),
      load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  bool all = false;
  for (const auto& text : allowed) {
    KEELSON_TRY(const auto rule, parse(text));
    if (!all) {  // the kernel takes no instruction that is never reached
      add(program, rule);
    }
    all = all || rule.type == 0;
  }
  if (!all) {
    answer(program, 0);
  }
  Fd loaded(::bpf_prog_load(BPF_PROG_TYPE_CGROUP_DEVICE, kName, "Apache-2.0", program.data(), program.size(), nullptr));
  if (!loaded) {
    return fail_errno(errno, "load the filter of devices");
  }
  return loaded;
}

/// Our programs that are attached to the cgroup itself.
std::vector<Fd> attached(int cgroup) {
  std::array<uint32_t, kMostPrograms> ids{};
  auto count = static_cast<uint32_t>(ids.size());
  uint32_t flags = 0;
  std::vector<Fd> ours;
  if (::bpf_prog_query(cgroup, BPF_CGROUP_DEVICE, 0, &flags, ids.data(), &count) < 0) {
    return ours;
  }
  for (uint32_t i = 0; i < count; ++i) {
    Fd program(::bpf_prog_get_fd_by_id(ids[i]));
    bpf_prog_info info{};
    uint32_t size = sizeof info;
    if (program && ::bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 && std::strcmp(info.name, kName) == 0) {
      ours.push_back(std::move(program));
    }
  }
  return ours;
}

}  // namespace

Result<> attach_device_filter(const std::string& dir, const std::vector<std::string>& allowed) {
  KEELSON_TRY(const auto program, load_program(allowed));
  KEELSON_TRY(const auto cgroup, open_file(dir, O_RDONLY | O_DIRECTORY));
  const auto old = attached(cgroup.get());
  if (::bpf_prog_attach(program.get(), cgroup.get(), BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI) < 0) {
    return fail_errno(errno, "attach the filter of devices to {}", dir);
  }
  for (const auto& earlier : old) {
    if (::bpf_prog_detach2(earlier.get(), cgroup.get(), BPF_CGROUP_DEVICE) < 0) {
      return fail_errno(errno, "take the earlier filter of devices off {}", dir);
    }
  }
  return {};
}

}  // namespace keelson::cgroup
