// SPDX-License-Identifier: Apache-2.0
// sandbox_files.h.
#include "cri/runtime/sandbox_files.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/fd.h"

namespace keelson::cri {

namespace {

template <class List>
std::string joined(const List& items) {
  std::string text;
  for (const auto& item : items) {
    text += " " + item;
  }
  return text;
}

Result<> write_plain(const std::string& path, std::string_view text) {
  KEELSON_TRY(const auto file, open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  return write_all(file.get(), text);
}

std::string own_hostname() {
  char name[65] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

std::string resolv_conf(const ::runtime::v1::DNSConfig& dns) {
  std::string text;
  if (dns.searches_size() > 0) {
    text += "search" + joined(dns.searches()) + "\n";
  }
  for (const auto& server : dns.servers()) {
    text += "nameserver " + server + "\n";
  }
  if (dns.options_size() > 0) {
    text += "options" + joined(dns.options()) + "\n";
  }
  return text;
}

// Plain writes: a torn file has an incomplete record and goes with its sandbox.
Result<> provide_sandbox_files(const std::string& dir, const ::runtime::v1::PodSandboxConfig& config) {
  if (::access((dir + "/resolv.conf").c_str(), F_OK) == 0) {  // the last
    return {};
  }
  KEELSON_DO(make_directories(dir, 0711));
  const auto hostname = config.hostname().empty() ? own_hostname() : config.hostname();
  KEELSON_DO(write_plain(dir + "/hostname", hostname + "\n"));
  auto hosts = read_file("/etc/hosts");
  KEELSON_DO(write_plain(dir + "/hosts", hosts ? *hosts : "127.0.0.1\tlocalhost\n::1\tlocalhost\n"));
  auto resolv = resolv_conf(config.dns_config());
  if (resolv.empty()) {
    resolv = read_file("/etc/resolv.conf").value_or("");
  }
  return write_plain(dir + "/resolv.conf", resolv);
}

}  // namespace keelson::cri
