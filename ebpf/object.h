// SPDX-License-Identifier: Apache-2.0
// The compiled object of all programs and maps, between opening it and having it in the kernel.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/fd.h"
#include "common/result.h"
#include "ebpf/generation.h"
#include "ebpf/layout.h"
#include "ebpf/programs.h"

struct services_bpf;
struct bpf_map;

namespace keelson::ebpf {

/// One thread at a time. What it has loaded goes with it, but for what is pinned or attached.
class ServicesObject {
 public:
  static Result<ServicesObject> open();
  ServicesObject(ServicesObject&&) noexcept = default;
  ServicesObject& operator=(ServicesObject&&) noexcept = default;

  const Layout& layout() const { return layout_; }
  std::vector<std::byte> encoded_layout() const;

  /// Before load(): maps of this generation are used as they are, where they have the same form; with `sizes` only
  /// where they have that size, too. Maps of sockets always: they cannot be copied.
  Result<> reuse(const Source& source, const ProgramSizes* sizes);
  /// Before load(): of maps that are not used again. None smaller than that of the source, if there is one.
  Result<> set_sizes(const ProgramSizes& sizes, const Source* source);
  bool reuses(const std::string& map) const;
  /// The rows of connections have to be moved into new tables: where the tables are others, or as said before reuse().
  bool moves_connections() const { return moves_connections_; }
  void move_connections() { moves_connections_ = true; }

  /// Kind::unsupported or invalid with the verifier's last lines: this kernel refuses a program.
  Result<> load(uint32_t hash_seed);

  struct Map {
    std::string name;
    int fd;
    bool has_rows;  ///< That are the same for all CPUs, and can be read and written.
  };
  /// These, after load():
  /// Maps that are pinned.
  const std::vector<Map>& maps() const { return maps_; }
  /// -1: none of that name.
  int map(const std::string& name) const;
  ProgramSizes sizes() const { return sizes_; }
  int program(const std::string& name) const;
  uint32_t hash_seed() const { return hash_seed_; }

  /// Keeps descriptors alone: the code of the programs and their types are megabytes.
  void forget_code();

 private:
  struct Destroy {
    void operator()(services_bpf* skeleton) const;
  };
  ServicesObject() = default;
  Result<bool> reuse(bpf_map* map, const Source& source, const ProgramSizes* sizes);
  Result<> keep_descriptors();

  std::unique_ptr<services_bpf, Destroy> skeleton_;
  Layout layout_;
  std::vector<std::string> reused_;
  bool moves_connections_ = false;
  std::vector<Map> maps_;
  std::map<std::string, int> programs_;
  std::vector<Fd> descriptors_;  // of both
  ProgramSizes sizes_;
  uint32_t hash_seed_ = 0;
};

}  // namespace keelson::ebpf
