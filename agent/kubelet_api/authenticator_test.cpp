// SPDX-License-Identifier: Apache-2.0
// Who is who: certificates of the right and the wrong authority, tokens, nobody; with the API server there and away.
#include "agent/kubelet_api/authenticator.h"

#include <gmock/gmock.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/kubelet_api/fake_reviewer.h"
#include "common/log.h"
#include "tests/support/certificates.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using keelson::testing::TestAuthority;
using keelson::testing::TestCertificate;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSecret = "canary-7c1f";

std::string der_of(const TestCertificate& issued) {
  BIO* text = ::BIO_new_mem_buf(issued.certificate.data(), static_cast<int>(issued.certificate.size()));
  X509* certificate = ::PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
  unsigned char* bytes = nullptr;
  const int size = ::i2d_X509(certificate, &bytes);
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  ::OPENSSL_free(bytes);
  ::X509_free(certificate);
  ::BIO_free(text);
  return der;
}

http::Request with_header(const std::string& name, const std::string& value) {
  return {.method = "GET", .target = {}, .headers = {{name, value}}};
}
http::Request with_token(const std::string& token) {
  return with_header("authorization", "bearer " + token);
}
http::Request with_certificate(const TestCertificate& issued) {
  http::Request request{.method = "GET", .target = {}};
  request.certificates = std::make_shared<const std::vector<std::string>>(1, der_of(issued));
  return request;
}

class AuthenticatorTest : public ::testing::Test {
 protected:
  AuthenticatorTest() {
    log::set_level(log::Level::off);
    std::string pattern = "/tmp/keelson-ca-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    trust(authority_);
    options_.client_ca_file = dir_ + "/ca.crt";
    reviewer_.tokens[kSecret] = {.username = "system:serviceaccount:monitoring:prometheus", .groups = {"g"}};
  }
  ~AuthenticatorTest() override { std::filesystem::remove_all(dir_); }
  void trust(const TestAuthority& authority) {
    std::ofstream(dir_ + "/new.crt") << authority.certificate();
    std::filesystem::rename(dir_ + "/new.crt", dir_ + "/ca.crt");
  }
  Result<kube::UserInfo> user_of(http::Request request) {
    if (!authenticator_) {
      authenticator_ = Authenticator::make(loop_, options_, &reviewer_).value();
    }
    return run_now(loop_, authenticator_->user_of(std::move(request)));
  }

  std::string dir_;
  TestAuthority authority_;
  AuthenticationOptions options_;
  FakeReviewer reviewer_;
  FakeClock clock_;
  Loop loop_{clock_, "test"};
  std::unique_ptr<Authenticator> authenticator_;
};

TEST_F(AuthenticatorTest, ACertificateOfTheAuthorityIsItsUser) {
  const auto user = user_of(with_certificate(authority_.issue("kube-apiserver", "system:masters")));
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->username, "kube-apiserver");
  EXPECT_THAT(user->groups, ElementsAre("system:masters", "system:authenticated"));
  EXPECT_EQ(reviewer_.asked, 0);
}

TEST_F(AuthenticatorTest, AnotherAuthoritysProvesNothing) {
  TestAuthority other;
  const auto stranger = user_of(with_certificate(other.issue("kube-apiserver", "system:masters")));
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().kind(), Kind::permission);
  auto with_both = with_certificate(other.issue("kube-apiserver"));
  with_both.headers = with_token(kSecret).headers;
  EXPECT_EQ(user_of(with_both)->username, "system:serviceaccount:monitoring:prometheus");
  EXPECT_FALSE(user_of(with_certificate(authority_.issue("")))) << "a certificate without a name";
  EXPECT_FALSE(user_of(with_certificate(TestCertificate{other.certificate(), ""}))) << "an authority is no client";
}

TEST_F(AuthenticatorTest, TheAuthorityMayBeReplaced) {
  TestAuthority next;
  EXPECT_FALSE(user_of(with_certificate(next.issue("n"))));
  trust(next);
  EXPECT_TRUE(user_of(with_certificate(next.issue("n"))));
  EXPECT_FALSE(user_of(with_certificate(authority_.issue("n"))));
  std::ofstream(dir_ + "/ca.crt") << "nothing";
  EXPECT_TRUE(user_of(with_certificate(next.issue("n")))) << "what cannot be read changes nothing";
}

TEST_F(AuthenticatorTest, ATokenIsAskedForOnce) {
  for (int i = 0; i < 3; ++i) {
    const auto user = user_of(with_token(kSecret));
    ASSERT_TRUE(user) << user.error().message();
    EXPECT_THAT(user->groups, ElementsAre("g", "system:authenticated"));
    EXPECT_FALSE(user_of(with_token("unknown")));
  }
  EXPECT_EQ(reviewer_.asked, 2) << "the known one, and the unknown one";
  loop_.advance(clock_, 121s);
  EXPECT_TRUE(user_of(with_token(kSecret)));
  EXPECT_EQ(reviewer_.asked, 3);
}

TEST_F(AuthenticatorTest, WhenNobodyAnswersWhatIsKnownHolds) {
  EXPECT_TRUE(user_of(with_token(kSecret)));
  reviewer_.away = Error(Kind::unavailable, "no API server");
  reviewer_.tokens["late"] = {.username = "late"};
  EXPECT_TRUE(user_of(with_token(kSecret)));
  const auto late = user_of(with_token("late"));
  ASSERT_FALSE(late) << "never an open door";
  EXPECT_EQ(late.error().message(), "no API server");
  loop_.advance(clock_, 121s);
  EXPECT_FALSE(user_of(with_token(kSecret)));
  reviewer_.away.reset();
  EXPECT_TRUE(user_of(with_token("late"))) << "a failure is not kept";
}

TEST_F(AuthenticatorTest, NobodyIsNobody) {
  EXPECT_FALSE(user_of(with_header("", "")));
  EXPECT_FALSE(user_of(with_header("Authorization", "Basic YWRtaW46YWRtaW4=")));
  EXPECT_FALSE(user_of(with_header("Authorization", "Bearer ")));
  EXPECT_EQ(reviewer_.asked, 0);
  options_.anonymous = true;
  authenticator_.reset();
  const auto user = user_of(with_header("", ""));
  ASSERT_TRUE(user);
  EXPECT_EQ(user->username, "system:anonymous");
  EXPECT_THAT(user->groups, ElementsAre("system:unauthenticated"));
  EXPECT_FALSE(user_of(with_token("wrong"))) << "who shows something wrong is not nobody";
  EXPECT_FALSE(user_of(with_certificate(TestAuthority().issue("x"))));
}

TEST_F(AuthenticatorTest, WithoutReviewersTokensProveNothing) {
  options_.token_webhook = false;
  EXPECT_FALSE(user_of(with_token(kSecret)));
  EXPECT_EQ(reviewer_.asked, 0);
}

TEST_F(AuthenticatorTest, NoErrorShowsAToken) {
  for (const auto& away : {std::optional<Error>(), std::optional(Error(Kind::timeout, "no answer within 10000 ms"))}) {
    reviewer_.away = away;
    reviewer_.tokens.clear();
    authenticator_.reset();
    const auto refused = user_of(with_token(kSecret));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), Not(HasSubstr(kSecret)));
  }
}

TEST_F(AuthenticatorTest, ABadAuthorityFileIsTold) {
  options_.client_ca_file = dir_ + "/none.crt";
  const auto missing = Authenticator::make(loop_, options_, &reviewer_);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message(), HasSubstr("clientCAFile: "));
  std::ofstream(dir_ + "/none.crt") << "no certificate";
  EXPECT_EQ(Authenticator::make(loop_, options_, &reviewer_).error().message(),
            "clientCAFile: " + dir_ + "/none.crt: no certificate in PEM");
}

}  // namespace
}  // namespace keelson::agent
