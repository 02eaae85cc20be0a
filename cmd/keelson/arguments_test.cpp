// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmd/keelson/node_flags.h"

namespace keelson::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A program of two verbs, one of which takes the flags of a node.
struct Program {
  CLI::App app{"", "program"};
  Session session;
  std::shared_ptr<NodeFlags> node;
  std::string output, pod;
  std::vector<std::string> command;

  Program() {
    app.require_subcommand(1);
    app.fallthrough();
    auto* verb = app.add_subcommand("node", "");
    node = NodeFlags::add(*verb);
    auto* other = app.add_subcommand("exec", "");
    other->add_option("-o,--output", output, "");
    other->add_option("pod", pod, "")->required();
    other->add_option("command", command, "")->required();
  }
  Result<> read(std::vector<const char*> words) {
    KEELSON_TRY(auto all, arguments(words, app));
    parse(app, std::move(all));
    return {};
  }
};

TEST(Arguments, NothingBehindEqualsIsAnEmptyValueAndNotTheNextWord) {
  Program program;
  ASSERT_TRUE(program.read({"node", "--healthz-bind-address=", "--metrics-bind-address=", "--node-name=here"}));
  auto config = program.node->load(program.session);
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->healthz_bind_address, "");
  EXPECT_EQ(config->metrics_bind_address, "");
  EXPECT_EQ(config->node_name, "here");
}

TEST(Arguments, OfAListItIsTheEmptyList) {
  Program program;
  ASSERT_TRUE(program.read(
      {"node", "--roles=agent,network", "--uplinks=", "--cluster-dns", "10.0.0.1", "--cluster-dns", "10.0.0.2"}));
  auto config = program.node->load(program.session);
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_THAT(config->uplinks, IsEmpty());
  EXPECT_THAT(config->roles, ElementsAre("agent", "network"));
  EXPECT_THAT(config->cluster_dns, ElementsAre("10.0.0.1", "10.0.0.2"));
}

TEST(Arguments, AListTakesOneWord) {
  Program program;
  EXPECT_THROW((void)program.read({"node", "--uplinks", "eth0", "eth1"}), CLI::ExtrasError);
}

TEST(Arguments, OfASwitchItIsWrong) {
  Program program;
  auto read = program.read({"node", "--xdp="});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message(), "--xdp=: true or false must stand behind '='");
  ASSERT_TRUE(program.read({"node", "--xdp=true", "--masquerade-all=false"}));
  EXPECT_TRUE(program.node->load(program.session)->xdp);
  EXPECT_FALSE(program.node->load(program.session)->masquerade_all);
}

TEST(Arguments, OfAShortFlagTheValueHasNoEqualsSign) {
  Program program;
  ASSERT_TRUE(program.read({"exec", "-o=json", "pod", "ls"}));
  EXPECT_EQ(program.output, "json");
  Program other;
  ASSERT_TRUE(other.read({"exec", "-o=", "pod", "ls"}));
  EXPECT_EQ(other.output, "");
  EXPECT_EQ(other.pod, "pod");
}

TEST(Arguments, BehindTwoDashesNothingIsTouched) {
  Program program;
  ASSERT_TRUE(program.read({"exec", "pod", "--", "dd", "--if=", "-o=x"}));
  EXPECT_THAT(program.command, ElementsAre("dd", "--if=", "-o=x"));
}

}  // namespace
}  // namespace keelson::cli
