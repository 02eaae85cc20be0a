// SPDX-License-Identifier: Apache-2.0
// assignment.h: taken in equal parts.
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>

#include "agent/cpus/assignment.h"
#include "agent/cpus/taking.h"

namespace keelson::cpus {

namespace {

constexpr Level kNuma = &CpuPlace::numa;
using Nodes = std::vector<int>;
using Left = std::map<int, int>;  // free CPUs, by NUMA node

/// Some nodes, of which each gives the same, and some of these what is over.
struct Choice {
  Nodes nodes;
  Nodes givers_of_rest;
  double balance = std::numeric_limits<double>::max();  // the lower, the more alike nodes are afterwards
};

/// Each choice of `count` out of `of`, in order, until `look` answers false.
bool each_choice(const Nodes& of, size_t count, const std::function<bool(const Nodes&)>& look, size_t from = 0,
                 Nodes chosen = {}) {
  if (chosen.size() == count) {
    return look(chosen);
  }
  for (size_t i = from; i + (count - chosen.size()) <= of.size(); ++i) {
    chosen.push_back(of[i]);
    if (!each_choice(of, count, look, i + 1, chosen)) {
      return false;
    }
    chosen.pop_back();
  }
  return true;
}

double to_thousandths(double value) {
  return std::round(value * 1000) / 1000;
}

double deviation(const Left& left) {
  const auto count = static_cast<double>(left.size());
  double sum = 0;
  for (const auto& [node, cpus] : left) {
    sum += cpus;
  }
  const double mean = to_thousandths(sum / count);
  double squares = 0;
  for (const auto& [node, cpus] : left) {
    squares += (cpus - mean) * (cpus - mean);
  }
  return to_thousandths(std::sqrt(squares / count));
}

class Distribution {
 public:
  Distribution(const Taking& taking, int count, int group) : count_(count), group_(group), all_(taking.numa_nodes()) {
    for (const auto& [cpu, place] : taking.free().places()) {
      ++free_[place.numa];
    }
  }

  int part_of(size_t nodes) const { return count_ / static_cast<int>(nodes) / group_ * group_; }

  /// The best of so many nodes.
  std::optional<Choice> best_of(size_t nodes) const {
    Choice best;
    each_choice(all_, nodes, [&](const Nodes& chosen) {
      if (auto choice = weigh(chosen); choice && choice->balance < best.balance) {
        best = *std::move(choice);
      }
      return best.balance != 0;
    });
    return best.nodes.empty() ? std::nullopt : std::optional(std::move(best));
  }

 private:
  std::optional<Choice> weigh(const Nodes& nodes) const {
    const int part = part_of(nodes.size());
    int cpus = 0;
    int in_groups = 0;
    for (const int node : nodes) {
      const int here = free_.at(node);
      if (here < part) {
        return std::nullopt;
      }
      cpus += here;
      in_groups += here / group_ * group_;
    }
    if (cpus < count_ || in_groups < count_) {
      return std::nullopt;
    }
    Left left = free_;
    for (const int node : nodes) {
      left[node] -= part;
    }
    const int rest = count_ - part * static_cast<int>(nodes.size());
    return rest == 0 ? Choice{nodes, {}, deviation(left)} : with_rest(nodes, left, rest);
  }

  /// The rest comes from some of them, rather from many.
  std::optional<Choice> with_rest(const Nodes& nodes, const Left& left, int rest) const {
    Nodes able;
    for (const int node : nodes) {
      if (left.at(node) >= group_) {
        able.push_back(node);
      }
    }
    Choice best{.nodes = nodes};
    for (size_t many = able.size(); many >= 1; --many) {
      each_choice(able, many, [&](const Nodes& givers) {
        if (const auto then = without_rest(left, givers, rest); then && deviation(*then) < best.balance) {
          best.balance = deviation(*then);
          best.givers_of_rest = givers;
        }
        return true;
      });
    }
    return best.givers_of_rest.empty() ? std::nullopt : std::optional(std::move(best));
  }

  /// What is left then; nullopt: they have not so many groups. (The kubelet of 1.34 never ends where they have enough
  /// CPUs, but not in groups.)
  std::optional<Left> without_rest(Left left, const Nodes& givers, int rest) const {
    while (rest > 0) {
      const int before = rest;
      for (const int node : givers) {
        if (rest > 0 && left[node] >= group_) {
          left[node] -= group_;
          rest -= group_;
        }
      }
      if (rest == before) {
        return std::nullopt;
      }
    }
    return left;
  }

  const int count_;
  const int group_;
  const Nodes all_;
  Left free_;
};

Result<> take_from(Taking& taking, const Topology& machine, int node, int count, Threads threads) {
  KEELSON_TRY(const auto cpus, take_packed(machine, taking.free().cpus_in(kNuma, node), count, threads, Caches::any));
  taking.take(cpus);
  return {};
}

}  // namespace

Result<CpuSet> take_distributed(const Topology& machine, const CpuSet& available, int count, int group,
                                Threads threads) {
  Taking taking(machine, available, count, threads);
  if (count % group != 0 || taking.done() || taking.hopeless()) {
    return take_packed(machine, available, count, threads, Caches::any);
  }
  const auto up = [](int amount, int of) { return (amount - 1) / of + 1; };
  const int groups = up(count, group);
  const int per_node = up(up(machine.cpus().size(), group), machine.ids(kNuma).size());
  const int most = std::min(groups, taking.free().ids(kNuma).size());
  const Distribution distribution(taking, count, group);
  for (int nodes = up(groups, per_node); nodes <= most; ++nodes) {
    const auto choice = distribution.best_of(static_cast<size_t>(nodes));
    if (!choice) {
      continue;
    }
    for (const int node : choice->nodes) {
      KEELSON_DO(take_from(taking, machine, node, distribution.part_of(choice->nodes.size()), threads));
    }
    while (!taking.done()) {
      for (const int node : choice->givers_of_rest) {
        if (!taking.done() && taking.free().cpus_in(kNuma, node).size() >= group) {
          KEELSON_DO(take_from(taking, machine, node, group, threads));
        }
      }
    }
    return taking.taken();
  }
  return take_packed(machine, available, count, threads, Caches::any);
}

}  // namespace keelson::cpus
