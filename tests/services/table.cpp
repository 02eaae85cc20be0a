// SPDX-License-Identifier: Apache-2.0
#include "tests/services/table.h"

#include <fmt/format.h>

#include <set>
#include <vector>

namespace keelson::services {
namespace {

constexpr const char* kHead = R"(# Services beside kube-proxy 1.34.4
Written by `services_unit_test` from `scenarios/*.yaml`; do not edit. What stands under *ours* is held by `services_e2e_test`, what stands under *iptables*
and *nftables* by `services_peer_test`, which runs the real kube-proxy. `=`: as ours. *packets*: ours where a pod's sockets are not seen, but its packets are. Answers are those of both families where no family is named.
)";

std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != text.npos; at += 2) {
    text.insert(at, "\\");
  }
  return text;
}

std::string peer_cell(const Step& step, Side side) {
  return step.wanted.at(side) == step.wanted.at(Side::ours) ? "=" : cell(step.wanted.at(side));
}

// One family's steps stand for both unless answers differ.
bool is_told_by_ipv4(const Suite& suite, const Scenario& scenario) {
  if (scenario.family == 4) {
    return false;
  }
  for (const auto& other : suite.scenarios) {
    if (other.family == 4 && other.file == scenario.file && other.name == scenario.name) {
      return true;
    }
  }
  return false;
}

std::string name_of(const Suite& suite, const Scenario& scenario) {
  size_t families = 0;
  for (const auto& other : suite.scenarios) {
    families += other.file == scenario.file && other.name == scenario.name;
  }
  auto name = scenario.file + "/" + scenario.name;
  return families == 2 ? name : fmt::format("{} (IPv{} only)", name, scenario.family);
}

std::vector<const Scenario*> told(const Suite& suite) {
  std::vector<const Scenario*> result;
  for (const auto& scenario : suite.scenarios) {
    if (!is_told_by_ipv4(suite, scenario)) {
      result.push_back(&scenario);
    }
  }
  return result;
}

std::string answers(const Step& step) {
  std::string cells = cell(step.wanted.at(Side::ours)) + " |";
  for (auto side : {Side::packets, Side::iptables, Side::nftables}) {
    cells += " " + peer_cell(step, side) + " |";
  }
  return cells;
}

// `not_yet`: what ours is to do, too, or what shall differ.
std::string differences(const Suite& suite, bool not_yet) {
  std::string rows;
  for (const auto* scenario : told(suite)) {
    for (const auto& step : scenario->steps) {
      if (step.differs() && step.why.starts_with("not yet") == not_yet) {
        rows += fmt::format("| {} | `{}` | {} {} |\n", name_of(suite, *scenario), cell(step.text), answers(step),
                            cell(step.why));
      }
    }
  }
  return rows.empty() ? ""
                      : "| scenario | step | ours | packets | iptables | nftables | why |\n" +
                            std::string("| --- | --- | --- | --- | --- | --- | --- |\n") + rows;
}

std::string objects(const Scenario& scenario) {
  return scenario.group == "default" ? "" : fmt::format(" (configuration `{}`)", scenario.group);
}

std::string all(const Suite& suite) {
  std::string text = "\n## Everything\n";
  std::string feature;
  std::set<std::string> seen;
  for (const auto* first : told(suite)) {
    if (!seen.insert(first->feature).second) {
      continue;
    }
    text += fmt::format(
        "\n### {}\n| scenario | step | ours | packets | iptables | nftables |\n| --- | --- | --- | --- | --- | --- |\n",
        first->feature);
    for (const auto* scenario : told(suite)) {
      if (scenario->feature != first->feature) {
        continue;
      }
      auto name = name_of(suite, *scenario) + objects(*scenario);
      for (const auto& step : scenario->steps) {
        if (step.wanted.empty()) {
          text += fmt::format("| {} | *{}* | | | | |\n", name, step.text);
        } else {
          text += fmt::format("| {} | `{}` | {}\n", name, cell(step.text), answers(step));
        }
        name = "";
      }
    }
  }
  return text;
}

}  // namespace

std::string document(const Suite& suite) {
  auto open = differences(suite, true);
  return kHead + ("\n## What differs, and why\n" + differences(suite, false)) +
         (open.empty() ? "" : "\n## Not yet so on our side\n" + open) + all(suite);
}

}  // namespace keelson::services
