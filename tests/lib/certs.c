/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes certificates for tests with the functions of OpenSSL. */
#include "certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/assert.h"

static FILE *open_file(const char *stem, const char *ending, const char *mode)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%s", stem, ending);
	f = fopen(path, mode);
	ASSERT(f);
	return f;
}

static X509 *read_cert(const char *stem)
{
	FILE *f = open_file(stem, "pem", "r");
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);

	fclose(f);
	ASSERT(cert);
	return cert;
}

static void extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	ASSERT(ext && X509_add_ext(cert, ext, -1));
	X509_EXTENSION_free(ext);
}

/* Without ca_stem it signs itself. */
static void make(const char *ca_stem, const char *stem, const char *name, long from_s, long until_s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *signer = key;
	X509 *cert = X509_new(), *ca = ca_stem ? read_cert(ca_stem) : NULL;
	char alt[256];
	FILE *f;

	ASSERT(key && cert);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), from_s + until_s + 100000);
	X509_set_version(cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(ca ? ca : cert));
	extend(cert, NID_basic_constraints, ca ? "CA:FALSE" : "critical,CA:TRUE");
	if (ca) {
		f = open_file(ca_stem, "key", "r");
		signer = PEM_read_PrivateKey(f, NULL, NULL, NULL);
		fclose(f);
		snprintf(alt, sizeof(alt), "DNS:%s", name);
		extend(cert, NID_subject_alt_name, alt);
	}
	ASSERT(X509_sign(cert, signer, EVP_sha256()) > 0);
	f = open_file(stem, "pem", "w");
	ASSERT(PEM_write_X509(f, cert));
	fclose(f);
	f = open_file(stem, "key", "w");
	ASSERT(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	fclose(f);
	if (signer != key)
		EVP_PKEY_free(signer);
	EVP_PKEY_free(key);
	X509_free(cert);
	X509_free(ca);
}

void certs_ca(const char *stem)
{
	make(NULL, stem, "test authority", -3600, 24 * 3600);
}

void certs_node(const char *ca_stem, const char *stem, const char *name, long from_s, long until_s)
{
	make(ca_stem, stem, name, from_s, until_s);
}

void certs_fingerprint(const char *stem, uint8_t out[32])
{
	X509 *cert = read_cert(stem);
	unsigned char *spki = NULL;
	int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);

	ASSERT(bytes > 0);
	ASSERT(EVP_Digest(spki, (size_t)bytes, out, NULL, EVP_sha256(), NULL) == 1);
	OPENSSL_free(spki);
	X509_free(cert);
}
