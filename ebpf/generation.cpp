// SPDX-License-Identifier: Apache-2.0
#include "ebpf/generation.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "ebpf/bpf/abi.h"

namespace keelson::ebpf {
namespace {

namespace fs = std::filesystem;

Result<> pin(int fd, const std::string& path) {
  if (bpf_obj_pin(fd, path.c_str()) != 0) {
    return fail_errno(errno, "pin {}", path);
  }
  return {};
}

}  // namespace

std::vector<Generation> Generation::list(const std::string& pins) {
  std::vector<Generation> result;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(pins, ignored)) {
    auto name = entry.path().filename().string();
    uint32_t number = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) {
      result.emplace_back(pins, number);
    }
  }
  std::ranges::sort(result, {}, &Generation::number);
  return result;
}

bool Generation::is_complete() const {
  return access(path("layout").c_str(), F_OK) == 0;
}

uint32_t Generation::phase() const {
  Fd transition = map("transition");
  kl_transition row{};
  uint32_t key = 0;
  return transition && bpf_map_lookup_elem(transition.get(), &key, &row) == 0 ? row.phase : KL_PHASE_ALONE;
}

Result<Layout> Generation::layout() const {
  Fd pinned(bpf_obj_get(path("layout").c_str()));
  bpf_map_info info{};
  uint32_t size = sizeof info, key = 0;
  if (!pinned || bpf_obj_get_info_by_fd(pinned.get(), &info, &size) != 0) {
    return fail_errno(errno, "open {}", path("layout"));
  }
  std::vector<std::byte> bytes(info.value_size);
  if (bpf_map_lookup_elem(pinned.get(), &key, bytes.data()) != 0) {
    return fail_errno(errno, "read {}", path("layout"));
  }
  return Layout::decode(bytes).context("{}", path("layout"));
}

Fd Generation::map(const std::string& name) const {
  return Fd(bpf_obj_get(path("maps/" + name).c_str()));
}

Fd Generation::program(const std::string& hook) const {
  return Fd(bpf_obj_get(path("programs/" + hook).c_str()));
}

Result<> Generation::make() const {
  for (const char* folder : {"maps", "programs"}) {
    std::error_code error;
    fs::create_directories(path(folder), error);
    if (error) {
      return fail_errno(error.value(), "make {}: is a bpffs mounted there?", path(folder));
    }
  }
  return {};
}

Result<> Generation::pin_map(int map, const std::string& name) const {
  return pin(map, path("maps/" + name));
}

Result<> Generation::pin_program(int program, const std::string& hook) const {
  auto next = path("programs/next-" + hook), place = path("programs/" + hook);
  std::error_code ignored;
  fs::remove(next, ignored);
  KEELSON_DO(pin(program, next));
  if (rename(next.c_str(), place.c_str()) != 0) {
    return fail_errno(errno, "rename {}", next);
  }
  return {};
}

Result<> Generation::pin_layout(std::span<const std::byte> layout) const {
  Fd map(
      bpf_map_create(BPF_MAP_TYPE_ARRAY, "layout", sizeof(uint32_t), static_cast<uint32_t>(layout.size()), 1, nullptr));
  uint32_t key = 0;
  if (!map || bpf_map_update_elem(map.get(), &key, layout.data(), BPF_ANY) != 0) {
    return fail_errno(errno, "write the layout of {} bytes", layout.size());
  }
  return pin(map.get(), path("layout"));
}

Result<> Generation::unpin_map(const std::string& name) const {
  std::error_code error;
  fs::remove(path("maps/" + name), error);
  if (error) {
    return fail_errno(error.value(), "remove {}", path("maps/" + name));
  }
  return {};
}

Result<> Generation::remove() const {
  std::error_code error;
  // From now on it is incomplete, whatever happens.
  fs::remove(path("layout"), error);
  fs::remove_all(path(""), error);
  if (error) {
    return fail_errno(error.value(), "remove {}", path(""));
  }
  return {};
}

}  // namespace keelson::ebpf
