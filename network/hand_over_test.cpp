// SPDX-License-Identifier: Apache-2.0
#include "network/hand_over.h"

#include <gtest/gtest.h>

namespace keelson::network {
namespace {

ebpf::SocketAddress at(const std::string& address, uint16_t port) {
  return {*dataplane::Address::parse(address), port};
}

ebpf::Connection flow(const std::string& source, uint16_t port, bool masqueraded) {
  ebpf::Connection row{.client = at("10.1.0.3", 4000),
                       .frontend = at("10.96.0.1", 80),
                       .backend = at("10.2.0.2", 8080),
                       .source = at(source, port)};
  row.masqueraded = masqueraded;
  return row;
}

TEST(FlowCount, AFlowIsOneThoughItHasTwoRows) {
  FlowCount count;
  for (bool reply : {false, true}) {
    auto kept = flow("10.1.0.3", 4000, false), masqueraded = flow("10.1.0.1", 2000, true);
    kept.reply = masqueraded.reply = reply;
    count.add(kept);
    count.add(masqueraded);
  }
  auto open = std::move(count).take();
  EXPECT_EQ(open.count, 2u);
  ASSERT_EQ(open.ports.size(), 1u);
  EXPECT_EQ(open.ports[0].endpoint.to_string(), "10.2.0.2:8080");
  EXPECT_EQ(open.ports[0].node.to_string(), "10.1.0.1:2000");
}

TEST(FlowCount, WithOneOfItsRowsAFlowIsStillOpen) {
  FlowCount count;
  auto reply = flow("10.1.0.1", 2000, true);
  reply.reply = true;
  count.add(reply);
  EXPECT_EQ(std::move(count).take().count, 1u);
}

TEST(FlowCount, WhatIsNotTranslatedNeedsNobody) {
  FlowCount count;
  auto direct = flow("10.1.0.3", 4000, false);
  direct.frontend = direct.backend;
  count.add(direct);
  EXPECT_EQ(std::move(count).take().count, 0u);
  direct.source.port = 4001;  // it has got another port
  FlowCount again;
  again.add(direct);
  EXPECT_EQ(std::move(again).take().count, 1u);
}

}  // namespace
}  // namespace keelson::network
