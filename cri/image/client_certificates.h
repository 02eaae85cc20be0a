// SPDX-License-Identifier: Apache-2.0
// Our own certificates towards registries that ask for one (hosts.toml `client`).
#pragma once

#include <openssl/types.h>

#include <vector>

#include "cri/key_pair.h"

namespace keelson::cri::image {

/// Each connection of `context` whose server asks for a certificate is shown the first pair that an authority which the
/// server names has issued (itself or over the chain), or the first of all if it names none; else none, as Go's clients
/// do. The context keeps a copy of the pairs. Pairs that do not fit are passed over.
void offer_certificates(SSL_CTX* context, const std::vector<KeyPair>& pairs);

}  // namespace keelson::cri::image
