// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "common/atomic_file.h"
#include "common/task_group.h"
#include "network/object_source.h"

namespace keelson::network {
namespace {

constexpr const char* kWeb =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n";
constexpr const char* kSlice =
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: "
    "{kubernetes.io/service-name: web}}\naddressType: IPv4\nendpoints: [{addresses: [10.1.0.1]}]\nports: [{port: "
    "8080}]\n";

class FolderSourceTest : public ::testing::Test {
 protected:
  FolderSourceTest() {
    char path[] = "/tmp/keelson-network-XXXXXX";
    folder_ = ::mkdtemp(path);
  }
  ~FolderSourceTest() override { std::filesystem::remove_all(folder_); }

  // What the source told until it has told `count` batches, a line each.
  std::string told(size_t count) {
    source_ = folder_source(loop_, folder_, "here");
    tasks_.spawn("source", source_->run([this, count](ObjectBatch batch) {
      text_ += batch.synced ? "synced" : "not synced";
      for (const auto& service : batch.objects.services) {
        text_ += " +" + service.metadata.name;
      }
      for (const auto& slice : batch.objects.slices) {
        text_ += " +" + slice.metadata.name;
      }
      for (const auto& key : batch.objects.removed_services) {
        text_ += " -" + key;
      }
      for (const auto& key : batch.objects.removed_slices) {
        text_ += " -" + key;
      }
      text_ += "\n";
      steps_++;
      if (steps_ == count) {
        loop_.stop();
      } else if (!next_.empty()) {
        auto step = std::move(next_.front());
        next_.erase(next_.begin());
        step();
      }
    }));
    loop_.run();
    tasks_.cancel();
    loop_.run_until_idle();
    return text_;
  }
  void write(const std::string& text) { ASSERT_TRUE(write_file_atomic(folder_ + "/a.yaml", text)); }

  std::string folder_, text_;
  size_t steps_ = 0;
  std::vector<std::function<void()>> next_;
  Loop loop_{real_clock(), "test"};
  std::unique_ptr<LocalSource> source_;
  TaskGroup tasks_{loop_};
};

TEST_F(FolderSourceTest, TellsWhatChanged) {
  write(std::string(kWeb) + "---\n" + kSlice);
  next_.emplace_back([this] { write(kWeb); });
  EXPECT_EQ(told(2), "synced +web +web-1\nsynced -default/web-1\n");
}

TEST_F(FolderSourceTest, ABadDocumentChangesNothing) {
  write(std::string(kWeb) + "---\n" + kSlice);
  next_.emplace_back([this] { write(std::string(kWeb) + "---\nkind: ["); });
  EXPECT_EQ(told(2), "synced +web +web-1\nsynced\n");
}

TEST_F(FolderSourceTest, PodsMakeTheSlicesOfAServiceThatSelectsThem) {
  write(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, selector: {app: web}, ports: "
      "[{port: 80}]}\n");
  kube::Pod pod;
  pod.metadata = {.name = "web-0", .ns = "default", .labels = {{"app", "web"}}};
  pod.status.pod_ips = {"10.1.0.1"};
  next_.emplace_back([this, pod] { source_->pod_changed(pod, false); });
  next_.emplace_back([this, pod] { source_->pod_changed(pod, true); });
  EXPECT_EQ(told(3), "synced +web\nsynced +web-ipv4-1\nsynced -default/web-ipv4-1\n");
}

}  // namespace
}  // namespace keelson::network
