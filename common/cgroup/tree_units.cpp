// SPDX-License-Identifier: Apache-2.0
// tree.h: folders that are systemd's units.
#include "common/cgroup/systemd.h"
#include "common/cgroup/tree.h"
#include "common/fd.h"

namespace keelson::cgroup {

namespace {

constexpr std::string_view kScope = ".scope";
constexpr int kOccupations = 5;

/// What every unit of ours has. All is counted from the start: the kernel does not count backwards.
std::vector<UnitProperty> common_properties(const std::string& unit, bool unified) {
  return {{"Description", "keelson " + unit},
          {"DefaultDependencies", false},
          {"MemoryAccounting", true},
          {"CPUAccounting", true},
          {unified ? "IOAccounting" : "BlockIOAccounting", true},
          {"TasksAccounting", true}};
}

Result<> check_path(const std::string& path) {
  const auto unit = unit_of(path);
  const auto slice = slice_of(path);
  const bool scope = unit.ends_with(kScope) && path == slice_path(slice) + "/" + unit;
  if (scope || (is_slice(unit) && path == slice_path(unit))) {
    return {};
  }
  return fail(Kind::invalid, "cgroup {}: it is not in a slice, and systemd makes the cgroups here (cgroup driver)",
              path);
}

}  // namespace

Result<Hold> Tree::start_unit(const std::string& path, const Limits& limits) const {
  KEELSON_DO(check_path(path));
  const auto unit = unit_of(path);
  const auto slice = slice_of(path);
  auto properties = common_properties(unit, unified());
  KEELSON_TRY(const auto wanted, properties_of(limits, unified()));
  properties.insert(properties.end(), wanted.begin(), wanted.end());
  if (is_slice(unit)) {
    properties.push_back({"Wants", std::vector<std::string>{slice}});
    auto started = systemd_->start(unit, properties);
    if (!started && started.error().kind() == Kind::exists) {  // made as the parent of another, or by an earlier call
      started = wanted.empty() ? Result<>() : systemd_->set(unit, wanted);
    }
    return started ? Result<Hold>(Hold()) : std::unexpected(started.error());
  }
  KEELSON_TRY(auto hold, Hold::start());
  properties.push_back({"Slice", slice});
  properties.push_back({"Delegate", true});
  properties.push_back({"CollectMode", std::string("inactive-or-failed")});
  properties.push_back({"PIDs", std::vector<uint32_t>{static_cast<uint32_t>(hold.pid())}});
  auto started = systemd_->start(unit, properties);
  if (!started && started.error().kind() == Kind::not_found) {
    // A slice comes by itself, but for one that systemd remembers to have had a file, which went when it was stopped.
    KEELSON_DO(start_unit(path.substr(0, path.rfind('/')), {}));
    started = systemd_->start(unit, properties);
  }
  return started ? Result<Hold>(std::move(hold)) : std::unexpected(started.error());
}

/// Of v1's hierarchies systemd leaves those alone that it does not know, and clears up the others that it has no use
/// for, soon after the start, where nobody is inside.
Result<> Tree::occupy(const std::string& path, const Hold& hold) const {
  for (const auto& hierarchy : hierarchies_) {
    Result<> inside;
    for (int attempt = 0; attempt < kOccupations && !hierarchy.second; ++attempt) {
      inside = write_value(hierarchy.root + path + "/tasks", std::to_string(hold.pid()));
      if (inside || inside.error().kind() != Kind::not_found) {
        break;
      }
      KEELSON_DO(make_folders(path));
    }
    KEELSON_DO(std::move(inside));
  }
  return {};
}

Result<> Tree::set_unit(const std::string& path, const Limits& limits) const {
  KEELSON_TRY(const auto wanted, properties_of(limits, unified()));
  return wanted.empty() ? Result<>() : systemd_->set(unit_of(path), wanted);
}

}  // namespace keelson::cgroup
