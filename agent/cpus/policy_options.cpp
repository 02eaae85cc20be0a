// SPDX-License-Identifier: Apache-2.0
#include "agent/cpus/policy_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace keelson::cpus {

namespace {

enum class Stage { alpha, beta, stable };

struct Option {
  std::string_view name;
  Stage stage;
  bool StaticOptions::* field;
};

constexpr Option kOptions[] = {
    {"full-pcpus-only", Stage::stable, &StaticOptions::full_cores},
    {"distribute-cpus-across-numa", Stage::beta, &StaticOptions::across_numa},
    {"align-by-socket", Stage::alpha, &StaticOptions::by_socket},
    {"distribute-cpus-across-cores", Stage::alpha, &StaticOptions::across_cores},
    {"strict-cpu-reservation", Stage::beta, &StaticOptions::strict_reservation},
    {"prefer-align-cpus-by-uncorecache", Stage::beta, &StaticOptions::by_uncore},
};

std::string_view name_of(bool StaticOptions::* field) {
  return std::ranges::find(kOptions, field, &Option::field)->name;
}

/// As Go's strconv.ParseBool.
std::optional<bool> truth_of(std::string_view text) {
  constexpr std::string_view kTrue[] = {"1", "t", "T", "true", "TRUE", "True"};
  constexpr std::string_view kFalse[] = {"0", "f", "F", "false", "FALSE", "False"};
  if (std::ranges::find(kTrue, text) != std::end(kTrue)) {
    return true;
  }
  return std::ranges::find(kFalse, text) != std::end(kFalse) ? std::optional(false) : std::nullopt;
}

Result<> check_gate(const Option& option, OptionGates gates) {
  if (option.stage == Stage::alpha && !gates.alpha) {
    return fail(Kind::invalid, "CPU Manager Policy Alpha-level Options not enabled, but option \"{}\" provided",
                option.name);
  }
  if (option.stage == Stage::beta && !gates.beta) {
    return fail(Kind::invalid, "CPU Manager Policy Beta-level Options not enabled, but option \"{}\" provided",
                option.name);
  }
  return {};
}

}  // namespace

Result<StaticOptions> parse_static_options(const std::map<std::string, std::string>& options, OptionGates gates) {
  StaticOptions parsed;
  for (const auto& [name, value] : options) {
    const auto known = std::ranges::find(kOptions, name, &Option::name);
    if (known == std::end(kOptions)) {
      return fail(Kind::invalid, "unknown CPU Manager Policy option: \"{}\"", name);
    }
    KEELSON_DO(check_gate(*known, gates));
    const auto truth = truth_of(value);
    if (!truth) {
      return fail(Kind::invalid, "bad value for option \"{}\": strconv.ParseBool: parsing \"{}\": invalid syntax", name,
                  value);
    }
    parsed.*known->field = *truth;
  }
  constexpr bool StaticOptions::* kExclusive[][2] = {
      {&StaticOptions::full_cores, &StaticOptions::across_cores},
      {&StaticOptions::across_numa, &StaticOptions::across_cores},
      {&StaticOptions::by_uncore, &StaticOptions::across_cores},
      {&StaticOptions::by_uncore, &StaticOptions::across_numa},
  };
  for (const auto& [one, other] : kExclusive) {
    if (parsed.*one && parsed.*other) {
      return fail(Kind::invalid, "static policy options {} and {} can not be used at the same time", name_of(one),
                  name_of(other));
    }
  }
  return parsed;
}

Result<> check_machine(const StaticOptions& options, const Topology& machine) {
  if (options.by_socket && machine.ids(&CpuPlace::socket).size() > machine.ids(&CpuPlace::numa).size()) {
    return fail(Kind::invalid,
                "Align by socket is not compatible with hardware where number of sockets are more than number of NUMA");
  }
  return {};
}

}  // namespace keelson::cpus
