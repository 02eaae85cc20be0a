// SPDX-License-Identifier: Apache-2.0
// Pods on a node of the test's own: every namespace here is made and removed by the test.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include <boost/json/parse.hpp>

#include "cni/invoker.h"
#include "cni/ipam.h"
#include "cni/plugin.h"
#include "common/netlink.h"
#include "common/netns.h"
#include "common/process.h"

namespace keelson::cni {
namespace {

namespace fs = std::filesystem;

class NetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root (network namespaces)";
    }
    std::string pattern = "/tmp/keelson-cni-test-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    ASSERT_TRUE(make_netns(dir_ + "/node"));
    // The plugin runs where its caller is: on the test's own node.
    auto node = NetnsGuard::enter(dir_ + "/node");
    ASSERT_TRUE(node) << node.error().message();
    node_.emplace(std::move(*node));
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink->set_up(netlink->find_link("lo")->index));
    const char* bin = ::getenv("KEELSON_BIN");
    options_.conf_dir = dir_ + "/conf";
    options_.cache_dir = dir_ + "/cache";
    options_.bin_dirs = {bin != nullptr ? bin : "build/bin", "/usr/lib/cni"};
    fs::create_directories(options_.conf_dir);
  }

  void TearDown() override {
    if (dir_.empty()) {
      return;
    }
    for (const auto& pod : pods_) {
      EXPECT_TRUE(remove_netns(pod));
    }
    node_.reset();
    EXPECT_TRUE(remove_netns(dir_ + "/node"));
    fs::remove_all(dir_);
  }

  void configure(const std::string& plugins) {
    std::ofstream(options_.conf_dir + "/10-net.conflist")
        << fmt::format(R"({{"cniVersion":"1.1.0","name":"net","plugins":[{}]}})", plugins);
  }
  std::string ours() {
    return fmt::format(
        R"({{"type":"keelson-cni","dataDir":"{}/ipam","ranges":["10.77.0.0/24","fd77::/112"],"mtu":1400}})", dir_);
  }

  Attachment pod(const std::string& id) {
    auto path = dir_ + "/pod-" + id;
    EXPECT_TRUE(make_netns(path));
    pods_.push_back(path);
    Attachment attachment;
    attachment.container_id = id;
    attachment.netns = path;
    return attachment;
  }

  size_t links() { return Netlink::open()->list_links()->size(); }
  /// DEL leaves the link to the kernel: it goes within moments.
  bool links_become(size_t count) {
    for (int i = 0; i < 30'000 && links() != count; ++i) {
      ::usleep(1000);
    }
    return links() == count;
  }
  size_t leases() { return LeaseStore({.path = dir_ + "/ipam/net.leases", .boot_id = *read_boot_id()}).list()->size(); }

  std::string dir_;
  std::optional<NetnsGuard> node_;
  std::vector<std::string> pods_;
  Invoker::Options options_;
};

std::string without_prefix(const std::string& address) {
  return address.substr(0, address.find('/'));
}

/// A TCP server in `server_ns` at `address`, and a client in `client_ns`: whether a byte gets through, and whom the
/// server saw.
std::string talk(const std::string& server_ns, const std::string& client_ns, const std::string& address) {
  bool six = address.find(':') != std::string::npos;
  int family = six ? AF_INET6 : AF_INET;
  sockaddr_storage storage{};
  socklen_t size = six ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  storage.ss_family = static_cast<sa_family_t>(family);
  void* ip = six ? static_cast<void*>(&reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr)
                 : static_cast<void*>(&reinterpret_cast<sockaddr_in*>(&storage)->sin_addr);
  ::inet_pton(family, address.c_str(), ip);
  (six ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port : reinterpret_cast<sockaddr_in*>(&storage)->sin_port) =
      htons(8080);
  Fd server;
  Fd client;
  {
    auto inside = NetnsGuard::enter(server_ns);
    server = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(server.get(), reinterpret_cast<sockaddr*>(&storage), size) < 0 || ::listen(server.get(), 1) < 0) {
      return std::string("server: ") + std::strerror(errno);
    }
  }
  {
    auto inside = NetnsGuard::enter(client_ns);
    client = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  timeval limit{.tv_sec = 30, .tv_usec = 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  ::setsockopt(server.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(client.get(), reinterpret_cast<sockaddr*>(&storage), size) < 0) {
    return std::string("connect: ") + std::strerror(errno);
  }
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  Fd accepted(::accept(server.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size));
  char text[INET6_ADDRSTRLEN] = "";
  const void* from = six ? static_cast<const void*>(&reinterpret_cast<sockaddr_in6*>(&peer)->sin6_addr)
                         : static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(&peer)->sin_addr);
  return ::inet_ntop(family, from, text, sizeof text);
}

TEST_F(NetworkTest, PodsReachEachOtherAndTheNodeInBothFamilies) {
  configure(ours());
  Invoker invoker(options_);
  ASSERT_TRUE(invoker.ready()) << invoker.ready().error().message();
  auto before = links();
  auto a = pod("a");
  auto b = pod("b");
  auto added_a = invoker.add(a);
  auto added_b = invoker.add(b);
  ASSERT_TRUE(added_a) << added_a.error().message();
  ASSERT_TRUE(added_b) << added_b.error().message();
  ASSERT_EQ(added_a->addresses.size(), 2U);
  EXPECT_EQ(added_a->addresses[0].address, "10.77.0.2/32");
  EXPECT_EQ(added_a->interfaces[1].mtu, 1400);
  for (size_t family = 0; family < 2; ++family) {
    auto at_a = without_prefix(added_a->addresses[family].address);
    auto at_b = without_prefix(added_b->addresses[family].address);
    EXPECT_EQ(talk(b.netns, a.netns, at_b), at_a) << "pod to pod keeps the source address";
    EXPECT_EQ(talk(a.netns, dir_ + "/node", at_a), added_a->addresses[family].gateway) << "node to pod";
    EXPECT_EQ(talk(dir_ + "/node", b.netns, added_b->addresses[family].gateway), at_b) << "pod to node";
  }
  EXPECT_TRUE(invoker.check(a)) << invoker.check(a).error().message();
  for (const auto& attachment : {a, b}) {
    EXPECT_TRUE(invoker.del(attachment));
    EXPECT_TRUE(invoker.del(attachment)) << "a second DEL is success";
  }
  EXPECT_TRUE(links_become(before));
  EXPECT_EQ(leases(), 0U);
  EXPECT_TRUE(fs::is_empty(options_.cache_dir + "/results"));
}

TEST_F(NetworkTest, RangesComeFromTheRuntime) {
  configure(fmt::format(R"({{"type":"keelson-cni","dataDir":"{}/ipam","capabilities":{{"ipRanges":true}}}})", dir_));
  Invoker invoker(options_);
  auto a = pod("a");
  EXPECT_THAT(invoker.ready().error().message(), ::testing::HasSubstr("spec.podCIDR"));
  EXPECT_EQ(invoker.add(a).error().kind(), Kind::unavailable);
  EXPECT_EQ(leases(), 0U);
  a.capability_args["ipRanges"] = boost::json::parse(R"([[{"subnet":"10.79.3.0/24"}],[{"subnet":"fd79::/64"}]])");
  EXPECT_TRUE(invoker.ready(a.capability_args)) << invoker.ready(a.capability_args).error().message();
  const auto added = invoker.add(a);
  ASSERT_TRUE(added) << added.error().message();
  EXPECT_EQ(added->addresses[0].address, "10.79.3.2/32");
  EXPECT_EQ(added->addresses[1].address, "fd79::2/128");
  a.capability_args.clear();
  EXPECT_TRUE(invoker.check(a)) << "as it was attached";
  EXPECT_TRUE(invoker.del(a));
  configure(fmt::format(
      R"({{"type":"keelson-cni","dataDir":"{}/ipam","ranges":["10.77.0.0/24"],"capabilities":{{"ipRanges":true}}}})",
      dir_));
  EXPECT_TRUE(invoker.ready()) << "it has its own for a node without a cluster";
}

TEST_F(NetworkTest, ASecondAddIsRefusedAndHurtsNothing) {
  configure(ours());
  Invoker invoker(options_);
  auto a = pod("a");
  ASSERT_TRUE(invoker.add(a));
  auto again = invoker.add(a);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind(), Kind::exists);
  // The plugin itself refuses too, and leaves the first one alone.
  auto direct = run_command(
      {.args = {options_.bin_dirs[0] + "/keelson-cni"},
       .env = {"CNI_COMMAND=ADD", "CNI_CONTAINERID=a", "CNI_IFNAME=eth0", "CNI_NETNS=" + a.netns},
       .input = fmt::format(
           R"({{"cniVersion":"1.1.0","name":"net","dataDir":"{}/ipam","ranges":["10.77.0.0/24","fd77::/112"]}})",
           dir_)});
  ASSERT_TRUE(direct);
  EXPECT_EQ(direct->exit_code, 1) << direct->out;
  EXPECT_EQ(leases(), 2U);
  EXPECT_TRUE(invoker.check(a)) << invoker.check(a).error().message();
  EXPECT_TRUE(invoker.del(a));
}

TEST_F(NetworkTest, AnAddWhoseRuntimeHasDiedIsUndone) {
  auto a = pod("a");
  const auto before = links();
  Invocation invocation{
      .environment = {{"CNI_COMMAND", "ADD"}, {"CNI_CONTAINERID", "a"}, {"CNI_IFNAME", "eth0"}, {"CNI_NETNS", a.netns}},
      .input =
          fmt::format(R"({{"cniVersion":"1.1.0","name":"net","dataDir":"{}/ipam","ranges":["10.77.0.0/24"]}})", dir_),
      .asker_lives = [] { return false; }};
  const auto answer = run_plugin(invocation);
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_NE(answer.output.find("the runtime ended"), std::string::npos) << answer.output;
  EXPECT_EQ(leases(), 0U);
  EXPECT_TRUE(links_become(before));
  invocation.asker_lives = [] { return true; };
  EXPECT_EQ(run_plugin(invocation).exit_code, 0);
  EXPECT_EQ(leases(), 1U);
}

TEST_F(NetworkTest, CheckSeesWhatIsMissing) {
  configure(ours());
  Invoker invoker(options_);
  auto a = pod("a");
  ASSERT_TRUE(invoker.add(a));
  {
    auto inside = NetnsGuard::enter(a.netns);
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink->remove_link(netlink->find_link("eth0")->index));
  }
  auto checked = invoker.check(a);
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message().find("find link"), std::string::npos) << checked.error().message();
  EXPECT_TRUE(invoker.del(a));
}

TEST_F(NetworkTest, DelWorksWhenTheNamespaceIsGone) {
  configure(ours());
  Invoker invoker(options_);
  auto a = pod("a");
  ASSERT_TRUE(invoker.add(a));
  ASSERT_TRUE(remove_netns(a.netns));
  pods_.clear();
  a.netns.clear();
  EXPECT_TRUE(invoker.del(a)) << invoker.del(a).error().message();
  EXPECT_EQ(leases(), 0U);
}

TEST_F(NetworkTest, GarbageCollectionRemovesWhatIsNotNamed) {
  configure(ours());
  Invoker invoker(options_);
  auto a = pod("a");
  auto b = pod("b");
  ASSERT_TRUE(invoker.add(a) && invoker.add(b));
  // The cache is lost: only the plugin still knows of b.
  fs::remove_all(options_.cache_dir);
  ASSERT_TRUE(invoker.collect_garbage({a}));
  EXPECT_EQ(leases(), 2U);
  EXPECT_TRUE(links_become(2U)) << "lo and a's";
  EXPECT_TRUE(invoker.del(a));
}

TEST_F(NetworkTest, AFailedAddLeavesNothing) {
  configure(ours() + R"(,{"type":"no-such-plugin"})");
  Invoker invoker(options_);
  auto a = pod("a");
  auto added = invoker.add(a);
  ASSERT_FALSE(added);
  EXPECT_NE(added.error().message().find("no-such-plugin"), std::string::npos);
  EXPECT_TRUE(links_become(1U));
  EXPECT_EQ(leases(), 0U);
}

TEST_F(NetworkTest, TwentyAtOnce) {
  configure(ours());
  Invoker invoker(options_);
  std::vector<Attachment> attachments;
  for (int i = 0; i < 20; ++i) {
    attachments.push_back(pod("c" + std::to_string(i)));
  }
  auto in_parallel = [&](auto verb) {
    std::vector<std::jthread> threads;
    for (const auto& attachment : attachments) {
      threads.emplace_back([&, verb] {
        // A thread starts where its creator is: on the test's node.
        EXPECT_TRUE(verb(attachment)) << attachment.container_id;
      });
    }
  };
  in_parallel([&](const Attachment& a) { return invoker.add(a).has_value(); });
  EXPECT_EQ(leases(), 40U);
  EXPECT_EQ(links(), 21U);
  in_parallel([&](const Attachment& a) { return invoker.del(a).has_value(); });
  EXPECT_EQ(leases(), 0U);
  EXPECT_TRUE(links_become(1U));
}

TEST_F(NetworkTest, TheReferencePluginsWorkAsWell) {
  if (!fs::exists("/usr/lib/cni/bridge") || !fs::exists("/usr/lib/cni/host-local")) {
    GTEST_SKIP() << "SKIP: needs containernetworking-plugins";
  }
  std::ofstream(options_.conf_dir + "/10-net.conflist") << fmt::format(
      R"({{"cniVersion":"1.0.0","name":"net","plugins":[{{"type":"bridge","bridge":"br-test","isGateway":true,
        "ipam":{{"type":"host-local","dataDir":"{}/host-local","ranges":[[{{"subnet":"10.78.0.0/24"}}]]}}}},{{"type":"tuning"}}]}})",
      dir_);
  Invoker invoker(options_);
  auto a = pod("a");
  auto added = invoker.add(a);
  ASSERT_TRUE(added) << added.error().message();
  EXPECT_EQ(talk(a.netns, dir_ + "/node", without_prefix(added->addresses[0].address)), "10.78.0.1");
  EXPECT_TRUE(invoker.check(a)) << invoker.check(a).error().message();
  EXPECT_TRUE(invoker.del(a));
  EXPECT_EQ(invoker.check(a).error().kind(), Kind::not_found);
}

}  // namespace
}  // namespace keelson::cni
