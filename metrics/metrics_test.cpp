// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include "metrics/exposition.h"
#include "metrics/process_stats.h"

namespace keelson::metrics {
namespace {

TEST(ExpositionTest, WritesWhatPrometheusReads) {
  Stats stats;
  stats.gauge("rows", "Rows by table.", 3, {{"table", "services"}});
  stats.gauge("rows", "Rows by table.", 1.5, {{"table", "a \"quoted\"\nname"}});
  stats.counter("changes_total", "Changes.", 18446744073.0);
  EXPECT_EQ(prometheus_text(stats),
            "# HELP changes_total Changes.\n"
            "# TYPE changes_total counter\n"
            "changes_total 18446744073\n"
            "# HELP rows Rows by table.\n"
            "# TYPE rows gauge\n"
            "rows{table=\"services\"} 3\n"
            "rows{table=\"a \\\"quoted\\\"\\nname\"} 1.5\n");
}

TEST(ExpositionTest, HistogramsAreCumulative) {
  Histogram sizes(exponential_bounds(1, 2, 3));
  for (double value : {0.5, 1.0, 3.0, 100.0}) {
    sizes.observe(value);
  }
  Stats stats;
  stats.histogram("size", "Sizes.", sizes, {{"ip_family", "IPv4"}});
  EXPECT_EQ(prometheus_text(stats),
            "# HELP size Sizes.\n"
            "# TYPE size histogram\n"
            "size_count{ip_family=\"IPv4\"} 4\n"
            "size_sum{ip_family=\"IPv4\"} 104.5\n"
            "size_bucket{ip_family=\"IPv4\",le=\"1\"} 2\n"
            "size_bucket{ip_family=\"IPv4\",le=\"2\"} 2\n"
            "size_bucket{ip_family=\"IPv4\",le=\"4\"} 3\n"
            "size_bucket{ip_family=\"IPv4\",le=\"+Inf\"} 4\n");
  EXPECT_EQ(linear_bounds(0.25, 0.25, 3), (std::vector<double>{0.25, 0.5, 0.75}));
}

TEST(ProcessStatsTest, AreThoseOfThisProcess) {
  Stats stats;
  ASSERT_TRUE(collect_process(stats));
  auto value = [&](const char* name) { return stats.families().at(name).samples.at(0).value; };
  EXPECT_GT(value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(value("process_virtual_memory_bytes"), value("process_resident_memory_bytes"));
  auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(value("process_start_time_seconds"), now, 60);
  EXPECT_GE(value("go_goroutines"), 1);
  auto open = value("process_open_fds");
  int fd = ::dup(0);
  Stats again;
  ASSERT_TRUE(collect_process(again));
  ::close(fd);
  EXPECT_EQ(again.families().at("process_open_fds").samples.at(0).value, open + 1);
}

}  // namespace
}  // namespace keelson::metrics
