// SPDX-License-Identifier: Apache-2.0
// Manifest folders, good and bad.
#include "kube/folder/manifest_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/atomic_file.h"
#include "common/task_group.h"

namespace keelson::kube {
namespace {

using namespace std::chrono_literals;

std::string pod_yaml(const std::string& name, const std::string& image = "img:1") {
  return fmt::format(
      "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}}}\nspec:\n  containers:\n  - name: main\n    image: {}\n", name,
      image);
}

class ManifestFolderTest : public ::testing::Test {
 protected:
  ManifestFolderTest() {
    char path[] = "/tmp/keelson-source-XXXXXX";
    dir = ::mkdtemp(path);
  }
  ~ManifestFolderTest() override { std::filesystem::remove_all(dir); }
  void write(const std::string& file, const std::string& text) {
    ASSERT_TRUE(write_file_atomic(dir + "/" + file, text));
  }
  std::string names(const DesiredState& state) {
    std::string all;
    for (const auto& [key, pod] : state.pods) {
      all += key + "=" + pod.spec.containers[0].image + " ";
    }
    return all;
  }

  std::string dir;
};

TEST_F(ManifestFolderTest, ReadsFilesAndLeavesLeavingsAside) {
  write("b.yaml", pod_yaml("b") + "---\n" + pod_yaml("c"));
  write(".hidden.yaml", pod_yaml("h"));
  write("b.yaml~", pod_yaml("t"));
  write(".b.yaml.swp", "junk");
  std::filesystem::create_directory(dir + "/sub");
  ManifestFolder folder(dir);
  auto state = folder.scan().value();
  EXPECT_EQ(names(state), "default/b=img:1 default/c=img:1 ");
  EXPECT_TRUE(state.problems.empty());
  EXPECT_EQ(names(ManifestFolder(dir + "/b.yaml").scan().value()), names(state));
  EXPECT_TRUE(ManifestFolder(dir + "/absent").scan().value().pods.empty());
}

TEST_F(ManifestFolderTest, TheUidFollowsTheContent) {
  write("a.yaml", pod_yaml("a"));
  ManifestFolder folder(dir);
  auto first = folder.scan().value().pods.at("default/a").metadata.uid;
  EXPECT_EQ(first, ManifestFolder(dir).scan().value().pods.at("default/a").metadata.uid);
  write("a.yaml", pod_yaml("a", "img:2"));
  EXPECT_NE(first, folder.scan().value().pods.at("default/a").metadata.uid);
}

TEST_F(ManifestFolderTest, BadInputKeepsTheLastGoodVersion) {
  write("a.yaml", pod_yaml("a") + "---\n" + pod_yaml("b"));
  ManifestFolder folder(dir);
  ASSERT_TRUE(folder.scan());
  write("a.yaml", pod_yaml("a", "img:2") + "---\n" + pod_yaml("b", "[]"));
  auto state = folder.scan().value();
  EXPECT_EQ(names(state), "default/a=img:2 default/b=img:1 ");
  ASSERT_EQ(state.problems.size(), 1U);
  EXPECT_EQ(state.problems[0].text.find("a.yaml:15: spec.containers[0].image"), 0U) << state.problems[0].text;
  write("a.yaml", "a: [");
  EXPECT_EQ(names(folder.scan().value()), "default/a=img:2 default/b=img:1 ");
  write("a.yaml", pod_yaml("b", "img:3"));
  EXPECT_EQ(names(folder.scan().value()), "default/b=img:3 ");
}

TEST_F(ManifestFolderTest, RuntimeClassesAreReadAndTheirOverheadIsTheirPods) {
  write("class.yaml",
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: vm}\nhandler: kata\n"
        "overhead: {podFixed: {memory: 64Mi}}\n");
  write("pods.yaml", pod_yaml("plain") + "---\n" + pod_yaml("vm") + "  runtimeClassName: vm\n---\n" + pod_yaml("own") +
                         "  runtimeClassName: vm\n  overhead: {memory: 8Mi}\n---\n" + pod_yaml("other") +
                         "  runtimeClassName: other\n");
  auto state = ManifestFolder(dir).scan().value();
  EXPECT_TRUE(state.problems.empty());
  EXPECT_EQ(state.runtime_classes.at("vm").handler, "kata");
  const auto uid = state.pods.at("default/vm").metadata.uid;
  add_overheads(state);
  const auto memory = [&](const std::string& name) {
    const auto& overhead = state.pods.at("default/" + name).spec.overhead;
    return overhead.contains("memory") ? overhead.at("memory").whole() >> 20 : 0;
  };
  EXPECT_EQ(memory("vm"), 64);
  EXPECT_EQ(memory("own"), 8);
  EXPECT_EQ(memory("other") + memory("plain"), 0);
  EXPECT_EQ(state.pods.at("default/vm").metadata.uid, uid) << "another overhead makes no other pod";
}

TEST_F(ManifestFolderTest, TheFirstOfTwoOfOneNameCounts) {
  write("1.yaml", pod_yaml("web", "first"));
  write("2.yaml", pod_yaml("web", "second"));
  auto state = ManifestFolder(dir).scan().value();
  EXPECT_EQ(names(state), "default/web=first ");
  ASSERT_EQ(state.problems.size(), 1U);
  EXPECT_NE(state.problems[0].text.find("2.yaml"), std::string::npos);
  EXPECT_NE(state.problems[0].text.find("1.yaml"), std::string::npos);
}

TEST_F(ManifestFolderTest, LoopsPipesAndHugeFilesAreProblemsOrNothing) {
  write("good.yaml", pod_yaml("good"));
  std::filesystem::create_symlink("loop.yaml", dir + "/loop.yaml");
  std::filesystem::create_symlink("absent", dir + "/dangling.yaml");
  ASSERT_EQ(::mkfifo((dir + "/pipe.yaml").c_str(), 0600), 0);
  std::ofstream(dir + "/huge.yaml").close();
  std::filesystem::resize_file(dir + "/huge.yaml", 50 << 20);
  auto state = ManifestFolder(dir).scan().value();
  EXPECT_EQ(names(state), "default/good=img:1 ");
  ASSERT_EQ(state.problems.size(), 2U);
  EXPECT_EQ(state.problems[0].text.find("huge.yaml"), 0U) << state.problems[0].text;
  EXPECT_EQ(state.problems[1].text.find("loop.yaml"), 0U) << state.problems[1].text;
}

TEST_F(ManifestFolderTest, TheWatcherSeesRenamesAndConfigMapStyleLinks) {
  std::filesystem::create_directory(dir + "/..v1");
  write("..v1/web.yaml", pod_yaml("web", "one"));
  std::filesystem::create_directory_symlink("..v1", dir + "/..data");
  std::filesystem::create_symlink("..data/web.yaml", dir + "/web.yaml");
  Loop loop(real_clock(), "test");
  std::vector<std::string> seen;
  FolderSource source(loop, dir, [&](const DesiredState& state) {
    seen.push_back(names(state));
    if (seen.size() == 1) {
      std::filesystem::create_directory(dir + "/..v2");
      write("..v2/web.yaml", pod_yaml("web", "two"));
      std::filesystem::create_directory_symlink("..v2", dir + "/..new");
      std::filesystem::rename(dir + "/..new", dir + "/..data");
    } else if (seen.back() == "default/web=two ") {
      loop.stop();
    }
  });
  TaskGroup group(loop);
  group.spawn("source", source.run());
  group.spawn("limit", [](Loop& l) -> Task<> {
    KEELSON_CO_DO(co_await l.sleep(5s));
    l.stop();
    co_return Result<>();
  }(loop));
  loop.run();
  EXPECT_EQ(seen.front(), "default/web=one ");
  EXPECT_EQ(seen.back(), "default/web=two ");
  group.cancel();
  loop.run_until_idle();
}

}  // namespace
}  // namespace keelson::kube
