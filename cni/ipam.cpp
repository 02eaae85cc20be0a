// SPDX-License-Identifier: Apache-2.0
// Subnets and the lease file.
#include "cni/ipam.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "common/atomic_file.h"

namespace keelson::cni {

namespace {

constexpr const char* kMagic = "keelson-ipam 1";

/// Two equal for two spellings of one address.
std::string canonical(const std::string& address) {
  unsigned char bytes[16];
  char text[INET6_ADDRSTRLEN] = "";
  int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (::inet_pton(family, address.c_str(), bytes) != 1) {
    return address;
  }
  return ::inet_ntop(family, bytes, text, sizeof text);
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at < line.size()) {
    auto space = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, space - at));
    at = space + 1;
  }
  return words;
}

bool inside(const Subnet& subnet, const std::string& address) {
  unsigned char bytes[16] = {};
  if (::inet_pton(subnet.six ? AF_INET6 : AF_INET, address.c_str(), bytes) != 1) {
    return false;
  }
  for (int bit = 0; bit < subnet.prefix; ++bit) {
    int mask = 0x80 >> (bit % 8);
    if ((bytes[bit / 8] & mask) != (subnet.base[bit / 8] & mask)) {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<Subnet> Subnet::parse(const std::string& text) {
  auto slash = text.find('/');
  Subnet subnet;
  std::string address = text.substr(0, slash);
  subnet.six = address.find(':') != std::string::npos;
  int bits = subnet.six ? 128 : 32;
  if (slash == std::string::npos || ::inet_pton(subnet.six ? AF_INET6 : AF_INET, address.c_str(), subnet.base) != 1) {
    return fail(Kind::invalid, "'{}' is not a subnet such as 10.1.0.0/24 or fd00::/112", text);
  }
  auto [end, error] = std::from_chars(text.data() + slash + 1, text.data() + text.size(), subnet.prefix);
  if (error != std::errc() || end != text.data() + text.size() || subnet.prefix < 1 || subnet.prefix > bits - 2) {
    return fail(Kind::invalid, "'{}': the prefix length must be 1 to {}", text, bits - 2);
  }
  for (int bit = subnet.prefix; bit < bits; ++bit) {
    if ((subnet.base[bit / 8] & (0x80 >> (bit % 8))) != 0) {
      return fail(Kind::invalid, "'{}' has host bits set; write the network's own address", text);
    }
  }
  return subnet;
}

std::string Subnet::at(uint64_t n) const {
  unsigned char bytes[16];
  std::memcpy(bytes, base, sizeof bytes);
  for (int i = (six ? 16 : 4) - 1; i >= 0 && n > 0; --i, n >>= 8) {
    bytes[i] = static_cast<unsigned char>(bytes[i] | (n & 0xff));
  }
  char text[INET6_ADDRSTRLEN] = "";
  return ::inet_ntop(six ? AF_INET6 : AF_INET, bytes, text, sizeof text);
}

uint64_t Subnet::size() const {
  int bits = (six ? 128 : 32) - prefix;
  return uint64_t{1} << std::min(bits, 32);
}

Result<Fd> LeaseStore::lock() const {
  const auto folder = options_.path.substr(0, options_.path.find_last_of('/'));
  KEELSON_DO(make_directories(folder, 0700));
  KEELSON_TRY(auto fd, open_file(options_.path + ".lock", O_RDWR | O_CREAT, 0600));
  if (::flock(fd.get(), LOCK_EX) < 0) {
    return fail_errno(errno, "lock {}", options_.path);
  }
  remove_unfinished(folder);
  return fd;
}

Result<std::vector<Lease>> LeaseStore::read() const {
  std::vector<Lease> leases;
  auto text = read_file(options_.path);
  if (!text) {
    return text.error().kind() == Kind::not_found ? Result<std::vector<Lease>>(leases)
                                                  : std::unexpected(std::move(text).error());
  }
  size_t at = 0;
  bool first = true;
  while (at < text->size()) {
    auto end = std::min(text->find('\n', at), text->size());
    std::string line = text->substr(at, end - at);
    at = end + 1;
    if (std::exchange(first, false)) {
      if (line == fmt::format("{} {}", kMagic, options_.boot_id)) {
        continue;
      }
      if (line.starts_with(kMagic)) {
        return leases;  // of another boot: no container of it is alive
      }
      return fail(Kind::internal, "{}: not a lease file of this version; move it away to start afresh", options_.path);
    }
    auto words = words_of(line);
    if (words.size() != 5) {
      return fail(Kind::internal, "{}: broken line '{}'", options_.path, line);
    }
    leases.push_back({words[0], words[1], words[2], words[3] == "held", std::atoll(words[4].c_str())});
  }
  return leases;
}

Result<> LeaseStore::write(const std::vector<Lease>& leases) const {
  std::string text = fmt::format("{} {}\n", kMagic, options_.boot_id);
  for (const auto& lease : leases) {
    text += fmt::format("{} {} {} {} {}\n", lease.address, lease.container_id, lease.interface,
                        lease.held ? "held" : "freed", lease.freed_at);
  }
  return write_file_atomic(options_.path, text, 0600);
}

namespace {

/// A free address of the subnet: one never given out, else the longest-freed, whether it has rested enough or not.
Result<std::string> choose(const Subnet& subnet, const std::vector<Lease>& leases) {
  std::set<std::string> known;
  const Lease* oldest = nullptr;
  for (const auto& lease : leases) {
    if (!inside(subnet, lease.address)) {
      continue;
    }
    known.insert(lease.address);
    if (!lease.held && (oldest == nullptr || lease.freed_at < oldest->freed_at)) {
      oldest = &lease;
    }
  }
  // 0 is the network, 1 the gateway, the last of IPv4 the broadcast address.
  uint64_t end = subnet.size() - (subnet.six ? 0 : 1);
  for (uint64_t n = 2; n < end && n < known.size() + 3; ++n) {
    auto address = subnet.at(n);
    if (!known.contains(address)) {
      return address;
    }
  }
  if (oldest != nullptr) {
    return oldest->address;
  }
  return fail(Kind::exhausted, "no free address: all {} are held", known.size());
}

}  // namespace

Result<std::vector<std::string>> LeaseStore::allocate(const std::vector<Subnet>& subnets,
                                                      const std::string& container_id, const std::string& interface) {
  KEELSON_TRY(auto held_lock, lock());
  KEELSON_TRY(auto leases, read());
  std::vector<std::string> addresses;
  bool changed = false;
  for (const auto& subnet : subnets) {
    auto own = std::find_if(leases.begin(), leases.end(), [&](const Lease& lease) {
      return lease.held && lease.container_id == container_id && lease.interface == interface &&
             inside(subnet, lease.address);
    });
    if (own != leases.end()) {
      addresses.push_back(own->address);
      continue;
    }
    KEELSON_TRY(auto address, choose(subnet, leases).context("subnet {}/{}", subnet.at(0), subnet.prefix));
    std::erase_if(leases, [&](const Lease& lease) { return lease.address == address; });
    leases.push_back({canonical(address), container_id, interface, true, 0});
    addresses.push_back(address);
    changed = true;
  }
  if (changed) {
    KEELSON_DO(write(leases));
  }
  return addresses;
}

Result<std::vector<std::string>> LeaseStore::find(const std::string& container_id, const std::string& interface) {
  KEELSON_TRY(auto held_lock, lock());
  KEELSON_TRY(auto leases, read());
  std::vector<std::string> addresses;
  for (const auto& lease : leases) {
    if (lease.held && lease.container_id == container_id && lease.interface == interface) {
      addresses.push_back(lease.address);
    }
  }
  return addresses;
}

Result<> LeaseStore::release(const std::string& container_id, const std::string& interface, int64_t now) {
  KEELSON_TRY(auto held_lock, lock());
  KEELSON_TRY(auto leases, read());
  bool changed = false;
  for (auto& lease : leases) {
    if (lease.held && lease.container_id == container_id && lease.interface == interface) {
      lease.held = false;
      lease.freed_at = now;
      changed = true;
    }
  }
  return changed ? write(leases) : Result<>();
}

Result<> LeaseStore::keep_only(const std::vector<Key>& valid, int64_t now) {
  KEELSON_TRY(auto held_lock, lock());
  KEELSON_TRY(auto leases, read());
  bool changed = false;
  for (auto& lease : leases) {
    bool kept = std::any_of(valid.begin(), valid.end(), [&](const Key& key) {
      return key.container_id == lease.container_id && key.interface == lease.interface;
    });
    if (lease.held && !kept) {
      lease.held = false;
      lease.freed_at = now;
      changed = true;
    }
  }
  return changed ? write(leases) : Result<>();
}

Result<std::vector<Lease>> LeaseStore::list() {
  KEELSON_TRY(auto held_lock, lock());
  KEELSON_TRY(auto leases, read());
  std::erase_if(leases, [](const Lease& lease) { return !lease.held; });
  return leases;
}

Result<std::string> read_boot_id() {
  KEELSON_TRY(auto text, read_file("/proc/sys/kernel/random/boot_id"));
  return text.substr(0, text.find('\n'));
}

}  // namespace keelson::cni
