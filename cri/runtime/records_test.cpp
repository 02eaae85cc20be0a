// SPDX-License-Identifier: Apache-2.0
// Records, table, filters, signals, cgroup arithmetic: the runtime's bookkeeping without a kernel.
#include "cri/runtime/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include "common/fd.h"
#include "cri/runtime/pod_table.h"
#include "cri/runtime/sandbox_files.h"
#include "cri/runtime/signals.h"
#include "cri/runtime/status_view.h"

namespace keelson::cri {
namespace {

namespace v1 = ::runtime::v1;

class RecordsTest : public testing::Test {
 protected:
  RecordsTest() {
    char name[] = "/tmp/keelson-records-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~RecordsTest() override { EXPECT_TRUE(remove_tree(dir_)); }
  static SandboxRecord sandbox(const std::string& id, const std::string& name) {
    SandboxRecord record;
    record.set_id(id);
    record.mutable_config()->mutable_metadata()->set_name(name);
    (*record.mutable_config()->mutable_labels())["app"] = name;
    return record;
  }
  static ContainerRecord container(const std::string& id, const std::string& sandbox_id) {
    ContainerRecord record;
    record.set_id(id);
    record.set_sandbox_id(sandbox_id);
    record.mutable_config()->mutable_metadata()->set_name("c");
    return record;
  }
  std::string dir_;
};

TEST_F(RecordsTest, SurviveTheProcess) {
  {
    auto records = Records::open(dir_);
    ASSERT_TRUE(records) << records.error().message();
    ASSERT_TRUE(records->save(sandbox("s1", "web")));
    ASSERT_TRUE(records->save(container("c1", "s1")));
    ASSERT_TRUE(records->save(container("c2", "s1")));
    ASSERT_TRUE(records->remove_container("c2"));
    ASSERT_TRUE(records->remove_container("never"));
  }
  auto records = Records::open(dir_);
  ASSERT_TRUE(records);
  const auto all = records->load();
  ASSERT_TRUE(all) << all.error().message();
  ASSERT_EQ(all->sandboxes.size(), 1u);
  EXPECT_EQ(all->sandboxes[0].config().metadata().name(), "web");
  ASSERT_EQ(all->containers.size(), 1u);
  EXPECT_EQ(all->containers[0].sandbox_id(), "s1");
}

TEST_F(RecordsTest, TableFindsByPrefixAndKeepsNamesUnique) {
  auto records = Records::open(dir_);
  PodTable table;
  const auto first = std::make_shared<Sandbox>(sandbox("aab", "web"), *records);
  ASSERT_TRUE(table.insert(first));
  ASSERT_TRUE(table.insert(std::make_shared<Sandbox>(sandbox("aac", "db"), *records)));
  EXPECT_EQ((*table.sandbox("aab"))->id(), "aab");
  EXPECT_EQ(table.sandbox("aa").error().kind(), Kind::invalid);
  EXPECT_EQ(table.sandbox("x").error().kind(), Kind::not_found);
  EXPECT_EQ(table.insert(std::make_shared<Sandbox>(sandbox("ccc", "web"), *records)).error().kind(), Kind::exists);
  ASSERT_TRUE(table.insert(first, std::make_shared<Container>(container("c1", "aab"), *records)));
  EXPECT_EQ(table.insert(first, std::make_shared<Container>(container("c2", "aab"), *records)).error().kind(),
            Kind::exists);
  EXPECT_EQ(first->containers().size(), 1u);
  table.erase_container("c1");
  EXPECT_TRUE(first->containers().empty());
  table.erase_sandbox("aab");
  EXPECT_TRUE(table.insert(std::make_shared<Sandbox>(sandbox("ccc", "web"), *records)));
}

TEST_F(RecordsTest, WhatIsForgottenStaysForgotten) {
  auto records = Records::open(dir_);
  Sandbox gone(sandbox("s1", "web"), *records);
  Container with_it(container("c1", "s1"), *records);
  ASSERT_TRUE(gone.update([](auto&) {}));
  ASSERT_TRUE(with_it.update([](auto&) {}));
  ASSERT_TRUE(gone.forget());
  ASSERT_TRUE(with_it.forget());
  // An exit or a loss that was on its way: a row of it would take the name at the next start.
  ASSERT_TRUE(gone.update([](auto& record) { record.set_state(v1::SANDBOX_NOTREADY); }));
  ASSERT_TRUE(with_it.update([](auto& record) { record.set_exit_code(1); }));
  EXPECT_EQ(with_it.record().exit_code(), 1);
  const auto all = records->load();
  EXPECT_TRUE(all->sandboxes.empty());
  EXPECT_TRUE(all->containers.empty());
}

TEST_F(RecordsTest, TwoOfOneNameAreBothAdopted) {
  auto records = Records::open(dir_);
  PodTable table;
  table.adopt(std::make_shared<Sandbox>(sandbox("aaa", "web"), *records));
  table.adopt(std::make_shared<Sandbox>(sandbox("bbb", "web"), *records));
  EXPECT_EQ(table.sandboxes().size(), 2u);
  table.erase_sandbox("bbb");  // it does not have the name
  EXPECT_EQ(table.insert(std::make_shared<Sandbox>(sandbox("ccc", "web"), *records)).error().kind(), Kind::exists);
  table.erase_sandbox("aaa");
  EXPECT_TRUE(table.insert(std::make_shared<Sandbox>(sandbox("ccc", "web"), *records)));
}

TEST_F(RecordsTest, Filters) {
  const auto record = sandbox("abcdef", "web");
  v1::PodSandboxFilter filter;
  EXPECT_TRUE(matches(filter, record));
  filter.set_id("abc");
  EXPECT_TRUE(matches(filter, record));
  filter.mutable_state()->set_state(v1::SANDBOX_NOTREADY);
  EXPECT_FALSE(matches(filter, record));
  filter.mutable_state()->set_state(v1::SANDBOX_READY);
  (*filter.mutable_label_selector())["app"] = "web";
  EXPECT_TRUE(matches(filter, record));
  (*filter.mutable_label_selector())["tier"] = "";
  EXPECT_FALSE(matches(filter, record));
}

TEST(Signals, ThreeSpellings) {
  EXPECT_EQ(*signal_of_name("SIGTERM"), SIGTERM);
  EXPECT_EQ(*signal_of_name("quit"), SIGQUIT);
  EXPECT_EQ(*signal_of_name("9"), 9);
  EXPECT_EQ(*signal_of_name("SIGRTMIN+3"), 37);
  EXPECT_FALSE(signal_of_name("SIGNOPE"));
  EXPECT_FALSE(signal_of_name("65"));
  for (const int number : {SIGHUP, SIGINT, SIGCHLD, SIGIO, SIGABRT, SIGWINCH, 34, 37, 50, 64}) {
    EXPECT_EQ(signal_number(cri_signal(number)), number);
  }
  EXPECT_EQ(signal_number(v1::RUNTIME_DEFAULT), 0);
}

TEST(ResolvConf, AsTheResolverReadsIt) {
  v1::DNSConfig dns;
  dns.add_servers("10.0.0.10");
  dns.add_searches("a.local");
  dns.add_searches("b.local");
  dns.add_options("ndots:5");
  EXPECT_EQ(resolv_conf(dns), "search a.local b.local\nnameserver 10.0.0.10\noptions ndots:5\n");
  EXPECT_EQ(resolv_conf({}), "");
}

}  // namespace
}  // namespace keelson::cri
