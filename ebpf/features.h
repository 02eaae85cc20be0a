// SPDX-License-Identifier: Apache-2.0
// What this kernel has of what the programs can use, asked by trying: versions say little, for distributions add and
// leave out.
#pragma once

#include <string>
#include <vector>

namespace keelson::ebpf {

struct Feature {
  const char* name;     ///< "tcx"
  const char* since;    ///< "6.6": the Linux that brought it.
  const char* purpose;  ///< What it is for; of one that is not needed: what is done without it.
  bool needed;
  bool present;
};

/// All of them. Loads programs of a few instructions and makes small maps, which are gone afterwards; takes some
/// milliseconds and CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: without these nothing is present.
std::vector<Feature> probe_features();

/// "tcx (Linux 6.6), ring buffers (Linux 5.8)": those that are needed and absent; empty: none.
std::string missing_features(const std::vector<Feature>& features);

/// Cheaper: these alone, which the loader chooses by.
bool has_coarse_clock();  ///< bpf_ktime_get_coarse_ns
bool has_set_retval();    ///< bpf_set_retval in programs of sockets
bool has_sock_release();  ///< programs of cgroups that run when a socket is closed

}  // namespace keelson::ebpf
