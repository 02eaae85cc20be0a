// SPDX-License-Identifier: Apache-2.0
// client_certificates.h: OpenSSL asks choose() when the server has asked.
#include "cri/image/client_certificates.h"

#include <openssl/ssl.h>

#include <algorithm>

#include "cri/pem.h"

namespace keelson::cri::image {

namespace {

struct Identity {
  std::vector<OwnedCertificate> chain;  // our own first
  OwnedKey key;
};
using Identities = std::vector<Identity>;

bool issued_by(const Identity& identity, const STACK_OF(X509_NAME) * authorities) {
  const int count = authorities == nullptr ? 0 : sk_X509_NAME_num(authorities);
  const auto named = [&](X509_NAME* issuer) {
    for (int i = 0; i < count; ++i) {
      if (::X509_NAME_cmp(sk_X509_NAME_value(authorities, i), issuer) == 0) {
        return true;
      }
    }
    return false;
  };
  return count == 0 || std::ranges::any_of(identity.chain, [&](const OwnedCertificate& certificate) {
           return named(::X509_get_issuer_name(certificate.get()));
         });
}

int choose(SSL* session, void* user) {
  const auto& identities = *static_cast<Identities*>(user);
  const auto* wanted = ::SSL_get0_peer_CA_list(session);
  const auto found =
      std::ranges::find_if(identities, [&](const Identity& identity) { return issued_by(identity, wanted); });
  if (found == identities.end()) {
    return 1;
  }
  ::SSL_certs_clear(session);
  bool used = ::SSL_use_certificate(session, found->chain.front().get()) == 1 &&
              ::SSL_use_PrivateKey(session, found->key.get()) == 1;
  for (size_t i = 1; used && i < found->chain.size(); ++i) {
    used = SSL_add1_chain_cert(session, found->chain[i].get()) == 1;
  }
  return used ? 1 : 0;
}

// A connection that is kept for the next request outlives the request, so the context owns what choose() looks at.
void forget(void*, void* ptr, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Identities*>(ptr);
}

}  // namespace

void offer_certificates(SSL_CTX* context, const std::vector<KeyPair>& pairs) {
  static const int slot = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, &forget);
  auto identities = std::make_unique<Identities>();
  for (const auto& pair : pairs) {
    Identity identity{.chain = certificates_in(pair.certificate), .key = private_key_in(pair.key)};
    if (!identity.chain.empty() && identity.key) {
      identities->push_back(std::move(identity));
    }
  }
  ::SSL_CTX_set_cert_cb(context, &choose, identities.get());
  ::SSL_CTX_set_ex_data(context, slot, identities.release());
}

}  // namespace keelson::cri::image
