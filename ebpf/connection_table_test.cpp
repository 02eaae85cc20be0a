// SPDX-License-Identifier: Apache-2.0
// Connections as the programs know them, read and forgotten while packets go on.
#include "ebpf/connection_table.h"

#include <algorithm>

#include "ebpf/service_fixture.h"

namespace keelson::ebpf::testing {
namespace {

using dataplane::Protocol;

class ConnectionTableTest : public ServiceFixture {
 protected:
  std::vector<Connection> all(Protocol protocol) {
    auto table = ConnectionTable::open(*programs_);
    EXPECT_TRUE(table) << table.error().message();
    std::vector<Connection> rows;
    ConnectionTable::Position position;
    for (;;) {
      auto more = table->read(position, rows);
      EXPECT_TRUE(more) << more.error().message();
      if (!more || !*more) {
        break;
      }
    }
    std::erase_if(rows, [&](const auto& row) { return row.protocol != protocol; });
    std::ranges::sort(rows, {}, &Connection::reply);
    return rows;
  }
  std::string text(const std::string& address, int port) const {
    return SocketAddress{*dataplane::Address::parse(address), static_cast<uint16_t>(port)}.to_string();
  }
};

TEST_P(ConnectionTableTest, BothRowsNameTheSameEnds) {
  auto listener = server("pod2", at().pod2);
  auto web = service(Protocol::tcp, at().vip, {at().pod2});
  web.frontends[0].uses[static_cast<size_t>(dataplane::From::outside)].masquerade = true;
  program({{"web", web}});
  auto client = Socket::tcp(*net_, "client", v6());
  ASSERT_EQ(client.connect(at().vip, 80), 0);
  auto accepted = listener.accept();
  ASSERT_TRUE(accepted);
  auto rows = all(Protocol::tcp);
  ASSERT_EQ(rows.size(), 2U);
  for (const auto& row : rows) {
    EXPECT_EQ(row.client.address.to_string(), at().client);
    EXPECT_EQ(row.frontend.to_string(), text(at().vip, 80));
    EXPECT_EQ(row.backend.to_string(), text(at().pod2, 8080));
    EXPECT_EQ(row.source.address.to_string(), at().node);
    EXPECT_TRUE(row.masqueraded);
    EXPECT_FALSE(row.tunnelled);
    EXPECT_EQ(tables_->service_of_row(row.service)->name, "web");
    EXPECT_LT(row.idle, std::chrono::seconds(5));
  }
  EXPECT_EQ(rows[0].state, ConnectionState::established);
  EXPECT_GT(rows[0].left, std::chrono::hours(23));
  EXPECT_EQ(rows[0].client, rows[1].client);
  EXPECT_EQ(rows[0].source, rows[1].source);
  EXPECT_TRUE(rows[1].reply);
}

TEST_P(ConnectionTableTest, WhatIsForgottenBeginsAnew) {
  auto listener = server("pod2", at().pod2, Protocol::udp);
  program({{"dns", service(Protocol::udp, at().vip, {at().pod2})}, {"two", service(Protocol::udp, at().external, {})}});
  auto client = Socket::udp(*net_, "pod1", v6()), other = Socket::udp(*net_, "client", v6());
  std::string from;
  ASSERT_EQ(client.send_to("one", at().vip, 80), 0);
  ASSERT_EQ(listener.receive(), "one");
  ASSERT_EQ(other.send_to("other", at().vip, 80), 0);
  ASSERT_EQ(listener.receive(), "other");
  auto rows = all(Protocol::udp);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].state, ConnectionState::active);

  auto table = ConnectionTable::open(*programs_);
  std::erase_if(rows, [&](const auto& row) { return row.reply || row.client.address.to_string() != at().pod1; });
  ASSERT_EQ(rows.size(), 1U);
  auto forgotten = table->forget(rows);
  ASSERT_TRUE(forgotten) << forgotten.error().message();
  EXPECT_EQ(*forgotten, 2U);
  EXPECT_EQ(*table->forget(rows), 0U);
  auto left = all(Protocol::udp);
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(left[0].client.address.to_string(), at().client);

  ASSERT_EQ(client.send_to("two", at().vip, 80), 0);
  EXPECT_EQ(listener.receive(), "two");
  EXPECT_EQ(all(Protocol::udp).size(), 4U);
}

INSTANTIATE_TEST_SUITE_P(Families, ConnectionTableTest, ::testing::Values(false, true),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace keelson::ebpf::testing
