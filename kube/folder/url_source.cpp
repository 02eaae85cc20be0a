// SPDX-License-Identifier: Apache-2.0
// One request a period, by libcurl on a thread of its own.
#include "kube/folder/url_source.h"

#include <curl/curl.h>

#include <optional>

#include "common/log.h"

namespace keelson::kube {

namespace {

constexpr const char* kName = "staticPodURL";  // in messages: the URL itself may have a password in it
constexpr long kLimitSeconds = 10;             // the kubelet's
constexpr long kMostRedirects = 10;

struct Answer {
  const std::atomic<bool>& stop;
  std::string body = {};
  bool too_long = false;
};

size_t take_body(char* data, size_t one, size_t count, void* user) {
  auto& answer = *static_cast<Answer*>(user);
  answer.too_long = answer.body.size() + one * count > kMaxTextSize;
  if (answer.too_long) {
    return 0;
  }
  answer.body.append(data, one * count);
  return one * count;
}

int look_whether_to_stop(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const Answer*>(user)->stop ? 1 : 0;
}

struct EndOfCurl {
  void operator()(CURL* easy) const { ::curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
};

}  // namespace

Result<std::string> fetch(const ManifestUrl& where, const std::atomic<bool>& stop) {
  static const CURLcode once = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, EndOfCurl> easy(once == CURLE_OK ? ::curl_easy_init() : nullptr);
  if (!easy) {
    return fail(Kind::exhausted, "libcurl has no memory");
  }
  Answer answer{.stop = stop};
  std::unique_ptr<curl_slist, EndOfCurl> headers;
  for (const auto& header : where.headers) {
    headers.reset(::curl_slist_append(headers.release(), header.c_str()));
  }
  char why[CURL_ERROR_SIZE] = {};
  ::curl_easy_setopt(easy.get(), CURLOPT_URL, where.url.c_str());
  ::curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(easy.get(), CURLOPT_FOLLOWLOCATION, 1L);
  ::curl_easy_setopt(easy.get(), CURLOPT_MAXREDIRS, kMostRedirects);
  ::curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  ::curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT, kLimitSeconds);
  ::curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy.get(), CURLOPT_USERAGENT, "keelson");
  ::curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, why);
  ::curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &take_body);
  ::curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &answer);
  ::curl_easy_setopt(easy.get(), CURLOPT_NOPROGRESS, 0L);
  ::curl_easy_setopt(easy.get(), CURLOPT_XFERINFOFUNCTION, &look_whether_to_stop);
  ::curl_easy_setopt(easy.get(), CURLOPT_XFERINFODATA, &answer);
  const CURLcode code = ::curl_easy_perform(easy.get());
  if (answer.too_long) {
    return fail(Kind::exhausted, "the answer has more than {} bytes", kMaxTextSize);
  }
  if (code != CURLE_OK) {
    return fail(Kind::unavailable, "{}", *why != '\0' ? why : ::curl_easy_strerror(code));
  }
  long status = 0;
  ::curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) {
    return fail(Kind::unavailable, "the answer is HTTP status {}, not 200", status);
  }
  return std::move(answer.body);
}

struct UrlSource::State {
  State(Loop& l, ManifestUrl w, std::function<void(DesiredState)> c, Fetch a)
      : loop(l), where(std::move(w)), changed(std::move(c)), ask(std::move(a)) {
    if (!ask) {
      ask = [this]() -> Task<std::string> {
        return blocking(pool, [url = where, s = stop] { return fetch(url, *s); });
      };
    }
  }
  ~State() {
    *stop = true;
    pool.join();
  }

  /// One line for a failure that lasts.
  void tell(const Result<std::string>& answer) {
    const auto now = !answer ? answer.error().message() : answer->empty() ? "zero-length data received" : "";
    if (now == trouble) {
      return;
    }
    if (now.empty()) {
      log::info("{}: manifests are read again", kName);
    } else {
      log::warning("{}: {}; {}, asking again each {} s", kName, now,
                   answer ? "no pod of it is wanted" : "what it said last goes on",
                   where.period / std::chrono::seconds(1));
    }
    trouble = now;
  }

  Loop& loop;
  const ManifestUrl where;
  const std::function<void(DesiredState)> changed;
  Fetch ask;
  ManifestFolder manifests{""};
  std::optional<std::string> last;
  std::string trouble;
  std::shared_ptr<std::atomic<bool>> stop = std::make_shared<std::atomic<bool>>(false);
  asio::thread_pool pool{1};
};

UrlSource::UrlSource(Loop& loop, ManifestUrl where, std::function<void(DesiredState)> changed, Fetch ask)
    : state_(std::make_unique<State>(loop, std::move(where), std::move(changed), std::move(ask))) {}

UrlSource::~UrlSource() = default;

Task<> UrlSource::run() {
  State& s = *state_;
  while (true) {
    auto answer = co_await s.ask();
    if (!answer && answer.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(answer).error());
    }
    s.tell(answer);
    if (answer && s.last != *answer) {
      s.last = *std::move(answer);
      s.changed(s.manifests.take(*s.last, kName));
    }
    KEELSON_CO_DO(co_await s.loop.sleep(s.where.period));
  }
}

}  // namespace keelson::kube
