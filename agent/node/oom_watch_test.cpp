// SPDX-License-Identifier: Apache-2.0
// Stories as kernels tell them.
#include "agent/node/oom_watch.h"

#include <gtest/gtest.h>

#include <vector>

namespace keelson::agent {
namespace {

std::vector<OomVictim> victims(std::initializer_list<std::string_view> messages) {
  OomMessages log;
  std::vector<OomVictim> found;
  for (const auto message : messages) {
    if (auto victim = log.next(message)) {
      found.push_back(*std::move(victim));
    }
  }
  return found;
}

TEST(OomMessages, TellWhomTheMachinesLackHasEnded) {
  EXPECT_EQ(victims({"stress invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0",
                     "Mem-Info:",
                     "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
                     "task_memcg=/kubepods/pod1/c0ffee,task=stress,pid=4711,uid=0",
                     "Out of memory: Killed process 4711 (stress) total-vm:8000kB, anon-rss:7000kB",
                     "oom_reaper: reaped process 4711 (stress), now anon-rss:0kB"}),
            (std::vector<OomVictim>{{"stress", 4711}}));
}

TEST(OomMessages, AContainerAtItsLimitIsNotTold) {
  EXPECT_TRUE(victims({"stress invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=1000",
                       "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c0ffee,mems_allowed=0,"
                       "oom_memcg=/kubepods/pod1,task_memcg=/kubepods/pod1/c0ffee,task=stress,pid=4711,uid=0",
                       "Memory cgroup out of memory: Killed process 4711 (stress) total-vm:8000kB"})
                  .empty());
  EXPECT_TRUE(victims({"stress invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=1000",
                       "Task in /kubepods/pod1/c0ffee killed as a result of limit of /kubepods/pod1",
                       "Killed process 4711 (stress) total-vm:8000kB"})
                  .empty())
      << "a kernel before 5.0";
}

TEST(OomMessages, OneStoryAfterTheOther) {
  EXPECT_EQ(victims({"a invoked oom-killer: x", "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,task_memcg=/a",
                     "Memory cgroup out of memory: Killed process 1 (a) x", "Killed process 2 (b) outside of any story",
                     "c invoked oom-killer: x", "Out of memory: Killed process 3 (c (d) x"}),
            (std::vector<OomVictim>{{"c (d", 3}}));
}

}  // namespace
}  // namespace keelson::agent
