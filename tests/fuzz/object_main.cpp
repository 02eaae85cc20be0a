// SPDX-License-Identifier: Apache-2.0
// The command line of object_fuzz.
#include <fmt/format.h>

#include <chrono>
#include <optional>

#include <CLI/CLI.hpp>

#include "ebpf/testing.h"
#include "tests/fuzz/objects.h"
#include "tests/fuzz/table_maps.h"

namespace keelson::fuzz {
namespace {

struct Run {
  uint64_t changes = 0, seed = 0, every = 100;
};

// The role's path: what the kernel reads is to be what translate() makes of the objects.
class Follower {
 public:
  explicit Follower(uint64_t seed) : random_(seed), translator_(random_.options()) { reopen(); }

  /// How many objects changed; 0: something went wrong and has been told.
  size_t step();
  bool check();
  /// With all objects gone nothing is left.
  bool check_end();
  uint64_t adoptions() const { return adoptions_; }

 private:
  bool reopen();
  bool carry(const std::vector<Error>& errors);

  RandomObjects random_;
  dataplane::Translator translator_;
  dataplane::ServiceObjects objects_;
  TableFiles files_;
  std::optional<ebpf::Tables> tables_;
  ebpf::TimePoint now_ = ebpf::TimePoint(std::chrono::hours(1));
  uint64_t adoptions_ = 0;
};

bool Follower::reopen() {
  tables_.reset();
  auto tables = ebpf::Tables::open(files_.maps());
  if (!tables) {
    fmt::print("{}\n", tables.error().message());
    return false;
  }
  tables_.emplace(std::move(*tables));
  return true;
}

bool Follower::carry(const std::vector<Error>& errors) {
  for (const auto& error : errors) {
    fmt::print("{}\n", error.message());
  }
  return errors.empty();
}

size_t Follower::step() {
  now_ += std::chrono::milliseconds(300);
  size_t size = 0;
  auto next = [&] {
    auto change = random_.change(objects_);
    carry_out(objects_, change);
    size += size_of(change);
    return change;
  };
  if (random_.one_in(20)) {
    translator_.hold(next());
  }
  dataplane::Delta delta;
  if (random_.one_in(200)) {
    delta = translator_.set_options(random_.options());
    if (!carry(tables_->apply(delta, now_))) {
      return 0;
    }
  }
  delta = translator_.apply(next());
  // Another process takes over, which has seen the change or comes just before it.
  if (random_.one_in(50)) {
    adoptions_++;
    return reopen() && carry(tables_->adopt(translator_.model(), now_)) ? std::max<size_t>(size, 1) : 0;
  }
  return carry(tables_->apply(delta, now_)) ? std::max<size_t>(size, 1) : 0;
}

bool Follower::check() {
  auto afresh = dataplane::translate(objects_, translator_.options());
  if (!(translator_.model() == afresh)) {
    fmt::print("the model is not what the objects make afresh\n");
    return false;
  }
  auto lines = tables_->differences();
  for (const auto& line : lines) {
    fmt::print("{}\n", line);
  }
  auto wanted = answers_of(afresh), have = files_.answers();
  for (const auto& [key, all] : wanted) {
    for (size_t from = 0; from < all.size(); from++) {
      if (!have.contains(key) || have.at(key)[from] != all[from]) {
        fmt::print("{}:{} from {} should be {} and is {}\n", key.address.to_string(), key.port, from,
                   all[from].to_string(), have.contains(key) ? have.at(key)[from].to_string() : "absent");
        return false;
      }
    }
  }
  if (have.size() != wanted.size()) {
    fmt::print("{} frontends are there, {} should be\n", have.size(), wanted.size());
    return false;
  }
  return lines.empty();
}

bool Follower::check_end() {
  objects_ = {};
  now_ += std::chrono::seconds(2);
  auto delta = translator_.apply({.all_services = true, .all_slices = true});
  if (!carry(tables_->apply(delta, now_)) || !check()) {
    return false;
  }
  for (const auto& usage : tables_->usage()) {
    if (usage.used != 0) {
      fmt::print("{} rows of {} are left\n", usage.used, usage.name);
      return false;
    }
  }
  return true;
}

int run_all(const Run& run) {
  Follower follower(run.seed);
  auto began = std::chrono::steady_clock::now();
  uint64_t done = 0, checked = 0, checks = 0;
  while (done < run.changes) {
    auto size = follower.step();
    if (size == 0) {
      fmt::print("seed {} after {} changes\n", run.seed, done);
      return 1;
    }
    done += size;
    if (done - checked >= run.every) {
      checked = done;
      checks++;
      if (!follower.check()) {
        fmt::print("seed {} after {} changes\n", run.seed, done);
        return 1;
      }
    }
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  if (!follower.check() || !follower.check_end()) {
    return 1;
  }
  fmt::print(
      "{} changes of objects in {:.1f} s, looked at as a whole {} times, taken over {} times: model, maps and "
      "reference equal\n",
      done, took.count(), checks, follower.adoptions());
  return 0;
}

}  // namespace
}  // namespace keelson::fuzz

int main(int argc, char** argv) {
  CLI::App app(
      "Random changes of Services and EndpointSlices, to the kernel's tables, each against a fresh translation");
  keelson::fuzz::Run run{.changes = 100'000, .seed = 1};
  app.add_option("--changes", run.changes, "How many objects are made, changed or removed");
  app.add_option("--seed", run.seed, "The same changes again");
  app.add_option("--every", run.every, "Changes between two looks at everything");
  CLI11_PARSE(app, argc, argv);
  if (auto reason = keelson::ebpf::testing::why_not(); !reason.empty()) {
    fmt::print("SKIP: {}\n", reason);
    return 77;
  }
  fmt::print("seed {}\n", run.seed);
  return keelson::fuzz::run_all(run);
}
