// SPDX-License-Identifier: Apache-2.0
// Before and after the role `network`: keelson check, the rights the daemon needs, keelson uninstall.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include <boost/json.hpp>

#include "common/fd.h"
#include "tests/support/network_daemon.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;
using ::testing::HasSubstr;

constexpr const char* kService = R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIPs: [10.96.0.1], ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.2.0.2], nodeName: here}]
)";

// What deploy/kubernetes grants, and nothing else.
const std::vector<std::string> kOnlyNeeded = {"setpriv", "--bounding-set=-all,+bpf,+net_admin,+perfmon",
                                              "--no-new-privs"};

/// Kernel objects by their ids: what is pinned, and what runs behind pinned links.
struct KernelObjects {
  std::vector<uint32_t> maps, programs, links;
  bool operator==(const KernelObjects&) const = default;
};

KernelObjects pinned_below(const std::string& folder) {
  KernelObjects found;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_directory()) {
      continue;
    }
    Fd object(bpf_obj_get(entry.path().c_str()));
    union {
      bpf_map_info map;
      bpf_link_info link;
      bpf_prog_info program;
    } info{};
    uint32_t size = sizeof info;
    EXPECT_EQ(bpf_obj_get_info_by_fd(object.get(), &info, &size), 0) << entry.path();
    // All three begin with type and id.
    if (entry.path().parent_path().filename() == "links") {
      found.links.push_back(info.link.id);
      found.programs.push_back(info.link.prog_id);
    } else if (entry.path().parent_path().filename() == "programs") {
      found.programs.push_back(info.program.id);
    } else {
      found.maps.push_back(info.map.id);
    }
  }
  return found;
}

/// Which of them the kernel still has.
KernelObjects alive(const KernelObjects& objects) {
  auto keep = [](std::vector<uint32_t> ids, int (*open)(uint32_t)) {
    std::erase_if(ids, [&](uint32_t id) { return !Fd(open(id)); });
    return ids;
  };
  return {keep(objects.maps, bpf_map_get_fd_by_id), keep(objects.programs, bpf_prog_get_fd_by_id),
          keep(objects.links, bpf_link_get_fd_by_id)};
}

class UninstallTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = NetworkDaemon::why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    net_.emplace();
    daemon_.emplace(*net_);
    daemon_->apply("service.yaml", kService);
  }
  void TearDown() override {
    if (daemon_) {
      daemon_->kill();
      auto pins = daemon_->pins();
      EXPECT_FALSE(fs::exists(pins));
      std::error_code ignored;
      fs::remove_all(pins, ignored);
    }
  }
  Output keelson(const std::vector<std::string>& verb, const std::vector<std::string>& before = {}) {
    return run(daemon_->command(verb, before));
  }
  std::string reply_from_service() {
    auto listener = Socket::tcp(*net_, "pod2"), client = Socket::tcp(*net_, "pod1");
    listener.bind("10.2.0.2", 8080);
    listener.listen();
    if (int error = client.connect("10.96.0.1", 80)) {
      return strerror(error);
    }
    auto accepted = listener.accept();
    return accepted && accepted->send("hello") == 0 ? client.receive().value_or("no reply") : "nobody came";
  }

  std::optional<SmallNet> net_;
  std::optional<NetworkDaemon> daemon_;
};

TEST_F(UninstallTest, CheckSaysThatTheNodeIsGood) {
  auto checked = keelson({"check"});
  EXPECT_EQ(checked.code, 0) << checked.out << checked.error;
  EXPECT_TRUE(checked.out.starts_with("CHECK ")) << checked.out;
  auto json = keelson({"check", "-o", "json"});
  EXPECT_EQ(json.code, 0);
  auto parsed = boost::json::parse(json.out);
  EXPECT_EQ(parsed.at("ok"), true) << json.out;
  EXPECT_GE(parsed.at("checks").as_array().size(), 6u);
}

TEST_F(UninstallTest, CheckFailsWithoutRights) {
  auto checked = keelson({"check"}, {"setpriv", "--bounding-set=-all,+net_admin"});
  EXPECT_EQ(checked.code, 1) << checked.out << checked.error;
  EXPECT_THAT(checked.out, HasSubstr("this process lacks CAP_BPF (to load programs and make maps), CAP_PERFMON"));
}

TEST_F(UninstallTest, TheDaemonNeedsNoMoreRightsThanItIsGranted) {
  auto checked = keelson({"check"}, kOnlyNeeded);
  EXPECT_EQ(checked.code, 0) << checked.out << checked.error;
  daemon_->start({"--remove-services-on-exit"}, kOnlyNeeded);
  EXPECT_THAT(daemon_->log(), Not(HasSubstr("error")));
  EXPECT_EQ(reply_from_service(), "hello");
  EXPECT_EQ(daemon_->stop(), 0) << daemon_->log();
  std::error_code ignored;
  fs::remove(daemon_->pins(), ignored);
}

TEST_F(UninstallTest, EachOfTheRightsIsNeeded) {
  for (const char* without : {"+net_admin,+perfmon", "+bpf,+perfmon", "+bpf,+net_admin"}) {
    auto checked = keelson({"check", "-o", "json"}, {"setpriv", std::string("--bounding-set=-all,") + without});
    EXPECT_EQ(checked.code, 1) << without;
    for (const auto& check : boost::json::parse(checked.out).at("checks").as_array()) {
      if (check.at("name") == "kernel") {
        EXPECT_EQ(check.at("result"), "failed") << "with " << without << " the kernel takes the programs all the same";
      }
    }
  }
}

TEST_F(UninstallTest, NothingOfUsIsLeft) {
  daemon_->start();
  EXPECT_EQ(reply_from_service(), "hello");
  auto before = pinned_below(daemon_->pins());
  EXPECT_GE(before.maps.size(), 10u);
  EXPECT_EQ(before.links.size(), 15u) << "9 of sockets, 2 of each link";
  EXPECT_EQ(alive(before), before);
  daemon_->kill();
  EXPECT_EQ(reply_from_service(), "hello") << "without a daemon";

  auto dry = keelson({"uninstall", "--dry-run"});
  EXPECT_EQ(dry.code, 0) << dry.error;
  EXPECT_THAT(dry.out, HasSubstr("15 links"));
  EXPECT_EQ(alive(before), before) << "--dry-run";

  auto done = keelson({"uninstall"});
  EXPECT_EQ(done.code, 0) << done.error;
  // The kernel frees them when the last packet has left them.
  for (int i = 0; i < 6000 && alive(before) != KernelObjects(); i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(alive(before), KernelObjects());
  EXPECT_FALSE(fs::exists(daemon_->pins()));
  EXPECT_NE(reply_from_service(), "hello");

  auto again = keelson({"uninstall"});
  EXPECT_EQ(again.code, 0) << again.error;
  EXPECT_THAT(again.out, HasSubstr("nothing is left"));
}

}  // namespace
}  // namespace keelson::testing
