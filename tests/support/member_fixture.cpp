// SPDX-License-Identifier: Apache-2.0
#include "tests/support/member_fixture.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <sstream>

namespace keelson::testing {

namespace fs = std::filesystem;

void MemberTest::start_cluster(ControlPlane::Parts parts) {
  control_plane_ = start_control_plane(kNode, kAddress, parts);
}

void MemberTest::TearDownTestSuite() {
  control_plane_.reset();
}

void MemberTest::SetUp() {
  if (kubernetes_program().empty()) {
    GTEST_SKIP() << "SKIP: needs the stock Kubernetes programs: ./dev peers";
  }
  NodeTest::SetUp();
}

void MemberTest::TearDown() {
  if (IsSkipped()) {
    return;
  }
  see_again();
  NodeTest::TearDown();
  kubectl({"delete", "node", kNode, "--ignore-not-found"});
  kubectl({"delete", "lease", kNode, "-n", "kube-node-lease", "--ignore-not-found"});
}

void MemberTest::join(std::vector<std::string> more_flags) {
  more_flags.insert(more_flags.end(), {"--kubeconfig", control_plane_->node_kubeconfig(), "--node-name", kNode});
  start_node(more_flags);
}

Output MemberTest::kubectl(const std::vector<std::string>& arguments, const std::string& input) {
  return control_plane_->kubectl(arguments, input);
}

std::string MemberTest::node(const std::string& path) {
  return kubectl({"get", "node", kNode, "-o", "jsonpath=" + path}).out;
}

std::string MemberTest::lease(const std::string& path) {
  return kubectl({"get", "lease", kNode, "-n", "kube-node-lease", "-o", "jsonpath=" + path}).out;
}

std::string MemberTest::ready() {
  return node("{.status.conditions[?(@.type==\"Ready\")].status}");
}

void MemberTest::wait_node_ready(std::chrono::seconds limit) {
  wait_until("the node is Ready", [] { return ready() == "True"; }, limit);
}

std::chrono::nanoseconds MemberTest::lease_age() {
  const auto renewed = parse_rfc3339(lease("{.spec.renewTime}"));
  return renewed ? real_clock().wall() - *renewed : Duration(std::chrono::hours(1));
}

void MemberTest::expect_renewed_within(std::chrono::seconds limit, WallTime since) {
  WallTime in_vain = since;
  wait_until("the Lease is renewed", [&] {
    const auto asked = real_clock().wall();
    if (parse_rfc3339(lease("{.spec.renewTime}")).value_or(WallTime()) > since) {
      return true;
    }
    in_vain = asked;
    return false;
  });
  fmt::print("the Lease was renewed {:.1f} s later\n", std::chrono::duration<double>(in_vain - since).count());
  EXPECT_LE(in_vain - since, limit);
}

std::set<std::string> MemberTest::connections() const {
  std::set<std::string> sockets;
  for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", node_pid()))) {
    std::error_code gone;
    sockets.insert(fs::read_symlink(entry.path(), gone).string());
  }
  std::set<std::string> ports;
  std::istringstream table(read_text(fmt::format("/proc/{}/net/tcp", node_pid())));
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    const std::vector<std::string> word{std::istream_iterator<std::string>(words), {}};
    if (word.size() > 9 && word[2].ends_with(":192B") && sockets.contains("socket:[" + word[9] + "]")) {
      ports.insert(std::to_string(std::stoi(word[1].substr(word[1].find(':') + 1), nullptr, 16)));
    }
  }
  return ports;
}

void MemberTest::black_hole(const std::set<std::string>& ports) {
  // The kernel's own first rule, for addresses of this machine, comes after ours for once.
  ASSERT_EQ(run({"ip", "rule", "add", "pref", "10", "lookup", "local"}).code, 0);
  ASSERT_EQ(run({"ip", "rule", "del", "pref", "0"}).code, 0);
  for (const auto& port : ports) {
    for (const char* side : {"sport", "dport"}) {
      ASSERT_EQ(run({"ip", "rule", "add", "pref", "1", "ipproto", "tcp", side, port, "blackhole"}).code, 0);
    }
  }
}

void MemberTest::see_again() {
  while (run({"ip", "rule", "del", "pref", "1"}).code == 0) {
  }
  if (run({"ip", "rule", "del", "pref", "10"}).code == 0) {
    EXPECT_EQ(run({"ip", "rule", "add", "pref", "0", "lookup", "local"}).code, 0);
  }
}

}  // namespace keelson::testing
