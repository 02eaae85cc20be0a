// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/pod_table.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace keelson::cli {
namespace {

namespace json = boost::json;

struct Case {
  const char* story;
  const char* pod;
  const char* ready;
  const char* status;
  const char* restarts;
};

// What kubectl prints for such pods (kubernetes pkg/printers/internalversion, printPod).
const Case kCases[] = {
    {"running", R"({"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","containerStatuses":
       [{"name":"a","ready":true,"restartCount":0,"state":{"running":{}}}]}})",
     "1/1", "Running", "0"},
    {"pending without statuses", R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Pending"}})",
     "0/2", "Pending", "0"},
    {"crash loop", R"({"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","containerStatuses":
       [{"name":"a","ready":false,"restartCount":4,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}})",
     "0/1", "CrashLoopBackOff", "4"},
    {"completed", R"({"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Succeeded","containerStatuses":
       [{"name":"a","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}})",
     "0/1", "Completed", "0"},
    {"killed by a signal", R"({"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","containerStatuses":
       [{"name":"a","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":137,"signal":9}}}]}})",
     "0/1", "Signal:9", "0"},
    {"one done, one running", R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Running",
       "conditions":[{"type":"Ready","status":"False"}],"containerStatuses":
       [{"name":"a","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":0,"reason":"Completed"}}},
        {"name":"b","ready":true,"restartCount":0,"state":{"running":{}}}]}})",
     "1/2", "NotReady", "0"},
    {"init in progress", R"({"spec":{"initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"a"}]},
       "status":{"phase":"Pending","initContainerStatuses":
       [{"name":"i","restartCount":0,"state":{"terminated":{"exitCode":0}}},
        {"name":"j","restartCount":0,"state":{"running":{}}}]}})",
     "0/1", "Init:1/2", "0"},
    {"init failed", R"({"spec":{"initContainers":[{"name":"i"}],"containers":[{"name":"a"}]},
       "status":{"phase":"Failed","initContainerStatuses":
       [{"name":"i","restartCount":0,"state":{"terminated":{"exitCode":3,"reason":"Error"}}}]}})",
     "0/1", "Init:Error", "0"},
    {"sidecar counts",
     R"({"spec":{"initContainers":[{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"a"}]},
       "status":{"phase":"Running","initContainerStatuses":
       [{"name":"s","ready":true,"started":true,"restartCount":1,"state":{"running":{}}}],"containerStatuses":
       [{"name":"a","ready":true,"restartCount":0,"state":{"running":{}}}]}})",
     "2/2", "Running", "1"},
    {"terminating", R"({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"containers":[{"name":"a"}]},
       "status":{"phase":"Running","containerStatuses":
       [{"name":"a","ready":true,"restartCount":0,"state":{"running":{}}}]}})",
     "1/1", "Terminating", "0"},
    {"evicted", R"({"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","reason":"Evicted"}})", "0/1",
     "Evicted", "0"},
};

TEST(PodRow, IsKubectls) {
  for (const auto& c : kCases) {
    auto row = pod_row(json::parse(c.pod));
    EXPECT_EQ(row.ready, c.ready) << c.story;
    EXPECT_EQ(row.status, c.status) << c.story;
    EXPECT_EQ(row.restarts, c.restarts) << c.story;
  }
}

TEST(PodTable, HasTheColumnsAskedFor) {
  auto list = json::parse(R"({"items":[{"metadata":{"name":"web","namespace":"shop"},"spec":{"nodeName":"n1",
      "containers":[{"name":"a"}]},"status":{"phase":"Pending","podIP":"10.1.0.2"}}]})");
  auto plain = pod_table(list, {});
  EXPECT_EQ(plain[0], (std::vector<std::string>{"NAME", "READY", "STATUS", "RESTARTS", "AGE"}));
  EXPECT_EQ(plain[1], (std::vector<std::string>{"web", "0/1", "Pending", "0", "<unknown>"}));
  auto wide = pod_table(list, {.wide = true, .namespaces = true, .headers = false});
  ASSERT_EQ(wide.size(), 1U);
  EXPECT_EQ(wide[0], (std::vector<std::string>{"shop", "web", "0/1", "Pending", "0", "<unknown>", "10.1.0.2", "n1"}));
}

}  // namespace
}  // namespace keelson::cli
