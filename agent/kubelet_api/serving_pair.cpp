// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/serving_pair.h"

#include <tuple>

#include <boost/asio/ip/address.hpp>

#include "agent/node/x509.h"
#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::agent {

namespace {

constexpr auto kLife = std::chrono::days(365);
constexpr auto kLeast = std::chrono::days(30);

/// What is in the files is a pair, and good for long enough.
bool is_good(const ServingPair& files, WallTime now) {
  const auto certificate = read_file(files.certificate_file);
  const auto key = read_file(files.key_file);
  if (!certificate || !key || !belong_together(*certificate, *key)) {
    return false;
  }
  const auto facts = read_certificate(*certificate);
  return facts && facts->not_after - now > kLeast;
}

CertificateSubject subject_of(const std::vector<std::string>& names, WallTime now) {
  CertificateSubject subject;
  for (const auto& name : names) {
    boost::system::error_code no_address;
    std::ignore = boost::asio::ip::make_address(name, no_address);
    (no_address ? subject.dns_names : subject.ips).push_back(name);
  }
  // A common name has 64 characters at most.
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  subject.common_name = names.front().substr(0, 53) + "@" + std::to_string(seconds);
  return subject;
}

}  // namespace

Result<ServingPair> ensure_serving_pair(const std::string& folder, const std::vector<std::string>& names,
                                        WallTime now) {
  ServingPair files{folder + "/kubelet.crt", folder + "/kubelet.key"};
  if (is_good(files, now)) {
    return files;
  }
  KEELSON_DO(make_directories(folder, 0700));
  KEELSON_TRY(const auto key, make_private_key().context("{}", files.key_file));
  KEELSON_TRY(const auto certificate,
              self_sign(key, subject_of(names, now), now, kLife).context("{}", files.certificate_file));
  KEELSON_DO(write_file_atomic(files.key_file, key, 0600));
  KEELSON_DO(write_file_atomic(files.certificate_file, certificate, 0644));
  return files;
}

}  // namespace keelson::agent
