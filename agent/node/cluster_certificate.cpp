// SPDX-License-Identifier: Apache-2.0
#include "agent/node/cluster_certificate.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include <boost/asio/ip/address.hpp>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

constexpr const char* kRequests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
constexpr std::chrono::seconds kAnswer{10};
constexpr std::chrono::minutes kOneWatch{5};
constexpr std::chrono::seconds kFirstWait{1};
constexpr std::chrono::minutes kLongestWait{5};
constexpr size_t kMaxFile = 1 << 20;

const kube::CertificateCondition* refusal(const kube::CertificateRequest& request) {
  const auto found = std::ranges::find_if(request.conditions, [](const auto& condition) {
    return condition.type == "Denied" || condition.type == "Failed";
  });
  return found != request.conditions.end() ? &*found : nullptr;
}

std::string joined(const std::vector<std::string>& list) {
  return fmt::format("{}", fmt::join(list, ","));
}

/// An address as a certificate has it; empty: it is none, or one of a link alone.
std::string certified_ip(const std::string& text) {
  boost::system::error_code wrong;
  const auto address = asio::ip::make_address(text, wrong);
  if (wrong || text.find('%') != std::string::npos) {
    return "";
  }
  return address.is_v6() && address.to_v6().is_v4_mapped()
             ? asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string()
             : address.to_string();
}

void sort_once(std::vector<std::string>& list) {
  std::ranges::sort(list);
  const auto twice = std::ranges::unique(list);
  list.erase(twice.begin(), twice.end());
}

/// Names and addresses as the certificate will have them: a node's name may be an address, and not all that stands
/// among a Node's addresses is one.
CertificateSubject certified(const CertificateSubject& wanted) {
  CertificateSubject subject{
      .common_name = wanted.common_name, .organization = wanted.organization, .dns_names = {}, .ips = {}};
  for (const auto* list : {&wanted.ips, &wanted.dns_names}) {
    for (const auto& text : *list) {
      if (const auto ip = certified_ip(text); !ip.empty()) {
        subject.ips.push_back(ip);
      } else if (list == &wanted.dns_names && !text.empty()) {
        subject.dns_names.push_back(text);
      }
    }
  }
  sort_once(subject.ips);
  sort_once(subject.dns_names);
  return subject;
}

/// As client-go asks: a signer may add names, but leave none out.
bool has_all(const CertificateSubject& has, const CertificateSubject& wanted) {
  const auto among = [](const std::vector<std::string>& list) {
    return [&list](const std::string& one) { return std::ranges::find(list, one) != list.end(); };
  };
  return has.common_name == wanted.common_name && has.organization == wanted.organization &&
         std::ranges::all_of(wanted.dns_names, among(has.dns_names)) && std::ranges::all_of(wanted.ips, among(has.ips));
}

ClusterCertificateOptions named(const std::string& cert_dir, const std::string& name) {
  ClusterCertificateOptions options;
  options.file = fmt::format("{}/kubelet-{}-current.pem", cert_dir, name);
  options.pending_key = fmt::format("{}/kubelet-{}.key.tmp", cert_dir, name);
  return options;
}

}  // namespace

ClusterCertificateOptions client_certificate(const std::string& cert_dir, const std::string& node) {
  auto options = named(cert_dir, "client");
  options.what = "client certificate";
  options.signer = "kubernetes.io/kube-apiserver-client-kubelet";
  options.usages = {"digital signature", "client auth"};
  options.subject = [node] {
    return CertificateSubject{
        .common_name = "system:node:" + node, .organization = "system:nodes", .dns_names = {}, .ips = {}};
  };
  return options;
}

ClusterCertificateOptions serving_certificate(const std::string& cert_dir, const std::string& node,
                                              std::function<CertificateSubject()> names) {
  auto options = named(cert_dir, "server");
  options.what = "serving certificate";
  options.signer = "kubernetes.io/kubelet-serving";
  options.usages = {"digital signature", "server auth"};
  options.subject = [node, names = std::move(names)]() -> std::optional<CertificateSubject> {
    auto subject = certified(names());
    if (subject.dns_names.empty() && subject.ips.empty()) {
      return std::nullopt;
    }
    subject.common_name = "system:node:" + node;
    subject.organization = "system:nodes";
    return subject;
  };
  return options;
}

ClusterCertificate::ClusterCertificate(Loop& loop, NodeApi& api, NodeApi* bootstrap, ClusterCertificateOptions options)
    : loop_(loop), own_(api), bootstrap_(bootstrap), options_(std::move(options)), random_(options_.seed) {}

Task<> ClusterCertificate::run() {
  while (!options_.subject()) {
    KEELSON_CO_DO(co_await loop_.sleep(kFirstWait));
  }
  while (true) {
    const auto facts = current();
    if (options_.stats != nullptr) {
      options_.stats->kept(facts ? std::optional(facts->not_after) : std::nullopt);
    }
    if (facts && good(*facts)) {
      KEELSON_CO_DO(co_await wait_for_renewal(*facts));
    }
    KEELSON_CO_DO(co_await renew());
    if (const auto fresh = current(); !fresh || !good(*fresh)) {
      log::warning("the {} that was received is not as it was asked for; it is asked for anew", options_.what);
      KEELSON_CO_DO(co_await loop_.sleep(options_.subject_check));
    }
  }
}

std::optional<CertificateFacts> ClusterCertificate::current() const {
  auto text = read_file(options_.file, kMaxFile);
  if (text && !belong_together(*text, *text)) {
    return std::nullopt;
  }
  if (!text && !options_.first.empty()) {
    text = read_file(options_.first, kMaxFile);
  }
  if (!text) {
    return std::nullopt;
  }
  auto facts = read_certificate(*text);
  return facts ? std::optional(*std::move(facts)) : std::nullopt;
}

bool ClusterCertificate::good(const CertificateFacts& facts) const {
  const WallTime now = loop_.clock().wall();
  const auto subject = options_.subject();
  return now < facts.not_after && (!subject || has_all(facts.subject, *subject));
}

NodeApi& ClusterCertificate::api() const {
  const auto facts = current();
  return bootstrap_ != nullptr && !(facts && loop_.clock().wall() < facts->not_after) ? *bootstrap_ : own_;
}

Task<> ClusterCertificate::wait_for_renewal(CertificateFacts facts) {
  random_ = random_ * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX
  const Duration life = facts.not_after - facts.not_before;
  // 70 to 90 % of it, as client-go's certificate manager: nodes that joined together do not renew together.
  const Duration age = life / 10 * 7 + life / 5 / 1024 * static_cast<Duration::rep>((random_ >> 33) % 1024);
  const WallTime due = facts.not_before + age;
  log::info("the {} is good until {}, and is renewed at {}", options_.what, format_rfc3339(facts.not_after),
            format_rfc3339(due));
  while (loop_.clock().wall() < due && good(facts)) {
    // In parts: the wall clock may be set.
    KEELSON_CO_DO(co_await loop_.sleep(std::min<Duration>(due - loop_.clock().wall(), options_.subject_check)));
  }
  co_return Result<>();
}

Task<> ClusterCertificate::renew() {
  Duration wait = kFirstWait;
  while (true) {
    auto done = co_await order();
    if (done || done.error().kind() == Kind::cancelled) {
      co_return done;
    }
    if (options_.stats != nullptr) {
      options_.stats->renewal_failed();
    }
    log::warning("{}: {}; trying again in {} s", options_.what, done.error().message(), wait / std::chrono::seconds(1));
    KEELSON_CO_DO(co_await loop_.sleep(wait));
    wait = std::min<Duration>(wait * 2, kLongestWait);
  }
}

Task<> ClusterCertificate::order() {
  KEELSON_CO_TRY(const auto key, pending_key());
  auto subject = options_.subject();
  if (!subject) {
    co_return fail(Kind::not_found, "the node has no addresses now");
  }
  KEELSON_CO_TRY(auto request, co_await submit(key, *std::move(subject)));
  auto certificate = co_await signed_certificate(std::move(request));
  if (!certificate) {
    if (certificate.error().kind() == Kind::permission && certificate.error().code() == 0) {
      ::unlink(options_.pending_key.c_str());  // refused for ever: the next one is another
    }
    co_return std::unexpected(std::move(certificate).error());
  }
  if (!belong_together(*certificate, key)) {
    ::unlink(options_.pending_key.c_str());
    co_return fail(Kind::invalid, "the signer has signed another key");
  }
  KEELSON_CO_DO(store(*certificate, key));
  log::info("{} received", options_.what);
  co_return Result<>();
}

Result<std::string> ClusterCertificate::pending_key() const {
  if (auto kept = read_file(options_.pending_key, kMaxFile); kept && digest_of_key(*kept, "")) {
    return kept;
  }
  KEELSON_TRY(auto key, make_private_key());
  KEELSON_DO(write_file_atomic(options_.pending_key, key, 0600, Durability::power));
  return key;
}

Result<> ClusterCertificate::store(const std::string& certificate, const std::string& key) const {
  const bool ended = certificate.ends_with('\n');
  KEELSON_DO(write_file_atomic(options_.file, certificate + (ended ? "" : "\n") + key, 0600, Durability::power));
  ::unlink(options_.pending_key.c_str());
  return {};
}

Task<kube::CertificateRequest> ClusterCertificate::submit(std::string key, CertificateSubject subject) {
  kube::CertificateRequest request;
  KEELSON_CO_TRY(request.request_pem, make_signing_request(key, subject));
  // The same wish has the same name: asked again after a restart, it is found instead of made twice.
  KEELSON_CO_TRY(const auto digest,
                 digest_of_key(key, fmt::format("|{}|{}|{}|{}|{}", subject.common_name, subject.organization,
                                                joined(subject.dns_names), joined(subject.ips), options_.signer)));
  request.metadata.name = "node-csr-" + digest;
  request.signer_name = options_.signer;
  request.usages = options_.usages;
  auto made = co_await api().call({.method = "POST", .path = kRequests, .body = encode_json(request)}, kAnswer);
  if (made) {
    co_return kube::decode_certificate_request(*made);
  }
  if (made.error().kind() != Kind::exists) {
    co_return std::unexpected(std::move(made).error());
  }
  co_return co_await get(request.metadata.name);
}

Task<kube::CertificateRequest> ClusterCertificate::get(std::string name) {
  KEELSON_CO_TRY(const auto text, co_await api().call({.path = fmt::format("{}/{}", kRequests, name)}, kAnswer));
  co_return kube::decode_certificate_request(text);
}

Task<std::string> ClusterCertificate::signed_certificate(kube::CertificateRequest request) {
  bool told = false;
  while (request.certificate_pem.empty()) {
    if (const auto* refused = refusal(request); refused != nullptr) {
      // Without a code, unlike the API server's own refusals.
      co_return fail(Kind::permission, "CertificateSigningRequest {} was {}: {}: {}", request.metadata.name,
                     refused->type == "Denied" ? "denied" : "not signed", refused->reason, refused->message);
    }
    if (!std::exchange(told, true)) {
      log::info("{}: waiting for CertificateSigningRequest {} to be approved and signed", options_.what,
                request.metadata.name);
    }
    std::string path = kRequests;
    kube::add_query(path, "watch", "true");
    kube::add_query(path, "fieldSelector", "metadata.name=" + request.metadata.name);
    kube::add_query(path, "resourceVersion", request.metadata.resource_version);
    KEELSON_CO_DO(co_await api().wait_for_change(std::move(path), kOneWatch));
    KEELSON_CO_TRY(request, co_await get(request.metadata.name));
  }
  co_return std::move(request.certificate_pem);
}

}  // namespace keelson::agent
