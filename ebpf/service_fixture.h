// SPDX-License-Identifier: Apache-2.0
// The node of SmallNet with its programs loaded, by family; for tests that send packets.
#pragma once

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "ebpf/programs.h"
#include "ebpf/testing.h"

namespace keelson::ebpf::testing {

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

struct Addresses {
  std::string vip, node, pod1, pod2, other, client, external;
};
inline const Addresses kV4{"10.96.0.1", "10.1.0.1", "10.2.0.1", "10.2.0.2", "10.3.0.1", "10.1.0.3", "10.96.9.9"};
inline const Addresses kV6{"fd96::1", "fd01::1", "fd02::1", "fd02::2", "fd03::1", "fd01::3", "fd96::99"};

// By family.
class ServiceFixture : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (auto reason = why_not(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
    net_.emplace();
    pins_ = "/sys/fs/bpf/keelson-test-" + std::to_string(getpid());
    load();
    auto tables = Tables::open(programs_->table_maps());
    ASSERT_TRUE(tables) << tables.error().message();
    tables_.emplace(std::move(*tables));
  }
  void TearDown() override {
    tables_.reset();
    programs_.reset();
    if (!pins_.empty()) {
      auto guard = net_->enter("node");
      EXPECT_TRUE(Programs::remove(pins_));
      std::filesystem::remove(pins_);
    }
  }

  void load() {
    ProgramSizes small{1024, 256, 4096, 1024, 4096, 1024};
    auto guard = net_->enter("node");
    auto programs = Programs::load({.pin_folder = pins_, .sizes = small, .classic_tc = classic_tc_});
    ASSERT_TRUE(programs) << programs.error().message();
    programs_.emplace(std::move(*programs));
    NodeSettings& settings = settings_;
    settings.masquerade4 = *dataplane::Address::parse(kV4.node);
    settings.masquerade6 = *dataplane::Address::parse(kV6.node);
    auto probe = Socket::udp(*net_, "node");
    socklen_t size = sizeof settings.netns_cookie;
    ASSERT_EQ(getsockopt(probe.fd(), SOL_SOCKET, SO_NETNS_COOKIE, &settings.netns_cookie, &size), 0);
    ASSERT_TRUE(programs_->configure(settings));
    for (const char* link : {"eth0", "p1", "p2"}) {
      auto kind = link[0] == 'p' ? LinkKind::pod : LinkKind::uplink;
      auto attached = programs_->attach_link(net_->ifindex("node", link), kind, false);
      ASSERT_TRUE(attached) << attached.error().message();
    }
  }

  const Addresses& at() const { return GetParam() ? kV6 : kV4; }
  bool v6() const { return GetParam(); }

  void program(const std::map<std::string, dataplane::Service>& services) {
    dataplane::Model wanted;
    for (const auto& [name, service] : services) {
      wanted.services[{name}] = service;
    }
    auto errors = tables_->apply(dataplane::delta(model_, wanted), std::chrono::steady_clock::now());
    for (const auto& error : errors) {
      ADD_FAILURE() << error.message();
    }
    model_ = wanted;
    for (const auto& line : tables_->differences()) {
      ADD_FAILURE() << line;
    }
  }

  Socket server(const std::string& ns, const std::string& address,
                dataplane::Protocol protocol = dataplane::Protocol::tcp) {
    auto socket = protocol == dataplane::Protocol::tcp ? Socket::tcp(*net_, ns, v6()) : Socket::udp(*net_, ns, v6());
    socket.bind(address, 8080);
    if (protocol == dataplane::Protocol::tcp) {
      socket.listen();
    }
    return socket;
  }

  // One connection to `to`:port from `ns`; the source that the server sees, or what went wrong.
  std::string source_seen(const std::string& ns, const std::string& to, uint16_t port, Socket& listener,
                          int patience = Socket::kPatience) {
    auto client = Socket::tcp(*net_, ns, v6());
    if (int error = client.connect(to, port, patience)) {
      return strerror(error);
    }
    std::string from;
    auto accepted = listener.accept(&from);
    if (!accepted) {
      return "nobody came";
    }
    accepted->send("hello");
    if (client.receive() != "hello") {
      return "no reply";
    }
    client.send("there");
    if (accepted->receive() != "there") {
      return "no request";
    }
    return host_of(from);
  }
  // Whether the programs have counted so many within Socket::kPatience: packets may wait for their turn on a busy
  // machine.
  ::testing::AssertionResult counted(kl_counter counter, uint64_t wanted) const {
    uint64_t now = 0;
    for (int i = 0; i < Socket::kPatience / 10 && (now = programs_->counters()->at(counter)) < wanted; i++) {
      usleep(10'000);
    }
    return (now == wanted ? ::testing::AssertionSuccess() : ::testing::AssertionFailure()) << now << " are counted";
  }
  // Which of the two has a connection to take; -1: neither within Socket::kPatience.
  static int called(const Socket& first, const Socket& second) {
    pollfd queues[] = {{first.fd(), POLLIN, 0}, {second.fd(), POLLIN, 0}};
    return poll(queues, 2, Socket::kPatience) < 1 ? -1 : queues[0].revents != 0 ? 0 : 1;
  }
  // So many bytes from one end to the other; each that is sent arrives.
  static void send_many(Socket& from, Socket& to, size_t bytes) {
    const std::string chunk(60000, 'y');
    for (size_t received = 0, sent = 0; received < bytes;) {
      if (sent < bytes) {
        sent += from.send_some(chunk);
      }
      auto part = to.receive();
      ASSERT_TRUE(part) << received << " of " << sent;
      received += part->size();
    }
  }
  // As if the table of connections had been too small.
  void forget_connections() {
    for (const char* name : {"connections4", "connections6"}) {
      bpf_map_info info{};
      uint32_t size = sizeof info;
      ASSERT_EQ(bpf_obj_get_info_by_fd(programs_->map(name), &info, &size), 0);
      std::vector<char> empty(info.value_size);
      for (uint32_t i = 0; i < info.max_entries; i++) {
        ASSERT_EQ(bpf_map_update_elem(programs_->map(name), &i, empty.data(), BPF_ANY), 0);
      }
    }
  }
  std::string host(const std::string& address) const { return v6() ? "[" + address + "]" : address; }

  bool classic_tc_ = false;
  std::optional<SmallNet> net_;
  NodeSettings settings_;
  std::string pins_;
  std::optional<Programs> programs_;
  std::optional<Tables> tables_;
  dataplane::Model model_;
};

}  // namespace keelson::ebpf::testing
