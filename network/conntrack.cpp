// SPDX-License-Identifier: Apache-2.0
#include "network/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <optional>

namespace keelson::network {
namespace {

using dataplane::Address, dataplane::Family, dataplane::Protocol;
using ebpf::ConnectionState, ebpf::SocketAddress;

constexpr size_t kAnswer = 64 * 1024;
constexpr uint16_t kType = NFNL_SUBSYS_CTNETLINK << 8;

/// A request as bytes: attributes behind the header, nested ones within begin() and end().
class Message {
 public:
  Message(uint16_t type, uint16_t flags, Family family, uint32_t sequence) {
    nlmsghdr header{};
    header.nlmsg_type = static_cast<uint16_t>(kType | type);
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    header.nlmsg_seq = sequence;
    nfgenmsg family_header{};
    family_header.nfgen_family = family == Family::ipv4 ? AF_INET : AF_INET6;
    family_header.version = NFNETLINK_V0;
    put(&header, sizeof header);
    put(&family_header, sizeof family_header);
  }
  void add(uint16_t type, const void* value, size_t size) {
    nlattr attribute{static_cast<uint16_t>(sizeof attribute + size), type};
    put(&attribute, sizeof attribute);
    put(value, size);
    bytes_.resize(NLA_ALIGN(bytes_.size()));
  }
  void add8(uint16_t type, uint8_t value) { add(type, &value, sizeof value); }
  void add16(uint16_t type, uint16_t value) {
    value = htons(value);
    add(type, &value, sizeof value);
  }
  void add32(uint16_t type, uint32_t value) {
    value = htonl(value);
    add(type, &value, sizeof value);
  }
  size_t begin(uint16_t type) {
    auto at = bytes_.size();
    add(static_cast<uint16_t>(type | NLA_F_NESTED), nullptr, 0);
    return at;
  }
  void end(size_t begun) {
    auto size = static_cast<uint16_t>(bytes_.size() - begun);
    std::memcpy(bytes_.data() + begun, &size, sizeof size);
  }
  Result<> send(const Fd& socket) {
    auto size = static_cast<uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &size, sizeof size);
    if (::send(socket.get(), bytes_.data(), bytes_.size(), 0) < 0) {
      return fail_errno(errno, "ask nf_conntrack");
    }
    return {};
  }

 private:
  void put(const void* from, size_t size) {
    const auto* first = static_cast<const char*>(from);
    bytes_.insert(bytes_.end(), first, first + size);
  }
  std::vector<char> bytes_;
};

using Bytes = std::span<const char>;

/// The attribute of this type among `attributes`, or nothing.
std::optional<Bytes> find(Bytes attributes, uint16_t type) {
  while (attributes.size() >= sizeof(nlattr)) {
    nlattr attribute;
    std::memcpy(&attribute, attributes.data(), sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > attributes.size()) {
      return std::nullopt;
    }
    if ((attribute.nla_type & NLA_TYPE_MASK) == type) {
      return attributes.subspan(sizeof attribute, attribute.nla_len - sizeof attribute);
    }
    attributes = attributes.subspan(std::min<size_t>(NLA_ALIGN(attribute.nla_len), attributes.size()));
  }
  return std::nullopt;
}

std::optional<Bytes> find(Bytes attributes, std::initializer_list<uint16_t> path) {
  std::optional<Bytes> found = attributes;
  for (auto type : path) {
    found = found ? find(*found, type) : std::nullopt;
  }
  return found;
}

template <class T>
std::optional<T> number(std::optional<Bytes> bytes) {
  T value;
  if (!bytes || bytes->size() < sizeof value) {
    return std::nullopt;
  }
  std::memcpy(&value, bytes->data(), sizeof value);
  return value;
}

std::optional<Address> address(Bytes tuple, uint16_t v4, uint16_t v6) {
  if (auto four = number<uint32_t>(find(tuple, {CTA_TUPLE_IP, v4}))) {
    return Address::v4(ntohl(*four));
  }
  if (auto six = number<std::array<uint8_t, 16>>(find(tuple, {CTA_TUPLE_IP, v6}))) {
    return Address{*six};
  }
  return std::nullopt;
}

struct Tuple {
  SocketAddress src, dst;
  uint8_t protocol = 0;
};

std::optional<Tuple> tuple(std::optional<Bytes> bytes) {
  if (!bytes) {
    return std::nullopt;
  }
  auto src = address(*bytes, CTA_IP_V4_SRC, CTA_IP_V6_SRC), dst = address(*bytes, CTA_IP_V4_DST, CTA_IP_V6_DST);
  auto sport = number<uint16_t>(find(*bytes, {CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT}));
  auto dport = number<uint16_t>(find(*bytes, {CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT}));
  auto protocol = number<uint8_t>(find(*bytes, {CTA_TUPLE_PROTO, CTA_PROTO_NUM}));
  if (!src || !dst || !sport || !dport || !protocol) {
    return std::nullopt;  // no ports: ICMP
  }
  return Tuple{{*src, ntohs(*sport)}, {*dst, ntohs(*dport)}, *protocol};
}

ConnectionState state_of(Bytes flow, Protocol protocol) {
  auto tcp = number<uint8_t>(find(flow, {CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE}));
  if (protocol != Protocol::tcp || !tcp) {
    return ConnectionState::active;
  }
  return *tcp == TCP_CONNTRACK_ESTABLISHED  ? ConnectionState::established
         : *tcp < TCP_CONNTRACK_ESTABLISHED ? ConnectionState::opening
                                            : ConnectionState::closing;
}

/// A flow of another source than it seems to have; else nothing.
std::optional<MasqueradePort> masquerade_port(Bytes flow) {
  auto request = tuple(find(flow, CTA_TUPLE_ORIG)), reply = tuple(find(flow, CTA_TUPLE_REPLY));
  if (!request || !reply || reply->dst == request->src) {
    return std::nullopt;
  }
  auto protocol = static_cast<Protocol>(reply->protocol);
  return MasqueradePort{protocol, reply->src, reply->dst, state_of(flow, protocol)};
}

void add_tuple(Message& message, uint16_t type, const MasqueradePort& port, bool reply) {
  const auto& src = reply ? port.endpoint : port.node;
  const auto& dst = reply ? port.node : port.endpoint;
  auto whole = message.begin(type), addresses = message.begin(CTA_TUPLE_IP);
  bool v4 = src.address.is_v4();
  size_t at = v4 ? 12 : 0, size = v4 ? 4 : 16;
  message.add(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, src.address.bytes.data() + at, size);
  message.add(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, dst.address.bytes.data() + at, size);
  message.end(addresses);
  auto ports = message.begin(CTA_TUPLE_PROTO);
  message.add8(CTA_PROTO_NUM, static_cast<uint8_t>(port.protocol));
  message.add16(CTA_PROTO_SRC_PORT, src.port);
  message.add16(CTA_PROTO_DST_PORT, dst.port);
  message.end(ports);
  message.end(whole);
}

}  // namespace

Result<Conntrack> Conntrack::open() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) {
    return fail(Kind::unsupported, "nf_conntrack cannot be asked: {}", errno_text(errno));
  }
  return Conntrack(std::move(socket));
}

Result<std::vector<MasqueradePort>> Conntrack::masqueraded() const {
  std::vector<MasqueradePort> ports;
  KEELSON_DO(dump(Family::ipv4, ports));
  KEELSON_DO(dump(Family::ipv6, ports));
  return ports;
}

Result<> Conntrack::dump(Family family, std::vector<MasqueradePort>& ports) const {
  Message request(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, 0);
  KEELSON_DO(request.send(socket_));
  std::vector<char> buffer(kAnswer);
  for (;;) {
    auto size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) {
      return fail_errno(errno, "read nf_conntrack");
    }
    auto left = static_cast<uint32_t>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) {
        return {};
      }
      if (header->nlmsg_type == NLMSG_ERROR) {
        int error = 0;
        std::memcpy(&error, NLMSG_DATA(header), sizeof error);
        return fail_errno(-error, "read nf_conntrack");
      }
      constexpr size_t kHead = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
      if (header->nlmsg_len < kHead) {
        continue;
      }
      Bytes attributes(reinterpret_cast<const char*>(header) + kHead, header->nlmsg_len - kHead);
      if (auto port = masquerade_port(attributes)) {
        ports.push_back(*port);
      }
    }
  }
}

// As a flow of the node's own, open and answered, whose replies are those that would come to the port.
Result<> Conntrack::hold(std::span<const MasqueradePort> ports, Duration time) const {
  Result<> result;
  uint32_t sequence = 0;
  for (const auto& port : ports) {
    Message message(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_ACK, port.node.address.family(), ++sequence);
    add_tuple(message, CTA_TUPLE_ORIG, port, false);
    add_tuple(message, CTA_TUPLE_REPLY, port, true);
    message.add32(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
    message.add32(CTA_TIMEOUT, static_cast<uint32_t>(time / std::chrono::seconds(1)));
    if (port.protocol == Protocol::tcp) {
      auto info = message.begin(CTA_PROTOINFO), tcp = message.begin(CTA_PROTOINFO_TCP);
      message.add8(CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
      message.end(tcp);
      message.end(info);
    }
    KEELSON_DO(message.send(socket_));
    if (auto held =
            acknowledged(sequence).context("hold port {} towards {}", port.node.port, port.endpoint.to_string());
        !held) {
      result = std::move(held);
    }
  }
  return result;
}

Result<> Conntrack::acknowledged(uint32_t sequence) const {
  for (;;) {
    alignas(nlmsghdr) char buffer[1024];
    auto size = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (size < 0) {
      return fail_errno(errno, "read nf_conntrack");
    }
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer);
    if (!NLMSG_OK(header, static_cast<uint32_t>(size)) || header->nlmsg_seq != sequence ||
        header->nlmsg_type != NLMSG_ERROR) {
      continue;
    }
    int error = 0;
    std::memcpy(&error, NLMSG_DATA(header), sizeof error);
    if (error != 0 && error != -EEXIST) {  // a flow of the stack's has it: nobody else gets it
      return fail_errno(-error, "nf_conntrack");
    }
    return {};
  }
}

}  // namespace keelson::network
