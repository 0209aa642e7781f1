#include "tests/support/certificates.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "tests/support/harness.h"

static void extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (extension == NULL || X509_add_ext(x509, extension, -1) != 1)
		harness_fail("a certificate's extension: %s", value);
	X509_EXTENSION_free(extension);
}

struct certificate certificate_make(
	const char *name, const struct certificate *issuer, int64_t from_now_s, int64_t until_now_s)
{
	static long serial;
	struct certificate made = {.x509 = X509_new(), .key = EVP_EC_gen("P-256")};
	X509_NAME *subject;
	char common[40];

	if (made.x509 == NULL || made.key == NULL)
		harness_fail("no certificate");
	snprintf(common, sizeof(common), "%s %ld", name == NULL ? "authority" : "leaf", ++serial);
	X509_set_version(made.x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.x509), serial);
	X509_gmtime_adj(X509_getm_notBefore(made.x509), (long)from_now_s);
	X509_gmtime_adj(X509_getm_notAfter(made.x509), (long)until_now_s);
	X509_set_pubkey(made.x509, made.key);
	subject = X509_get_subject_name(made.x509);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (unsigned char *)common, -1, -1, 0);
	X509_set_issuer_name(made.x509, issuer != NULL ? X509_get_subject_name(issuer->x509) : subject);
	extend(made.x509, issuer != NULL ? issuer->x509 : made.x509, NID_basic_constraints,
		name == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (name != NULL)
		extend(made.x509, made.x509, NID_subject_alt_name, name);
	if (X509_sign(made.x509, issuer != NULL ? issuer->key : made.key, EVP_sha256()) == 0)
		harness_fail("a certificate can't be signed");
	return made;
}

void certificate_release(struct certificate *certificate)
{
	X509_free(certificate->x509);
	EVP_PKEY_free(certificate->key);
	*certificate = (struct certificate){.x509 = NULL};
}

void certificate_write(const struct certificate *certificate, const char *path)
{
	FILE *out = fopen(path, "we");

	if (out == NULL || PEM_write_X509(out, certificate->x509) != 1 || fclose(out) != 0)
		harness_fail("%s can't be written", path);
}
