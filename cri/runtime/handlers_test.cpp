// SPDX-License-Identifier: Apache-2.0
// Handlers as an operator names them, and as runtimes describe themselves.
#include "cri/runtime/handlers.h"

#include <gmock/gmock.h>

#include "cri/runtime/seccomp.h"

namespace keelson::cri {
namespace {

using testing::HasSubstr;

TEST(Handlers, AreNamesAndCommands) {
  const auto plain = parse_runtime_handler("runc=/usr/sbin/runc");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->name, "runc");
  EXPECT_EQ(plain->command, std::vector<std::string>{"/usr/sbin/runc"});
  const auto options = parse_runtime_handler("vm-1=/usr/bin/runsc --platform=kvm  --network=none");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->command, (std::vector<std::string>{"/usr/bin/runsc", "--platform=kvm", "--network=none"}));
  for (const auto* wrong : {"", "runc", "=/usr/sbin/runc", "keelson=/usr/sbin/runc", "runc=", "runc=runc", "a b=/x",
                            "../up=/x", "Runc=/x", "-a=/x"}) {
    EXPECT_EQ(parse_runtime_handler(wrong).error().kind(), Kind::invalid) << wrong;
  }
}

TEST(Handlers, AreFoundByName) {
  RuntimeOptions options;
  options.handlers = {*parse_runtime_handler("runc=/usr/sbin/runc")};
  EXPECT_EQ(*find_handler(options, ""), nullptr);
  EXPECT_EQ(*find_handler(options, "keelson"), nullptr);
  EXPECT_EQ(*find_handler(options, "runc"), options.handlers.data());
  EXPECT_EQ(find_handler(options, "kata").error().message(), "no runtime for \"kata\" is configured");
}

TEST(Handlers, TellTheirFeatures) {
  EXPECT_TRUE(features_of(R"({"mountOptions":["ro","rro"]})").recursive_read_only_mounts);
  for (const auto* other : {R"({"mountOptions":["ro"]})", R"({"mountOptions":1})", "[]", "", "no"}) {
    EXPECT_FALSE(features_of(other).recursive_read_only_mounts) << other;
  }
}

TEST(Handlers, DefaultSeccompIsTheSameFilterAsJson) {
  for (const Capabilities set : {default_capabilities(), all_capabilities()}) {
    const auto text = default_seccomp_document(set);
    EXPECT_THAT(text, HasSubstr(R"("defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1)"));
    const auto read_back = seccomp_program_of_profile(text);
    ASSERT_TRUE(read_back) << read_back.error().message();
    EXPECT_EQ(*read_back, *default_seccomp_program(set));
  }
}

}  // namespace
}  // namespace keelson::cri
