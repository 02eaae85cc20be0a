// SPDX-License-Identifier: Apache-2.0
// What the command line tells of a node that routes services.
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "tests/e2e/service_node.h"

namespace keelson::testing {
namespace {

class ServiceVerbsTest : public ServiceNode {
 protected:
  // One connection from pod1, as packets.
  void connect_once() {
    auto listener = server("pod2", "10.2.0.2");
    EXPECT_EQ(source_seen("pod1", "10.96.0.1", 80, listener), "10.2.0.1");
  }
};

TEST_F(ServiceVerbsTest, ServicesAndEndpoints) {
  connect_once();
  auto services = ask({"get", "svc"});
  EXPECT_EQ(services.code, 0) << services.error;
  EXPECT_EQ(services.out,
            "NAME     TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)               AGE\n"
            "nobody   ClusterIP   10.96.0.9    <none>        80/TCP                <unknown>\n"
            "web      NodePort    10.96.0.1    <none>        80:30080/TCP,53/UDP   <unknown>\n");
  EXPECT_EQ(
      ask({"get", "services", "web", "-o", "wide", "--no-headers"}).out,
      "web   NodePort   10.96.0.1   <none>   80:30080/TCP,53/UDP   <unknown>   2/2   1/1/0   1   Cluster/Cluster  "
      " None\n");
  EXPECT_EQ(ask({"get", "ep", "web", "-o", "wide", "--no-headers"}).out,
            "web   10.2.0.2:8080   http/TCP   Ready   here   <none>   yes   <none>\n"
            "web   10.2.0.2:8080   dns/UDP    Ready   here   <none>   yes   <none>\n");
  EXPECT_EQ(boost::json::parse(ask({"get", "svc", "web", "-o", "json"}).out).at_pointer("/spec/type"), "NodePort");
  auto missing = ask({"get", "svc", "else"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.error, "error: services \"else\" not found\n");
  EXPECT_EQ(ask({"get", "svc", "-n", "none"}).error, "No resources found in none namespace.\n");
}

TEST_F(ServiceVerbsTest, WhatTheKernelHasOtherwiseIsTold) {
  auto equal = ask({"get", "svc", "--diff"});
  EXPECT_EQ(equal.code, 0) << equal.out << equal.error;
  EXPECT_EQ(equal.out, "");
  auto table = daemon_->pins();
  for (const auto& entry : fs::recursive_directory_iterator(table)) {
    if (entry.path().filename() == "frontends") {
      table = entry.path();
      break;
    }
  }
  // Behind the daemon's back: 10.96.0.9:80/TCP.
  std::vector<std::string> command{"bpftool", "map", "delete", "pinned", table, "key", "hex"};
  for (const char* byte : {"00", "00", "00", "00", "00", "00", "00", "00", "00", "00",
                           "ff", "ff", "0a", "60", "00", "09", "00", "50", "06", "00"}) {
    command.emplace_back(byte);
  }
  auto removed = run(command);
  ASSERT_EQ(removed.code, 0) << removed.out << removed.error;
  auto differs = ask({"get", "svc", "--diff"});
  EXPECT_EQ(differs.code, 1);
  EXPECT_EQ(differs.out, "missing: default/nobody 10.96.0.9:80/TCP\n");
}

TEST_F(ServiceVerbsTest, ConnectionsListedCountedAndForgotten) {
  auto listener = server("pod2", "10.2.0.2");
  auto client = Socket::tcp(*net_, "client");
  ASSERT_EQ(client.connect("10.1.0.1", 30080), 0);
  Output listed;
  for (int i = 0; i < 500 && listed.out.find("ESTABLISHED") == listed.out.npos; i++) {
    listed = ask({"ct", "list", "-o", "wide", "--no-headers", "--service", "web:http"});
  }
  EXPECT_EQ(listed.code, 0) << listed.error;
  EXPECT_TRUE(listed.out.starts_with("TCP   10.1.0.3:")) << listed.out;
  EXPECT_NE(listed.out.find("   10.1.0.1:30080   10.2.0.2:8080   ESTABLISHED   "), listed.out.npos) << listed.out;
  EXPECT_NE(listed.out.find("   default/web:http   10.1.0.1:"), listed.out.npos) << listed.out;
  EXPECT_EQ(ask({"ct", "list", "--client", "10.2.0.1"}).error, "No connections found.\n");
  auto top = boost::json::parse(ask({"ct", "top", "-o", "json"}).out);
  EXPECT_EQ(top.at_pointer("/clients/0/name"), "10.1.0.3");
  EXPECT_EQ(top.at_pointer("/clients/0/rows"), 2);
  EXPECT_EQ(top.at_pointer("/services/0/masqueradePorts"), 1);
  EXPECT_EQ(ask({"ct", "flush"}).code, 2);
  EXPECT_EQ(ask({"ct", "flush", "--client", "x"}).code, 1);
  EXPECT_EQ(ask({"ct", "flush", "--client", "10.1.0.3"}).out, "1 connections forgotten\n");
  EXPECT_EQ(ask({"ct", "list"}).error, "No connections found.\n");
}

TEST_F(ServiceVerbsTest, WhySaysWhatThePacketsDo) {
  auto why = boost::json::parse(ask({"why", "10.1.0.3:4711", "10.1.0.1:30080", "-o", "json"}).out);
  EXPECT_EQ(why.at("outcome"), "FORWARD");
  EXPECT_EQ(why.at("service"), "default/web:http");
  EXPECT_EQ(why.at("programmed"), true);
  EXPECT_EQ(why.at("decidedBy"), "tc");
  EXPECT_EQ(why.at("masqueradeAs"), "10.1.0.1");
  EXPECT_EQ(why.at_pointer("/endpoints/0/chosen"), true);
  EXPECT_EQ(ask({"why", "pod", "10.96.0.9:80"}).out,
            "any pod -> 10.96.0.9:80/TCP\n"
            "service:     default/nobody, ClusterIP\n"
            "decided:     when the socket connects (cgroup): no packet needs translation\n"
            "verdict:     REJECT: the service has no endpoint\n");
  EXPECT_NE(ask({"why", "node", "10.96.0.1:81"}).out.find("default/web:http at 80/TCP"), std::string::npos);
  EXPECT_EQ(ask({"why", "pod", "10.96.0.1"}).code, 2);
  EXPECT_EQ(ask({"why", "nobody", "10.96.0.1:80"}).code, 1);
}

// The endpoint that is said beforehand is the one that packets reach.
TEST_F(ServiceVerbsTest, TheHashIsTheKernels) {
  auto more = slice("10.2.0.2", "here");
  more.insert(more.rfind(']'), ", {addresses: [10.3.0.1], nodeName: there}");
  daemon_->apply("slice.yaml", more);
  daemon_->wait_for(NetworkDaemon::kRouted, 2);
  auto here = server("pod2", "10.2.0.2"), there = server("other", "10.3.0.1");
  for (uint16_t port = 40000; port < 40006; port++) {
    auto client = Socket::tcp(*net_, "client");
    client.bind("10.1.0.3", port);
    ASSERT_EQ(client.connect("10.96.0.1", 80, 10'000), 0) << port;
    auto from = "10.1.0.3:" + std::to_string(port);
    auto why = boost::json::parse(ask({"why", from, "10.96.0.1:80", "-o", "json"}).out);
    auto chosen = why.at_pointer("/endpoints/0/chosen") == true ? "10.2.0.2:8080" : "10.3.0.1:8080";
    ASSERT_EQ(why.at("connections").as_array().size(), 1U) << port;
    EXPECT_EQ(why.at_pointer("/connections/0/backend"), chosen) << port;
  }
}

TEST_F(ServiceVerbsTest, DropsAndRejectsAreKeptAndFlowsFollowed) {
  auto refused = Socket::tcp(*net_, "pod1");
  EXPECT_EQ(refused.connect("10.96.0.9", 80, 10'000), ECONNREFUSED);
  std::string last;
  for (int i = 0; i < 1000 && last.find("10.96.0.9:80") == last.npos; i++) {
    last = ask({"flows", "--drop"}).out;
  }
  EXPECT_NE(last.find("REJECTED  TCP  10.2.0.1:"), last.npos) << last;
  EXPECT_NE(last.find(" -> 10.96.0.9:80 default/nobody (the service has no endpoint)\n"), last.npos) << last;

  auto output = (daemon_->home() / "flows").string();
  Background follower(command_line({"flows", "-f", "-o", "json"}), output);
  std::string text;
  // Until it follows.
  for (int i = 0; i < 2000 && (text.find("flows_new") == text.npos || !text.ends_with('\n')); i++) {
    connect_once();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = read_text(output);
  }
  ASSERT_NE(text.find('\n'), text.npos) << text;
  auto event = boost::json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(event.at("verdict"), "FORWARDED");
  EXPECT_EQ(event.at("service"), "default/web:http");
  EXPECT_EQ(event.at("backend"), "10.2.0.2:8080");
  follower.kill();
  EXPECT_TRUE(daemon_->alive());
  EXPECT_EQ(ask({"get", "svc"}).code, 0) << "the node goes on without its follower";
}

TEST_F(ServiceVerbsTest, StatusTellsOfProgramsAndTables) {
  auto status = ask({"status", "--wait", "--timeout", "60"});
  EXPECT_EQ(status.code, 0) << status.error;
  EXPECT_NE(status.out.find("in sync, 3 services routed on here"), status.out.npos) << status.out;
  EXPECT_NE(status.out.find("eth0   uplink   tc-ingress,tc-egress\n"), status.out.npos) << status.out;
  EXPECT_NE(status.out.find("p1     pod      tc-ingress,tc-egress\n"), status.out.npos) << status.out;
  auto tree = boost::json::parse(ask({"status", "-o", "json"}).out);
  EXPECT_EQ(tree.at_pointer("/network/programs/sockets/hooks").as_array().size(), 9U);
  EXPECT_EQ(tree.at_pointer("/network/lastSync/failed"), 0);
}

TEST_F(ServiceVerbsTest, WithoutANodeTheErrorSaysWhatToDo) {
  EXPECT_EQ(daemon_->stop(), 0);
  auto nobody = ask({"get", "svc"});
  EXPECT_EQ(nobody.code, 1);
  EXPECT_NE(nobody.error.find("keelson node --roles network"), nobody.error.npos) << nobody.error;
}

}  // namespace
}  // namespace keelson::testing
