// SPDX-License-Identifier: Apache-2.0
// A request on the simulated wire, as the server's side sees it.
#pragma once

#include "kube/client/transport.h"

namespace keelson::simulation {

class WireTransfer : public kube::Transfer {
 public:
  using Transfer::answered;
  using Transfer::arrived;
  using Transfer::finish;
  using Transfer::Transfer;

 private:
  void drained() override {}
};

}  // namespace keelson::simulation
