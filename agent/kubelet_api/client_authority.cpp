// SPDX-License-Identifier: Apache-2.0
// client_authority.h by OpenSSL.
#include "agent/kubelet_api/client_authority.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "common/fd.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

template <auto Free>
using Freed = decltype([](auto* object) { Free(object); });
using Certificate = std::unique_ptr<X509, Freed<&::X509_free>>;
using Certificates =
    std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * list) { sk_X509_pop_free(list, &::X509_free); })>;

Certificate from_der(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  return Certificate(::d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
}

/// The values of a name's entries of one kind, each as UTF-8.
std::vector<std::string> entries(const X509_NAME* name, int nid) {
  std::vector<std::string> values;
  for (int at = -1; (at = ::X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    unsigned char* text = nullptr;
    const int size = ::ASN1_STRING_to_UTF8(&text, ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(name, at)));
    if (size >= 0) {
      values.emplace_back(reinterpret_cast<char*>(text), static_cast<size_t>(size));
      ::OPENSSL_free(text);
    }
  }
  return values;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

struct ClientAuthority::Store {
  std::unique_ptr<X509_STORE, Freed<&::X509_STORE_free>> trusted{::X509_STORE_new()};

  /// How many it has taken from the text.
  size_t add_all(const std::string& pem) {
    std::unique_ptr<BIO, Freed<&::BIO_free>> text(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    size_t count = 0;
    while (Certificate one{::PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)}) {
      count += ::X509_STORE_add_cert(trusted.get(), one.get()) == 1 ? 1 : 0;
    }
    ::ERR_clear_error();
    // As Go's: whatever is in the file is believed, whoever has signed that.
    ::X509_STORE_set_flags(trusted.get(), X509_V_FLAG_PARTIAL_CHAIN);
    return count;
  }

  /// X509_V_OK or why not.
  int check(X509* own, STACK_OF(X509) * others) {
    std::unique_ptr<X509_STORE_CTX, Freed<&::X509_STORE_CTX_free>> context(::X509_STORE_CTX_new());
    ::X509_STORE_CTX_init(context.get(), trusted.get(), own, others);
    ::X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT);
    const bool good = ::X509_verify_cert(context.get()) == 1;
    const int why = ::X509_STORE_CTX_get_error(context.get());
    ::ERR_clear_error();
    return good ? X509_V_OK : why == X509_V_OK ? X509_V_ERR_UNSPECIFIED : why;
  }
};

ClientAuthority::ClientAuthority(std::string file) : file_(std::move(file)) {}
ClientAuthority::~ClientAuthority() = default;

Result<> ClientAuthority::read() {
  KEELSON_TRY(const auto pem, read_file(file_));
  auto store = std::make_unique<Store>();
  if (store->add_all(pem) == 0) {
    return fail(Kind::invalid, "{}: no certificate in PEM", file_);
  }
  store_ = std::move(store);
  return {};
}

Result<std::unique_ptr<ClientAuthority>> ClientAuthority::open(std::string file) {
  std::unique_ptr<ClientAuthority> made(new ClientAuthority(std::move(file)));
  ::stat(made->file_.c_str(), &made->seen_);
  KEELSON_DO(made->read());
  return made;
}

Result<kube::UserInfo> ClientAuthority::user_of(const std::vector<std::string>& certificates) {
  // Looked at before it is read: what changes in between is seen next time.
  struct stat now{};
  if (::stat(file_.c_str(), &now) == 0 && !same_file(now, seen_)) {
    seen_ = now;
    if (auto done = read(); !done) {
      log::warning("clientCAFile: {}; what it held before is believed", done.error().message());
    }
  }
  const auto own = certificates.empty() ? nullptr : from_der(certificates.front());
  if (!own) {
    return fail(Kind::permission, "the client's certificate cannot be read");
  }
  Certificates others(sk_X509_new_null());
  for (size_t i = 1; i < certificates.size(); ++i) {
    if (auto one = from_der(certificates[i])) {
      sk_X509_push(others.get(), one.release());
    }
  }
  if (const int why = store_->check(own.get(), others.get()); why != X509_V_OK) {
    return fail(Kind::permission, "the client's certificate: {}", ::X509_verify_cert_error_string(why));
  }
  const auto names = entries(::X509_get_subject_name(own.get()), NID_commonName);
  if (names.empty() || names.back().empty()) {
    return fail(Kind::permission, "the client's certificate has no common name");
  }
  return kube::UserInfo{.username = names.back(),
                        .groups = entries(::X509_get_subject_name(own.get()), NID_organizationName)};
}

}  // namespace keelson::agent
