// SPDX-License-Identifier: Apache-2.0
// Certificates for tests: an authority made on the spot, and what it issues.
#pragma once

#include <memory>
#include <string>

namespace keelson::testing {

/// In PEM; the key is a P-256 one without a password.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

/// Seconds from now.
struct TestValidity {
  long from = -60;
  long to = 24 * 3600;
};

/// An authority of its own name and key each time.
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();

  /// The authority's own certificate, for those who are to trust it.
  const std::string& certificate() const { return pem_; }
  /// Its key, for a program that is to sign in its name.
  std::string key() const;
  /// Good for a day if nothing else is said, for 127.0.0.1, ::1, localhost and kubernetes.default.svc, as server and as
  /// client. `name` is its common name, `organization` (a group, to Kubernetes) may be empty, and so may `also`: more
  /// that it is good for, "IP:10.96.0.1,DNS:web".
  TestCertificate issue(const std::string& name, const std::string& organization = "", const std::string& also = "",
                        TestValidity validity = {});

 private:
  struct Key;
  std::unique_ptr<Key> key_;
  std::string pem_;
};

}  // namespace keelson::testing
