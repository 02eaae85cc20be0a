// SPDX-License-Identifier: Apache-2.0
#include "kube/review.h"

#include "kube/reader.h"
#include "kube/value.h"
#include "kube/writer.h"

namespace keelson::kube {

namespace {

void fields(auto& v, Of<ResourceAttributes> auto& a) {
  v("namespace", a.ns);
  v("verb", a.verb);
  v("group", a.group);
  v("version", a.version);
  v("resource", a.resource);
  v("subresource", a.subresource);
  v("name", a.name);
}

void user_fields(auto& v, std::string_view name, auto& user) {
  v(name, user.username);
  v("uid", user.uid);
  v("groups", user.groups);
  v("extra", user.extra);
}

void spec_fields(auto& v, Of<TokenReview> auto& r) {
  v("token", r.token);
}
void status_fields(auto& v, Of<TokenReview> auto& r) {
  v("authenticated", r.authenticated);
  v.object("user", [&](auto& user) { user_fields(user, "username", r.user); });
  v("error", r.error);
}

void spec_fields(auto& v, Of<SubjectAccessReview> auto& r) {
  v.object("resourceAttributes", [&](auto& attributes) { fields(attributes, r.attributes); });
  user_fields(v, "user", r.user);
}
void status_fields(auto& v, Of<SubjectAccessReview> auto& r) {
  v("allowed", r.allowed);
  v("denied", r.denied);
  v("reason", r.reason);
  v("evaluationError", r.evaluation_error);
}

template <class Review>
std::string encode(const Review& review, std::string api_version, std::string kind) {
  Writer writer;
  writer.always("apiVersion", api_version);
  writer.always("kind", kind);
  writer.object("spec", [&](auto& spec) { spec_fields(spec, review); });
  return print_json(writer.take(), false);
}

template <class Review>
Result<Review> decode(std::string_view text, std::string_view kind) {
  const Tree tree = read_json(text);
  const Value* own = tree.root.type == Value::Type::map ? tree.root.find("kind") : nullptr;
  if (tree.error || own == nullptr || own->text != kind) {
    return fail(Kind::invalid, "expected a {}", kind);
  }
  Review review;
  Findings findings;
  const Path root;  // the reader refers to it
  {
    Reader reader(tree.root, root, findings);
    reader.object("status", [&](auto& status) { status_fields(status, review); });
  }
  if (!findings.errors.empty()) {
    return fail(Kind::invalid, "{}: {}: {}", kind, findings.errors[0].path, findings.errors[0].text);
  }
  return review;
}

}  // namespace

std::string encode_json(const TokenReview& review) {
  return encode(review, "authentication.k8s.io/v1", "TokenReview");
}
std::string encode_json(const SubjectAccessReview& review) {
  return encode(review, "authorization.k8s.io/v1", "SubjectAccessReview");
}
Result<TokenReview> decode_token_review(std::string_view text) {
  return decode<TokenReview>(text, "TokenReview");
}
Result<SubjectAccessReview> decode_access_review(std::string_view text) {
  return decode<SubjectAccessReview>(text, "SubjectAccessReview");
}

}  // namespace keelson::kube
