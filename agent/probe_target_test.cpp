// SPDX-License-Identifier: Apache-2.0
#include "agent/probe_target.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

kube::Container container_with_port(const std::string& name, int32_t number) {
  kube::Container container;
  kube::ContainerPort port;
  port.name = name;
  port.container_port = number;
  container.ports = {port};
  return container;
}

TEST(ProbeTarget, PortsByNameAndByNumber) {
  const auto container = container_with_port("http", 8080);
  EXPECT_EQ(port_of(container, kube::IntOrString("http")).value(), 8080);
  EXPECT_EQ(port_of(container, kube::IntOrString("81")).value(), 81);
  EXPECT_EQ(port_of(container, kube::IntOrString(82)).value(), 82);
  EXPECT_EQ(port_of(container, kube::IntOrString("https")).error().what(),
            "strconv.Atoi: parsing \"https\": invalid syntax");
  EXPECT_EQ(port_of(container, kube::IntOrString(65536)).error().what(), "invalid port number: 65536");
}

TEST(ProbeTarget, APortThatIsNotThereIsAnErrorOfTheTry) {
  kube::Probe probe;
  probe.http_get.emplace().port = kube::IntOrString("nope");
  EXPECT_NE(probe_target(container_with_port("http", 80), probe, "10.0.0.2").error, "");
  probe.http_get.reset();
  probe.tcp_socket.emplace().port = kube::IntOrString("nope");
  EXPECT_NE(probe_target(container_with_port("http", 80), probe, "10.0.0.2").error, "");
  probe.tcp_socket->port = kube::IntOrString("http");
  const auto target = probe_target(container_with_port("http", 80), probe, "10.0.0.2");
  EXPECT_EQ(target.error, "");
  EXPECT_EQ(target.port, 80);
}

TEST(ProbeTarget, CommandsSeeWhatStandsInTheEnv) {
  kube::Container container;
  container.env.push_back({.name = "PORT", .value = "5432"});
  kube::Probe probe;
  probe.exec.emplace().command = {"pg_isready", "-p", "$(PORT)", "$(USER)", "$$(PORT)"};
  EXPECT_EQ(probe_target(container, probe, "").command,
            (std::vector<std::string>{"pg_isready", "-p", "5432", "$(USER)", "$(PORT)"}));
}

}  // namespace
}  // namespace keelson::agent
