// SPDX-License-Identifier: Apache-2.0
#include "ebpf/hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <algorithm>
#include <filesystem>

#include "ebpf/pinned_links.h"
#include "ebpf/socket_hooks.h"
#include "ebpf/tc_filters.h"

namespace keelson::ebpf {
namespace {

// Newer than the headers of Debian 12.
constexpr int kTcxIngress = 46;
constexpr int kTcxEgress = 47;
constexpr uint32_t kMostPrograms = 64;

uint32_t id_of(int program) {
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  return program >= 0 && bpf_obj_get_info_by_fd(program, &info, &size) == 0 ? info.id : 0;
}

// `target`: a cgroup's descriptor, or for tc a link's number (one union in bpf_attr).
bool runs(int target, int attach_type, uint32_t id) {
  uint32_t ids[kMostPrograms], count = kMostPrograms, flags = 0;
  if (id == 0 || bpf_prog_query(target, static_cast<bpf_attach_type>(attach_type), 0, &flags, ids, &count) != 0) {
    return false;
  }
  return std::find(ids, ids + std::min(count, kMostPrograms), id) != ids + std::min(count, kMostPrograms);
}

// By tcx, or by a filter.
bool runs_on(int ifindex, TcSide side, uint32_t id) {
  return runs(ifindex, side == TcSide::ingress ? kTcxIngress : kTcxEgress, id) ||
         (id != 0 && filter_program(ifindex, side) == id);
}

}  // namespace

std::vector<LinkHooks> link_hooks(const Programs& programs) {
  std::vector<LinkHooks> result;
  for (int ifindex : programs.attached_links()) {
    LinkHooks link{.ifindex = ifindex};
    char name[IF_NAMESIZE] = "";
    if (if_indextoname(static_cast<unsigned>(ifindex), name)) {
      link.name = name;
    }
    auto key = static_cast<uint32_t>(ifindex);
    uint32_t kind = 0;
    if (bpf_map_lookup_elem(programs.map("links"), &key, &kind) == 0) {
      link.kind = static_cast<LinkKind>(kind);
    }
    const char* ingress = link.kind == LinkKind::pod ? "pod_ingress" : "uplink_ingress";
    if (runs_on(ifindex, TcSide::ingress, id_of(programs.program(ingress)))) {
      link.hooks.push_back("tc-ingress");
    }
    if (runs_on(ifindex, TcSide::egress, id_of(programs.program("node_egress")))) {
      link.hooks.push_back("tc-egress");
    }
    uint32_t xdp = 0;
    if (bpf_xdp_query_id(ifindex, 0, &xdp) == 0 && xdp != 0 && xdp == id_of(programs.program("uplink_xdp"))) {
      link.hooks.push_back("xdp");
    }
    result.push_back(std::move(link));
  }
  return result;
}

Result<> remove_pins(const std::string& folder) {
  KEELSON_DO(PinnedLinks(folder + "/links").remove());
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) {
    return fail_errno(error.value(), "remove the pins in {}", folder);
  }
  return {};
}

Result<std::vector<std::string>> socket_hooks(const Programs& programs, const std::string& cgroup) {
  KEELSON_TRY(auto directory, open_file(cgroup, O_RDONLY | O_DIRECTORY));
  std::vector<std::string> result;
  for (auto [name, type] : kSocketHooks) {
    if (runs(directory.get(), type, id_of(programs.program(name)))) {
      result.emplace_back(name);
    }
  }
  return result;
}

}  // namespace keelson::ebpf
