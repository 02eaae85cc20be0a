// SPDX-License-Identifier: Apache-2.0
// Fuzzer: any bytes as what a registry may send or a user may write: manifest, index, config, reference, challenge,
// hosts.toml. What is accepted must be what later steps rely on.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "common/fd.h"
#include "cri/image/auth.h"
#include "cri/image/hosts.h"
#include "cri/image/manifest.h"
#include "cri/image/reference.h"

namespace {

using namespace keelson::cri::image;

void expect(bool good, const char* what, const std::string& text) {
  if (!good) {
    fmt::print(stderr, "{}\n{}\n", what, text);
    std::abort();
  }
}

void expect_blob(const Descriptor& blob) {
  expect(valid_digest(blob.digest), "a descriptor whose digest is none", blob.digest);
}

void documents(const std::string& text) {
  if (const auto parsed = parse_manifest(text, "amd64")) {
    if (parsed->index) {
      expect_blob(parsed->chosen);
    } else {
      expect_blob(parsed->manifest.config);
      for (const auto& layer : parsed->manifest.layers) {
        expect_blob(layer);
      }
    }
  } else {
    expect(!parsed.error().message().empty(), "an error without a message", text);
  }
  if (const auto config = parse_config(text)) {
    for (const auto& id : config->diff_ids) {
      expect(valid_digest(id), "a diff id that is no digest", id);
    }
  }
}

void reference(const std::string& text) {
  const auto parsed = parse_reference(text);
  if (!parsed) {
    return;
  }
  const auto again = parse_reference(parsed->text());
  expect(again && again->text() == parsed->text(), "a reference changed by printing", parsed->text());
  // It becomes part of URLs and of paths.
  for (const auto* part : {&parsed->registry, &parsed->repository, &parsed->tag, &parsed->digest}) {
    expect(part->find("..") == part->npos || part->find("/..") == part->npos, "a reference that climbs", *part);
    expect(part->find_first_of(" \t\r\n?#%") == part->npos, "a reference that is no part of a URL", *part);
  }
}

void hosts(const std::string& text) {
  static const std::string folder = fmt::format("/tmp/keelson-fuzz-image-{}", ::getpid());
  static const bool made = keelson::make_directories(folder + "/registry.example.com").has_value();
  expect(made, "cannot make", folder);
  const auto path = folder + "/registry.example.com/hosts.toml";
  const auto file = keelson::open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  expect(file && keelson::write_all(file->get(), text).has_value(), "cannot write", path);
  if (const auto found = hosts_for(folder, "registry.example.com")) {
    expect(!found->empty(), "no host at all", text);
    for (const auto& host : *found) {
      expect(host.url.starts_with("http://") || host.url.starts_with("https://"), "a host that is no URL", host.url);
      for (const auto& header : host.headers) {
        expect(header.find_first_of("\r\n") == header.npos, "a header that holds two", header);
      }
    }
  } else {
    expect(found.error().message().find("hosts.toml") != std::string::npos, "an error that does not name the file",
           found.error().message());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  documents(text);
  reference(text);
  parse_challenges(text);
  (void)basic_authorization({.username = {}, .password = {}, .auth = text, .identity_token = {}, .registry_token = {}})
      .has_value();
  hosts(text);
  return 0;
}
