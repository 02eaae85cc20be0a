// SPDX-License-Identifier: Apache-2.0
// The kubelet API over real TLS, before an agent of a small world on its own thread.
#include "agent/kubelet_api/kubelet_api.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "agent/small_world.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/task_group.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_client.h"

namespace keelson::agent {
namespace {

using keelson::testing::TestAuthority;
using keelson::testing::TlsClient;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Nobody else's, a moment ago.
uint16_t free_port() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

class KubeletApiTest : public ::testing::Test {
 protected:
  KubeletApiTest() {
    log::set_level(log::Level::off);
    std::string pattern = "/tmp/keelson-kubelet-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    std::ofstream(dir_ + "/ca.crt") << authority_.certificate();
    std::ofstream(dir_ + "/0.log") << "2023-11-14T22:13:01.000000000Z stdout F one\n";
    group_.spawn("agent", agent_.run());
    kube::DesiredState state;
    kube::Pod pod;
    pod.metadata = {.name = "web", .ns = "default", .uid = "u1"};
    pod.spec.containers.emplace_back().name = "main";
    pod.spec.containers[0].image = "img";
    state.pods.emplace("default/web", pod);
    agent_.desired(std::move(state));
    agents_loop_.run_until_idle();
    world_.containers.begin()->second.log_path = dir_ + "/0.log";
    agent_.runtime_changed("u1");
    agents_loop_.run_until_idle();
    options_.where = {"127.0.0.1", free_port()};
    options_.healthz = {"127.0.0.1", free_port()};
    options_.pki_folder = dir_ + "/pki";
    options_.authentication.client_ca_file = dir_ + "/ca.crt";
    options_.authorization = {.webhook = false, .node_name = "n1"};
    options_.cri_socket = dir_ + "/absent.sock";
    options_.stats.node_name = "n1";
    options_.stats.root = dir_;
    options_.stats.version = "v1.34.4";
    options_.configuration = R"({"port":10250})";
    options_.collect_probes = [](Stats& stats) {
      stats.counter("prober_probe_total", "Probes.", 3, {{"result", "successful"}});
    };
  }
  ~KubeletApiTest() override {
    agents_loop_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
    api_.reset();
    group_.cancel();
    agents_loop_.run_until_idle();
    std::filesystem::remove_all(dir_);
  }
  void start() {
    auto started = KubeletApi::start(options_, agents_loop_, agent_);
    ASSERT_TRUE(started) << started.error().message();
    api_ = *std::move(started);
    thread_ = std::thread([this] { agents_loop_.run(); });
    // It listens once its thread has come to it.
    for (int i = 0; i < 200 && !listens(options_.where->port); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  static bool listens(uint16_t port) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  /// An administrator's.
  std::string ask(const std::string& line, const std::string& headers = "Connection: close\r\n") {
    TlsClient client(options_.where->port, authority_.issue("admin", "system:masters"));
    return client.ask(line, "\1", headers);
  }

  std::string dir_;
  TestAuthority authority_;
  Loop agents_loop_{real_clock(), "agent"};
  SmallWorld world_{agents_loop_};
  Agent agent_{agents_loop_, {.node_name = "n1"}, world_};
  TaskGroup group_{agents_loop_};
  KubeletApiOptions options_;
  std::unique_ptr<KubeletApi> api_;
  std::thread thread_;
};

TEST_F(KubeletApiTest, ACheckpointIsTheRuntimesAffair) {
  options_.checkpoint_folder = dir_ + "/checkpoints";
  start();
  const auto refused = ask("POST /checkpoint/default/web/main");
  EXPECT_THAT(refused, HasSubstr(" 500 "));
  EXPECT_THAT(refused, HasSubstr("checkpointing of default/web/main failed ("));
  EXPECT_TRUE(std::filesystem::is_directory(options_.checkpoint_folder)) << "the runtime was asked";
  EXPECT_THAT(ask("POST /checkpoint/default/web/other"), HasSubstr("container other does not exist"));
  EXPECT_THAT(ask("POST /checkpoint/default/gone/main"), HasSubstr("pod does not exist"));
  EXPECT_THAT(ask("POST /checkpoint/default/web/main?timeout=soon"),
              HasSubstr("cannot parse value of timeout parameter"));
  EXPECT_THAT(ask("POST /checkpoint/default/web/main?timeout=9223372036854775807"), HasSubstr(" 500 "));
  EXPECT_THAT(ask("GET /checkpoint/default/web/main"), HasSubstr(" 405 "));
}

TEST_F(KubeletApiTest, AnswersWhomItKnows) {
  start();
  EXPECT_THAT(ask("GET /healthz"), EndsWith("\r\n\r\nok"));
  EXPECT_THAT(ask("GET /healthz/syncloop"), EndsWith("\r\n\r\nok"));
  EXPECT_THAT(ask("GET /pods"), HasSubstr("\"kind\":\"PodList\""));
  EXPECT_THAT(ask("GET /configz"), EndsWith("\r\n\r\n{\"kubeletconfig\":{\"port\":10250}}"));
  EXPECT_THAT(ask("GET /containerLogs/default/web/main"), EndsWith("\r\n\r\none\n"));
  EXPECT_THAT(ask("GET /stats/summary"), HasSubstr("\"podRef\":{\"name\":\"web\""));
  EXPECT_THAT(ask("GET /stats/summary?only_cpu_and_memory=true"), HasSubstr("\"nodeName\":\"n1\""));
  EXPECT_THAT(ask("GET /metrics/resource"), HasSubstr("node_memory_working_set_bytes "));
  EXPECT_THAT(ask("GET /metrics/cadvisor"), HasSubstr("machine_memory_bytes{boot_id=\""));
  EXPECT_THAT(ask("GET /metrics/probes"), HasSubstr("prober_probe_total{result=\"successful\"} 3\n"));
  EXPECT_THAT(ask("GET /metrics/slis"), HasSubstr("kubernetes_healthcheck{name=\"syncloop\",type=\"healthz\"} 1\n"));
  const auto own = ask("GET /metrics");
  EXPECT_THAT(own, HasSubstr("kubelet_running_containers{container_state=\"running\"} 1\n"));
  EXPECT_THAT(own, HasSubstr("kubelet_node_name{node=\"n1\"} 1\n"));
  EXPECT_THAT(own,
              HasSubstr("kubelet_http_requests_total{long_running=\"false\",method=\"GET\",path=\"pods\",server_type="
                        "\"readwrite\"} 1\n"));
  EXPECT_THAT(own, HasSubstr("kubelet_http_inflight_requests{long_running=\"false\",method=\"GET\",path=\"metrics\","
                             "server_type=\"readwrite\"} 1\n"));
  EXPECT_THAT(own, HasSubstr("kubelet_started_containers_total{container_type=\"container\"} 1\n"));
  EXPECT_THAT(own, HasSubstr("kubelet_desired_pods{static=\"\"} 1\n"));
  EXPECT_THAT(own, HasSubstr("kubelet_runtime_operations_errors_total{operation_type=\"list_container_stats\"} "))
      << "the runtime is away";
  EXPECT_THAT(own, HasSubstr("kubelet_certificate_manager_server_ttl_seconds "));
  EXPECT_THAT(ask("GET /debug/pprof/"), HasSubstr("go tool pprof"));
  EXPECT_THAT(ask("GET /debug/pprof/threads"), HasSubstr("  kl-api "));
  EXPECT_THAT(ask("GET /debug/pprof/heap"), HasSubstr("<malloc version="));
  EXPECT_THAT(ask("GET /debug/pprof/profile?seconds=x"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("GET /debug/pprof/goroutine"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("GET /nothing"), StartsWith("HTTP/1.1 404"));
  for (const char* verb : {"ET", "POS", "GETS", "get", "HEAD"}) {  // no verb that anybody has been asked about
    EXPECT_THAT(ask(fmt::format("{} /pods", verb)), StartsWith("HTTP/1.1 405")) << verb;
    EXPECT_THAT(ask(fmt::format("{} /run/default/web/main?cmd=id", verb)), StartsWith("HTTP/1.1 405")) << verb;
  }
  EXPECT_THAT(ask("POST /exec/default/web/main?command=id&output=1"), EndsWith("\r\n\r\nUpgrade request required\n"));
  EXPECT_THAT(ask("POST /exec/default/web/main?command=id&output=1", "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"),
              StartsWith("HTTP/1.1 503"))
      << "the runtime is away";
}

TEST_F(KubeletApiTest, DebugEndpointsMayBeDisabled) {
  options_.debugging_handlers = false;
  start();
  for (const char* line : {"GET /containerLogs/default/web/main", "POST /exec/default/web/main?command=id&output=1",
                           "POST /run/default/web/main?cmd=id", "POST /attach/default/web/main",
                           "POST /portForward/default/web", "GET /runningpods/", "GET /logs/", "GET /debug/pprof/"}) {
    const auto answer = ask(line);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405")) << line;
    EXPECT_THAT(answer, EndsWith("\r\n\r\nDebug endpoints are disabled.\n")) << line;
  }
  EXPECT_THAT(ask("GET /pods"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ask("GET /metrics/resource"), StartsWith("HTTP/1.1 200"));
}

TEST_F(KubeletApiTest, RefusesStrangers) {
  start();
  TlsClient nobody(options_.where->port);
  ASSERT_FALSE(nobody.shake_hands());
  EXPECT_THAT(nobody.ask("GET /healthz", "Unauthorized"), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(nobody.ask("GET /nothing", "Unauthorized"), StartsWith("HTTP/1.1 401")) << "nor what there is";
  EXPECT_THAT(nobody.ask("GET /pods", "Unauthorized", "Authorization: Bearer x\r\n"), StartsWith("HTTP/1.1 401"));
  TlsClient stranger(options_.where->port, TestAuthority().issue("admin", "system:masters"));
  EXPECT_THAT(stranger.ask("GET /pods", "Unauthorized"), StartsWith("HTTP/1.1 401"));
}

TEST_F(KubeletApiTest, HealthIsAskedWithoutACredential) {
  start();
  EXPECT_THAT(TlsClient(options_.healthz->port).ask("GET /healthz"), EndsWith("\r\n\r\nok"));
  EXPECT_THAT(TlsClient(options_.healthz->port).ask("GET /pods"), StartsWith("HTTP/1.1 404"));
}

TEST_F(KubeletApiTest, AStuckAgentIsNoStuckApi) {
  start();
  std::promise<void> held, release;
  agents_loop_.post([&] {
    held.set_value();
    release.get_future().wait();
  });
  held.get_future().wait();
  EXPECT_THAT(ask("GET /healthz/ping"), EndsWith("\r\n\r\nok"));
  EXPECT_THAT(ask("GET /configz"), StartsWith("HTTP/1.1 200"));
  release.set_value();
  EXPECT_THAT(ask("GET /pods"), StartsWith("HTTP/1.1 200"));
}

TEST_F(KubeletApiTest, WhatItCannotServeWithIsNamed) {
  options_.tls.certificate_file = dir_ + "/none.crt";
  options_.tls.key_file = dir_ + "/none.key";
  const auto failed = KubeletApi::start(options_, agents_loop_, agent_);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message(), StartsWith("tlsCertFile: open " + dir_ + "/none.crt: No such file"));
  options_.tls_comes_later = true;
  start();
  TlsClient early(options_.where->port);
  EXPECT_TRUE(early.shake_hands()) << "there is no certificate yet";
  const auto issued = authority_.issue("n1");
  std::ofstream(options_.tls.key_file) << issued.key;
  std::ofstream(options_.tls.certificate_file) << issued.certificate;
  EXPECT_THAT(ask("GET /healthz"), EndsWith("\r\n\r\nok"));
}

}  // namespace
}  // namespace keelson::agent
