/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificate, key and trust of this node: read, checked, and what every TLS connection starts
 * from. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/net_int.h"

/* What comes in is taken out of the socket in runs of this size. */
#define READ_AHEAD_BYTES (64U << 10)
/* All of them the kernel's TLS knows as well. */
#define CIPHERS                                                                                    \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* "2027-11-29 14:00 UTC" */
static void time_text(const ASN1_TIME *t, char *out, size_t bytes)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(t, &tm) || !strftime(out, bytes, "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(out, bytes, "an unreadable time");
}

static const char *openssl_reason(void)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = ERR_GET_LIB(error) == ERR_LIB_SYS ?
				     strerrordesc_np(ERR_GET_REASON(error)) :
				     ERR_reason_error_string(error);

	return reason ? reason : "not in the expected form";
}

/* OpenSSL's words for files that cannot be read help nobody. */
static int readable(const char *what, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_errno(err, errno, "%s %s", what, path);
	close(fd);
	return 0;
}

/* A key with a password would have to be asked for on a terminal that nobody watches. */
static int no_password(char *buf, int bytes, int writing, void *arg)
{
	(void)buf;
	(void)bytes;
	(void)writing;
	(void)arg;
	return 0;
}

static int check_dates(const char *what, const char *path, X509 *cert, struct err *err)
{
	char text[40];

	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0) {
		time_text(X509_get0_notAfter(cert), text, sizeof(text));
		return err_set(err, -EKEYEXPIRED, "%s %s: expired on %s", what, path, text);
	}
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
		time_text(X509_get0_notBefore(cert), text, sizeof(text));
		return err_set(err, -EKEYEXPIRED, "%s %s: not valid before %s", what, path, text);
	}
	return 0;
}

static int check_own(const struct net_identity_conf *conf, X509 *cert, struct err *err)
{
	char subject[128];
	int rc = check_dates("certificate", conf->certificate, cert, err);

	if (rc)
		return rc;
	if (X509_check_purpose(cert, X509_PURPOSE_SSL_CLIENT, 0) != 1 ||
	    X509_check_purpose(cert, X509_PURPOSE_SSL_SERVER, 0) != 1)
		return err_set(err, -EINVAL, "certificate %s: its key usage does not allow both "
			       "ends of a TLS connection (clientAuth and serverAuth)",
			       conf->certificate);
	if (!conf->ca || X509_check_host(cert, conf->own_name, 0,
					 X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1)
		return 0;
	X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof(subject));
	return err_set(err, -EINVAL, "certificate %s: is not for node '%s', but for '%s': no peer "
		       "would believe it", conf->certificate, conf->own_name, subject);
}

static int load_own(const struct net_identity_conf *conf, SSL_CTX *ctx, struct err *err)
{
	int rc = readable("certificate", conf->certificate, err);

	if (!rc)
		rc = readable("private-key", conf->private_key, err);
	if (rc)
		return rc;
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->certificate) != 1)
		return err_set(err, -EINVAL, "certificate %s: %s", conf->certificate,
			       openssl_reason());
	rc = check_own(conf, SSL_CTX_get0_certificate(ctx), err);
	if (rc)
		return rc;
	if (SSL_CTX_use_PrivateKey_file(ctx, conf->private_key, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1)
		return 0;
	if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
	    ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH)
		return err_set(err, -EINVAL, "private-key %s: does not belong to certificate %s",
			       conf->private_key, conf->certificate);
	return err_set(err, -EINVAL, "private-key %s: %s (it must be PEM, without a password)",
		       conf->private_key, openssl_reason());
}

static int load_ca(const char *path, SSL_CTX *ctx, struct err *err)
{
	STACK_OF(X509_OBJECT) *objects;
	int rc = readable("ca", path, err);

	if (rc)
		return rc;
	if (SSL_CTX_load_verify_file(ctx, path) != 1)
		return err_set(err, -EINVAL, "ca %s: %s", path, openssl_reason());
	/* One that has expired may stand beside its successor. */
	objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));
	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		rc = cert ? check_dates("ca", path, cert, err) : 0;
		if (!rc)
			return 0;
	}
	return rc;
}

static void set_rules(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	/*
	 * The kernel's TLS of a peer takes nothing but data and alerts after the handshake: no
	 * session tickets. Many of its users end a connection by TCP's end only.
	 */
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
				 SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS);
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD_BYTES);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, net_tls_check_peer, NULL);
}

int net_identity_new(const struct net_identity_conf *conf, struct net_identity **out,
		     struct err *err)
{
	struct net_identity *id = calloc(1, sizeof(*id));
	struct tm tm;
	int rc;

	ERR_clear_error();
	if (id)
		id->ctx = SSL_CTX_new(TLS_method());
	if (!id || !id->ctx || SSL_CTX_set_ciphersuites(id->ctx, CIPHERS) != 1) {
		net_identity_free(id);
		return err_set(err, -ENOMEM, "no memory for TLS");
	}
	set_rules(id->ctx);
	rc = load_own(conf, id->ctx, err);
	if (!rc && conf->ca)
		rc = load_ca(conf->ca, id->ctx, err);
	ERR_clear_error();
	if (rc) {
		net_identity_free(id);
		return rc;
	}
	if (ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(id->ctx)), &tm))
		id->expires_s = timegm(&tm);
	id->by_fingerprint = !conf->ca;
	*out = id;
	return 0;
}

void net_identity_free(struct net_identity *id)
{
	if (!id)
		return;
	SSL_CTX_free(id->ctx);
	free(id);
}

int64_t net_identity_expires_s(const struct net_identity *id)
{
	return id->expires_s;
}
