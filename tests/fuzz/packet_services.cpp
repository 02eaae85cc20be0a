// SPDX-License-Identifier: Apache-2.0
// Services of all shapes, for packet_fuzz.
#include <fmt/format.h>

#include <algorithm>

#include "tests/fuzz/packet_world.h"

namespace keelson::fuzz {
namespace {

using dataplane::Backend;
using dataplane::Frontend;
using dataplane::Service;

// Where backends are: pods here, behind a known and an unknown neighbour, the node itself, and where no packet may go.
const char* const kPlaces[2][6] = {{"10.2.0.1", "10.2.0.2", "10.3.0.1", "10.3.0.2", "10.1.0.1", "10.4.0.1"},
                                   {"fd02::1", "fd02::2", "fd03::1", "fd03::2", "fd01::1", "fd04::1"}};

bool one_in(Random& random, uint32_t many) {
  return random() % many == 0;
}

void add_backends(Service& service, Random& random, bool v6) {
  for (size_t place = 0; place < 6; place++) {
    bool local = place < 2 || place == 4;
    // Among SCTP's some that are on the service's own port.
    uint16_t port = service.protocol == dataplane::Protocol::sctp && random() % 2 ? 80 : 8080;
    Backend backend{*Address::parse(kPlaces[v6][place]), port, local};
    if (one_in(random, place >= 3 ? 4 : 2)) {
      if ((place == 2 || place == 3) && !one_in(random, 4)) {
        backend.node = surroundings().other_node[v6];
      }
      backend.serving = !one_in(random, 8);
      service.backends.push_back(backend);
    }
  }
  std::sort(service.backends.begin(), service.backends.end());
  for (uint32_t i = 0; i < service.backends.size(); i++) {
    if (service.backends[i].serving) {
      service.cluster.push_back(i);
      if (service.backends[i].local) {
        service.local.push_back(i);
      }
    }
  }
}

Frontend frontend(const Service& service, Random& random, dataplane::FrontendKind kind, const Address& address,
                  uint16_t port) {
  Frontend result{.kind = kind, .address = address, .port = port};
  for (auto& use : result.uses) {
    bool local = one_in(random, 3);
    const auto& pool = local ? service.local : service.cluster;
    use.verdict = pool.empty() ? (local ? dataplane::Verdict::drop : dataplane::Verdict::reject)
                  : local      ? dataplane::Verdict::local
                               : dataplane::Verdict::cluster;
    use.masquerade = one_in(random, 2);
  }
  if (one_in(random, 5)) {
    bool v6 = !address.is_v4();
    result.source_ranges = {*dataplane::Prefix::parse(v6 ? "fd01::/64" : "10.1.0.0/24"),
                            *dataplane::Prefix::parse(v6 ? "fd02::/16" : "10.2.0.0/31")};
  }
  return result;
}

}  // namespace

dataplane::Model random_model(Random& random) {
  static constexpr dataplane::Protocol kProtocols[] = {dataplane::Protocol::tcp, dataplane::Protocol::tcp,
                                                       dataplane::Protocol::udp, dataplane::Protocol::udp,
                                                       dataplane::Protocol::sctp};
  dataplane::Model model;
  for (bool v6 : {false, true}) {
    for (int i = 1; i <= 20; i++) {
      Service service;
      service.protocol = kProtocols[random() % std::size(kProtocols)];
      service.affinity_seconds = one_in(random, 4) ? 10800 : 0;
      service.algorithm = one_in(random, 4) ? dataplane::Algorithm::maglev : dataplane::Algorithm::random;
      service.forwarding = one_in(random, 3) ? dataplane::Forwarding::dsr : dataplane::Forwarding::snat;
      add_backends(service, random, v6);
      auto vip = *Address::parse(fmt::format("{}{}", v6 ? "fd96::" : "10.96.0.", i));
      service.frontends = {frontend(service, random, dataplane::FrontendKind::cluster_ip, vip, 80),
                           frontend(service, random, dataplane::FrontendKind::node_port, surroundings().node[v6],
                                    static_cast<uint16_t>(30000 + i))};
      model.services[{fmt::format("n/s{}", i), v6 ? dataplane::Family::ipv6 : dataplane::Family::ipv4}] = service;
    }
  }
  return model;
}

}  // namespace keelson::fuzz
