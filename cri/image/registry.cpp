// SPDX-License-Identifier: Apache-2.0
// Requests, and when to make them again.
#include "cri/image/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <thread>

#include <boost/json/parse.hpp>

#include "cri/image/digest.h"
#include "cri/image/reference.h"

namespace keelson::cri::image {

using namespace std::chrono_literals;

namespace {

constexpr int kTries = 4;
constexpr auto kFirstPause = 200ms;
constexpr auto kMaxPause = 30s;
/// A connection that brings this much before it breaks counts as working.
constexpr uint64_t kProgress = 1 << 20;
constexpr size_t kMaxDocument = 8 << 20;
constexpr size_t kMaxRefusal = 64 << 10;

constexpr const char* kManifestTypes =
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

class TextSink final : public Sink {
 public:
  uint64_t have() const override { return 0; }
  Result<> restart() override {
    text.clear();
    return {};
  }
  Result<> take(std::string_view data) override {
    if (text.size() + data.size() > kMaxDocument) {
      return fail(Kind::invalid, "the document is longer than {} bytes", kMaxDocument);
    }
    text += data;
    return {};
  }
  std::string text;
};

class FileSink final : public Sink {
 public:
  FileSink(const Descriptor& blob, int file) : blob_(blob), file_(file), sum_(std::make_unique<Sha256>()) {}
  uint64_t have() const override { return written_; }
  Result<> restart() override {
    if (written_ == 0) {
      return {};
    }
    if (::ftruncate(file_, 0) < 0 || ::lseek(file_, 0, SEEK_SET) < 0) {
      return fail_errno(errno, "start blob {} again", blob_.digest);
    }
    written_ = 0;
    sum_ = std::make_unique<Sha256>();
    return {};
  }
  Result<> take(std::string_view data) override {
    if (written_ + data.size() > blob_.size) {
      return fail(Kind::invalid, "blob {}: more than the {} bytes that the manifest says", blob_.digest, blob_.size);
    }
    KEELSON_DO(write_all(file_, data).context("store blob {}", blob_.digest));
    sum_->update(data);
    written_ += data.size();
    return {};
  }
  Result<> check() {
    if (auto digest = digest_text(sum_->finish()); digest != blob_.digest || written_ != blob_.size) {
      return fail(Kind::invalid, "blob {}: got {} of {} bytes, their digest is {}", blob_.digest, written_, blob_.size,
                  digest);
    }
    return {};
  }

 private:
  const Descriptor& blob_;
  int file_;
  std::unique_ptr<Sha256> sum_;
  uint64_t written_ = 0;
};

bool worth_another_try(int status) {
  return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/// The code of the registry's first error ("MANIFEST_UNKNOWN"), with a space before it, if it is a plain word.
std::string code_in(const std::string& refusal) {
  boost::system::error_code error;
  auto value = boost::json::parse(refusal, error);
  const auto* code = error ? nullptr : value.find_pointer("/errors/0/code", error);
  if (code == nullptr || !code->is_string() || code->get_string().size() > 64) {
    return "";
  }
  std::string word(code->get_string());
  bool plain = std::all_of(word.begin(), word.end(), [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
  return plain ? " " + word : "";
}

std::unexpected<Error> refused(int status, const std::string& refusal) {
  auto kind = status == 404 ? Kind::not_found : status == 401 || status == 403 ? Kind::permission : Kind::unavailable;
  return std::unexpected(Error(kind, fmt::format("HTTP {}{}", status, code_in(refusal)), status));
}

}  // namespace

Repository::Repository(RegistryHost host, std::string path, const Credentials& credentials, Deadline deadline)
    : host_(std::move(host)),
      path_(std::move(path)),
      credentials_(host_.origin ? credentials : Credentials{}),
      deadline_(deadline) {
  if (!credentials_.registry_token.empty()) {
    authorization_ = "Bearer " + credentials_.registry_token;
  }
}

std::chrono::milliseconds Repository::time_left() const {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
  return std::max(left, 1ms);
}

Result<> Repository::authorize(const HttpResponse& response, const std::string& used) {
  std::lock_guard lock(mutex_);
  if (authorization_ != used) {
    return {};  // another thread has met the challenge meanwhile
  }
  HttpRequest request{.url = "", .headers = {}, .form = "", .tls = host_.tls, .timeout = time_left(), .body = {}};
  request.connect_timeout = host_.dial_timeout;
  KEELSON_TRY(auto value, answer(client_, response.challenges, credentials_, "repository:" + path_ + ":pull",
                                 host_.url.starts_with("http:"), std::move(request)));
  if (value == used) {
    return refused(response.status, "");
  }
  authorization_ = value;
  return {};
}

/// One answer that is not 401, or the 401 after we did what we can.
Result<HttpResponse> Repository::send_once(const std::string& path, const std::string& accept, Sink& sink,
                                           std::string& refusal) {
  for (bool again = true;; again = false) {
    HttpRequest request{.url = host_.url + "/" + path_ + path + (host_.query.empty() ? "" : "?" + host_.query),
                        .headers = host_.headers,
                        .form = "",
                        .tls = host_.tls,
                        .timeout = time_left(),
                        .body = {}};
    request.connect_timeout = host_.dial_timeout;
    request.headers.push_back(accept);
    std::string used;
    {
      std::lock_guard lock(mutex_);
      used = authorization_;
    }
    if (!used.empty()) {
      request.headers.push_back("Authorization: " + used);
    }
    if (sink.have() > 0) {
      request.headers.push_back(fmt::format("Range: bytes={}-", sink.have()));
    }
    refusal.clear();
    bool begun = false;
    request.body = [&](int status, std::string_view data) -> Result<> {
      if (status != 200 && status != 206) {
        refusal += data.substr(0, kMaxRefusal - std::min(kMaxRefusal, refusal.size()));
        return {};
      }
      if (!begun && status == 200) {
        KEELSON_DO(sink.restart());
      }
      begun = true;
      return sink.take(data);
    };
    KEELSON_TRY(auto response, client_.send(request));
    if (response.status != 401 || !again) {
      return response;
    }
    KEELSON_DO(authorize(response, used));
  }
}

/// Until the body is in the sink; the Docker-Content-Digest header.
Result<std::string> Repository::fetch(const std::string& path, const std::string& accept, Sink& sink) {
  auto pause = std::chrono::milliseconds(kFirstPause);
  uint64_t mark = sink.have();
  std::string refusal;
  for (int left = kTries;;) {
    auto response = send_once(path, accept, sink, refusal);
    if (response && (response->status == 200 || response->status == 206)) {
      return response->content_digest;
    }
    if (sink.have() >= mark + kProgress) {
      left = kTries;
      pause = kFirstPause;
      mark = sink.have();
    }
    bool again = false;
    auto wait = pause;
    if (!response) {
      again = response.error().kind() == Kind::unavailable &&
              (response.error().code() == kBroken || worth_another_try(response.error().code()));
    } else if (response->status == 416 && sink.have() > 0) {
      KEELSON_DO(sink.restart());
      again = true;
    } else {
      again = worth_another_try(response->status);
      wait =
          std::max<std::chrono::milliseconds>(wait, std::min<std::chrono::seconds>(response->retry_after, kMaxPause));
    }
    if (--left == 0 || !again || wait >= time_left()) {
      return response ? refused(response->status, refusal) : std::unexpected(std::move(response).error());
    }
    std::this_thread::sleep_for(wait);
    pause *= 2;
  }
}

Result<Repository::Document> Repository::manifest(const std::string& version) {
  TextSink sink;
  KEELSON_TRY(auto said, fetch("/manifests/" + version, kManifestTypes, sink)
                             .context("{}: manifest {} of {}", host_.name, version, path_));
  Document document{.text = std::move(sink.text), .digest = ""};
  document.digest = sha256_of(document.text);
  const auto& wanted = valid_digest(version) ? version : said;
  if (valid_digest(wanted) && wanted != document.digest) {
    return fail(Kind::invalid, "{}: manifest {} of {}: its digest is {}, not {}", host_.name, version, path_,
                document.digest, wanted);
  }
  return document;
}

Result<std::string> Repository::blob(const std::string& digest) {
  TextSink sink;
  KEELSON_DO(fetch("/blobs/" + digest, "Accept: */*", sink).context("{}: blob {} of {}", host_.name, digest, path_));
  if (auto got = sha256_of(sink.text); got != digest) {
    return fail(Kind::invalid, "{}: blob {} of {}: its digest is {}", host_.name, digest, path_, got);
  }
  return std::move(sink.text);
}

Result<> Repository::download(const Descriptor& blob, int file) {
  FileSink sink(blob, file);
  KEELSON_DO(
      fetch("/blobs/" + blob.digest, "Accept: */*", sink).context("{}: blob {} of {}", host_.name, blob.digest, path_));
  return sink.check().context("{}: {}", host_.name, path_);
}

}  // namespace keelson::cri::image
