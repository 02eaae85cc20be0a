// SPDX-License-Identifier: Apache-2.0
// The store: values come back as they went in, a schema moves forward only, a transaction is whole, one owner at a
// time.
#include "common/store.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common/fd.h"

namespace keelson {
namespace {

constexpr std::string_view kFirst[] = {"CREATE TABLE t(id TEXT PRIMARY KEY, n INTEGER, body BLOB)"};
constexpr std::string_view kSecond[] = {kFirst[0], "ALTER TABLE t ADD COLUMN extra TEXT DEFAULT 'old'"};

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    char name[] = "/tmp/keelson-store-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~StoreTest() override { EXPECT_TRUE(remove_tree(dir_)); }
  std::string file() const { return dir_ + "/x.db"; }
  std::string dir_;
};

TEST_F(StoreTest, KeepsValuesAcrossOpens) {
  {
    auto store = Store::open(file(), kFirst);
    ASSERT_TRUE(store) << store.error().message();
    ASSERT_TRUE((*store)->run("INSERT INTO t VALUES(?,?,?)", {"a", int64_t{1} << 40, Blob{std::string("\0x", 2)}}));
  }
  auto store = Store::open(file(), kFirst);
  ASSERT_TRUE(store) << store.error().message();
  auto rows = (*store)->query("SELECT id, n, body FROM t WHERE id=?", {"a"});
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(text_of(rows->at(0)[0]), "a");
  EXPECT_EQ(integer_of(rows->at(0)[1]), int64_t{1} << 40);
  EXPECT_EQ(bytes_of(rows->at(0)[2]), std::string("\0x", 2));
}

TEST_F(StoreTest, MovesTheSchemaForwardAndRefusesToGoBack) {
  {
    auto store = Store::open(file(), kFirst);
    ASSERT_TRUE(store);
    ASSERT_TRUE((*store)->run("INSERT INTO t(id) VALUES('a')"));
  }
  {
    auto store = Store::open(file(), kSecond);
    ASSERT_TRUE(store) << store.error().message();
    auto rows = (*store)->query("SELECT extra FROM t");
    ASSERT_TRUE(rows);
    EXPECT_EQ(text_of(rows->at(0)[0]), "old");
  }
  auto older = Store::open(file(), kFirst);
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().kind(), Kind::conflict);
}

TEST_F(StoreTest, FailedTransactionLeavesNothing) {
  auto store = Store::open(file(), kFirst);
  ASSERT_TRUE(store);
  auto outcome = (*store)->transaction([&]() -> Result<> {
    KEELSON_DO((*store)->run("INSERT INTO t(id) VALUES('a')"));
    return fail(Kind::invalid, "no");
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().what(), "no");
  EXPECT_TRUE((*store)->query("SELECT id FROM t")->empty());
  auto twice = (*store)->run("INSERT INTO t(id) VALUES('b')");
  ASSERT_TRUE(twice);
  twice = (*store)->run("INSERT INTO t(id) VALUES('b')");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().kind(), Kind::exists);
}

TEST_F(StoreTest, AnotherProcessIsRefused) {
  auto store = Store::open(file(), kFirst);
  ASSERT_TRUE(store);
  const pid_t child = ::fork();
  if (child == 0) {
    auto second = Store::open(file(), kFirst);
    ::_exit(!second && second.error().kind() == Kind::conflict ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace keelson
