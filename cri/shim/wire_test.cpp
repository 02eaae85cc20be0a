// SPDX-License-Identifier: Apache-2.0
#include "cri/shim/wire.h"

#include <gtest/gtest.h>

#include "cri/shim/protocol.h"

namespace keelson::cri::shim {
namespace {

struct Old {
  std::string name;
  int32_t number = 0;
  template <class V>
  void visit(V& v) {
    v(1, name), v(2, number);
  }
};

struct New {
  std::string name;
  int32_t number = 0;
  std::vector<std::string> added = {};
  bool flag = true;
  template <class V>
  void visit(V& v) {
    v(1, name), v(2, number), v(3, added), v(4, flag);
  }
};

TEST(Wire, OldReadsNewAndNewReadsOld) {
  auto old = decode<Old>(encode(New{.name = "a", .number = -5, .added = {"x", ""}, .flag = false}));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->name, "a");
  EXPECT_EQ(old->number, -5);
  auto read = decode<New>(encode(Old{.name = "b", .number = 7}));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->added.empty());
  EXPECT_TRUE(read->flag);
}

TEST(Wire, NestsAndKeepsEveryField) {
  ContainerSpec spec{.id = "c1"};
  spec.process.args = {"/bin/sh", "-c", "exit 3"};
  spec.process.capabilities.bounding = ~0ULL;
  spec.mounts = {{.source = "proc", .target = "/proc", .type = "proc", .flags = 14},
                 {.target = "/b", .recursive_read_only = true}};
  spec.pid = NamespaceMode::pod;
  Request request{.verb = Verb::create, .container_id = "c1", .spec = spec, .number = -1, .all = true};
  auto read = decode<Request>(encode(request));
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encode(request));
  EXPECT_EQ(read->spec.mounts[1].target, "/b");
  EXPECT_EQ(read->spec.pid, NamespaceMode::pod);
}

TEST(Wire, EveryTruncationIsRefusedOrLosesOnlyWholeFields) {
  auto bytes = encode(New{.name = "abc", .number = 9, .added = {"x"}, .flag = true});
  for (size_t size = 0; size < bytes.size(); ++size) {
    auto read = decode<New>(bytes.substr(0, size));
    EXPECT_TRUE(!read || read->number == 9 || read->number == 0) << size;
  }
  EXPECT_FALSE(decode<New>("x"));
  EXPECT_FALSE(decode<New>(std::string("\x02\0\x03\0\0\0abc", 9)));  // an integer of three bytes
}

}  // namespace
}  // namespace keelson::cri::shim
