// SPDX-License-Identifier: Apache-2.0
// Which address belongs to which container. Without a keeper of its own, addresses leak over reboots, a late DEL frees
// an address that has a new owner, and an address is used again while others still talk to its old owner.
//
// A lease is keyed by container id and interface; it is void after a reboot (boot id). A freed address rests before it
// is given out again, and then the longest-rested goes first. The file is replaced whole under a lock, so a kill at any
// instant leaves the old state or the new one.
//
//   keelson-ipam 1 <boot id>
//   <address> <container id> <interface> held 0
//   <address> <container id> <interface> freed <unix seconds>
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/fd.h"
#include "common/result.h"

namespace keelson::cni {

/// A subnet of either family.
struct Subnet {
  bool six = false;
  unsigned char base[16] = {};  ///< network order; an IPv4 base is in the first 4 bytes
  int prefix = 0;
  /// "10.1.0.0/24", "fd00::/112". Kind::invalid says what is wrong with it.
  static Result<Subnet> parse(const std::string& text);
  /// Its n-th address as text; n counts from the base.
  std::string at(uint64_t n) const;
  /// How many there are (at most 2^32 are used).
  uint64_t size() const;
  /// The router's address: the first after the base.
  std::string gateway() const { return at(1); }
};

struct Lease {
  std::string address;
  std::string container_id;
  std::string interface;
  bool held = true;
  int64_t freed_at = 0;
};

/// The leases of one network. Each call locks the store, reads it, and replaces it if something changed. Many processes
/// may call at once.
class LeaseStore {
 public:
  struct Options {
    std::string path;  ///< the file; its folder is made
    std::string boot_id;
  };
  explicit LeaseStore(Options options) : options_(std::move(options)) {}

  /// One address of each subnet for this attachment: those it has already, or free ones. Kind::exhausted names the
  /// subnet.
  Result<std::vector<std::string>> allocate(const std::vector<Subnet>& subnets, const std::string& container_id,
                                            const std::string& interface);
  /// What the attachment holds.
  Result<std::vector<std::string>> find(const std::string& container_id, const std::string& interface);
  /// Frees what it holds; nothing is success, so it may be called any number of times in any order.
  Result<> release(const std::string& container_id, const std::string& interface, int64_t now);
  struct Key {
    std::string container_id;
    std::string interface;
  };
  /// Frees all that no key holds (CNI GC).
  Result<> keep_only(const std::vector<Key>& valid, int64_t now);
  /// The held leases.
  Result<std::vector<Lease>> list();

 private:
  Result<Fd> lock() const;
  Result<std::vector<Lease>> read() const;
  Result<> write(const std::vector<Lease>& leases) const;
  Options options_;
};

/// This boot's id (/proc/sys/kernel/random/boot_id).
Result<std::string> read_boot_id();

}  // namespace keelson::cni
