/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 on one TCP connection, by OpenSSL: the handshake, who the peer is, and the byte layer.
 *
 * What is received passes through OpenSSL, which takes many records at once out of the socket. What
 * is sent is either encrypted by the kernel, and then this layer's write is the plain one; or
 * OpenSSL makes records, which are collected here and leave with one send() for a whole batch.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/assert.h"
#include "base/str.h"
#include "net/net_int.h"

#define RECORD_BYTES ((uint32_t)SSL3_RT_MAX_PLAIN_LENGTH)
#define RECORD_OVERHEAD_BYTES 256U /* more than header, type, padding and tag */
#define OUT_BYTES (128U << 10)     /* records that the socket has not taken */

struct net_tls {
	SSL *ssl;
	int fd;
	char peer_name[NAME_MAX_BYTES];
	uint8_t peer_fingerprint[NET_FINGERPRINT_BYTES];
	bool by_fingerprint;
	BIO_METHOD *records;
	bool heard, heard_tls;      /* a first byte has come; it begins a record */
	bool kernel_tx;
	bool read_more;             /* the last read did not come to an end */
	bool drained, ended;        /* the socket had no more at present, or for ever */
	char refused_names[256];    /* of a certificate that was not believed */
	char problem[ERR_TEXT_MAX]; /* after the handshake: why nothing works any more */
	uint8_t *out;               /* OUT_BYTES; [out_start, out_end) waits for the socket */
	uint32_t out_start, out_end;
	uint8_t gather[SSL3_RT_MAX_PLAIN_LENGTH];
};

/* ---- words ---- */

bool net_tls_is_record(const uint8_t *bytes, size_t count)
{
	return count >= 2 && bytes[0] >= SSL3_RT_CHANGE_CIPHER_SPEC &&
	       bytes[0] <= SSL3_RT_APPLICATION_DATA && bytes[1] == SSL3_VERSION_MAJOR;
}

static void describe_names(const X509 *cert, char *out, size_t bytes)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	out[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS && strlen(out) + 80 < bytes)
			str_append(out, bytes, "%s'%.64s'", out[0] ? ", " : "",
				   (const char *)ASN1_STRING_get0_data(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	for (char *p = out; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	if (!out[0])
		str_copy(out, bytes, "nobody in particular");
}

static void explain_certificate(const struct net_tls *t, long verdict, char *why, size_t bytes)
{
	if (verdict == X509_V_ERR_HOSTNAME_MISMATCH) {
		snprintf(why, bytes, "the peer's certificate is refused: it is for %s, not for "
			 "'%s'", t->refused_names, t->peer_name);
	} else if (t->by_fingerprint && verdict == X509_V_ERR_CERT_REJECTED) {
		snprintf(why, bytes, "the peer's certificate is refused: its key is not the one "
			 "of the tls-fingerprint of '%s'", t->peer_name);
	} else {
		snprintf(why, bytes, "the peer's certificate is refused: %s",
			 X509_verify_cert_error_string(verdict));
	}
}

/* What OpenSSL has against going on; `rc` of SSL_get_error(). */
static void explain(const struct net_tls *t, int rc, int error, char *why, size_t bytes)
{
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	long verdict = SSL_get_verify_result(t->ssl);
	const char *ended = net_tls_done(t) ? "" :
					      " during the handshake; is tls set there, too?";

	if (rc == SSL_ERROR_SYSCALL && error)
		snprintf(why, bytes, "%s%s", strerror(error), ended);
	else if (rc == SSL_ERROR_ZERO_RETURN || rc == SSL_ERROR_SYSCALL)
		snprintf(why, bytes, "the peer closed the connection%s", ended);
	else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		explain_certificate(t, verdict, why, bytes);
	else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		snprintf(why, bytes, "the peer showed no certificate");
	else if (reason == SSL_R_UNSUPPORTED_PROTOCOL)
		snprintf(why, bytes, "the peer does not offer TLS 1.3");
	else if (reason > SSL_AD_REASON_OFFSET)
		snprintf(why, bytes, "the peer refused: %s; its log says more",
			 ERR_reason_error_string(code));
	else
		snprintf(why, bytes, "%s", code ? ERR_reason_error_string(code) : "broken");
}

/* ---- who the peer is ---- */

static int check_fingerprint(struct net_tls *t, X509_STORE_CTX *store)
{
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	uint8_t *spki = NULL, digest[NET_FINGERPRINT_BYTES];
	int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);
	bool same = bytes > 0 &&
		    EVP_Digest(spki, (size_t)bytes, digest, NULL, EVP_sha256(), NULL) == 1 &&
		    !CRYPTO_memcmp(digest, t->peer_fingerprint, sizeof(digest));
	int verdict = X509_V_OK;

	OPENSSL_free(spki);
	if (!same)
		verdict = X509_V_ERR_CERT_REJECTED;
	else if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		verdict = X509_V_ERR_CERT_HAS_EXPIRED;
	else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		verdict = X509_V_ERR_CERT_NOT_YET_VALID;
	X509_STORE_CTX_set_error(store, verdict);
	return verdict == X509_V_OK;
}

int net_tls_check_peer(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct net_tls *t = SSL_get_app_data(ssl);

	(void)arg;
	if (t->by_fingerprint)
		return check_fingerprint(t, store);
	if (X509_verify_cert(store) == 1)
		return 1;
	describe_names(X509_STORE_CTX_get0_cert(store), t->refused_names,
		       sizeof(t->refused_names));
	return 0;
}

/* ---- records on their way in and out ---- */

static int records_read(BIO *bio, char *bytes, size_t room, size_t *count)
{
	struct net_tls *t = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	/* After a short read the socket is empty: saves a call that finds nothing. */
	if (!t->drained) {
		do
			n = recv(t->fd, bytes, room, MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		t->drained = n < (ssize_t)room;
		t->ended = n == 0;
		if (n > 0) {
			*count = (size_t)n;
			return 1;
		}
		if (n == 0 || errno != EAGAIN)
			return (int)n;
	}
	BIO_set_retry_read(bio);
	return -1;
}

static int records_write(BIO *bio, const char *bytes, size_t count, size_t *written)
{
	struct net_tls *t = BIO_get_data(bio);

	if (count > OUT_BYTES - t->out_end)
		return 0;
	memcpy(t->out + t->out_end, bytes, count);
	t->out_end += (uint32_t)count;
	*written = count;
	return 1;
}

static long records_ctrl(BIO *bio, int command, long number, void *pointer)
{
	const struct net_tls *t = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH || (command == BIO_CTRL_EOF && t->ended);
}

/* After the handshake the records pass through our hands, where the kernel does not do it all. */
static bool take_records(struct net_tls *t)
{
	bool kernel_rx = BIO_get_ktls_recv(SSL_get_rbio(t->ssl));
	BIO *bio = BIO_new(t->records);

	BIO_set_callback_ex(SSL_get_rbio(t->ssl), NULL);
	t->kernel_tx = BIO_get_ktls_send(SSL_get_wbio(t->ssl));
	if (!t->kernel_tx)
		t->out = malloc(OUT_BYTES);
	if (!bio || (!t->kernel_tx && !t->out)) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	if (!kernel_rx) {
		BIO_up_ref(bio);
		SSL_set0_rbio(t->ssl, bio);
	}
	if (!t->kernel_tx) {
		BIO_up_ref(bio);
		SSL_set0_wbio(t->ssl, bio);
	}
	BIO_free(bio);
	return true;
}

/* 0 when nothing waits any more. */
static int send_records(struct net_tls *t)
{
	while (t->out_start < t->out_end) {
		ssize_t n = send(t->fd, t->out + t->out_start, t->out_end - t->out_start,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		t->out_start += (uint32_t)n;
	}
	t->out_start = t->out_end = 0;
	return 0;
}

/* ---- life ---- */

/*
 * Sees what OpenSSL takes out of the socket: the very first byte tells a peer without TLS. To peek
 * before does not: bytes that arrive in between are gone from the socket, and what is seen at the
 * next step is the middle of a record.
 */
static long hear(BIO *bio, int operation, const char *bytes, size_t room, int argi, long argl,
		 int result, size_t *count)
{
	struct net_tls *t = (struct net_tls *)(void *)BIO_get_callback_arg(bio);

	(void)room;
	(void)argi;
	(void)argl;
	if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0 && *count > 0 && !t->heard) {
		t->heard = true;
		t->heard_tls = bytes[0] >= SSL3_RT_CHANGE_CIPHER_SPEC &&
			       bytes[0] <= SSL3_RT_APPLICATION_DATA;
	}
	return result;
}

static BIO_METHOD *records_method(struct net *net)
{
	if (net->records)
		return net->records;
	net->records = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "records");
	if (net->records) {
		BIO_meth_set_read_ex(net->records, records_read);
		BIO_meth_set_write_ex(net->records, records_write);
		BIO_meth_set_ctrl(net->records, records_ctrl);
	}
	return net->records;
}

void net_tls_net_free(struct net *net)
{
	BIO_meth_free(net->records);
	net->records = NULL;
}

struct net_tls *net_tls_new(const struct net_conn *conn, int fd, bool accepted)
{
	const struct net_identity *id = conn->net->identity;
	struct net_tls *t = calloc(1, sizeof(*t));

	ASSERT(id); /* a configuration with tls is not taken without one */
	if (!t)
		return NULL;
	t->fd = fd;
	t->by_fingerprint = id->by_fingerprint;
	str_copy(t->peer_name, sizeof(t->peer_name), conn->conf.peer_name);
	memcpy(t->peer_fingerprint, conn->conf.peer_fingerprint, sizeof(t->peer_fingerprint));
	t->records = records_method(conn->net);
	t->ssl = SSL_new(id->ctx);
	if (!t->records || !t->ssl || SSL_set_fd(t->ssl, fd) != 1 ||
	    SSL_set1_host(t->ssl, t->peer_name) != 1 ||
	    (!accepted && SSL_set_tlsext_host_name(t->ssl, t->peer_name) != 1)) {
		net_tls_free(t);
		return NULL;
	}
	SSL_set_app_data(t->ssl, t);
	BIO_set_callback_ex(SSL_get_rbio(t->ssl), hear);
	BIO_set_callback_arg(SSL_get_rbio(t->ssl), (char *)t);
	SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_WILDCARDS);
	if (accepted)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	return t;
}

void net_tls_free(struct net_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t->out);
	free(t);
}

/* ---- handshake ---- */

/* It shall be able to tell its user that this is TLS here. */
static void tell_plain_peer(const struct net_tls *t)
{
	static const uint8_t alert[] = { SSL3_RT_ALERT, 3, 3, 0, 2, SSL3_AL_FATAL,
					 SSL3_AD_UNEXPECTED_MESSAGE };

	(void)!send(t->fd, alert, sizeof(alert), MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum net_tls_step net_tls_handshake(struct net_tls *t, char why[ERR_TEXT_MAX])
{
	int rc, error;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(t->ssl);
	error = errno;
	if (t->heard && !t->heard_tls) {
		tell_plain_peer(t);
		str_copy(why, ERR_TEXT_MAX, "the peer speaks without TLS; tls must be set on both "
			 "nodes, or on none");
		return NET_TLS_FAILED;
	}
	if (rc != 1) {
		rc = SSL_get_error(t->ssl, rc);
		if (rc == SSL_ERROR_WANT_READ)
			return NET_TLS_WANTS_READ;
		if (rc == SSL_ERROR_WANT_WRITE)
			return NET_TLS_WANTS_WRITE;
		explain(t, rc, error, why, ERR_TEXT_MAX);
		return NET_TLS_FAILED;
	}
	if (!take_records(t)) {
		str_copy(why, ERR_TEXT_MAX, "no memory");
		return NET_TLS_FAILED;
	}
	t->read_more = true;
	return NET_TLS_DONE;
}

bool net_tls_done(const struct net_tls *t)
{
	return SSL_is_init_finished(t->ssl);
}

void net_tls_info(const struct net_tls *t, struct net_tls_info *info)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	struct tm tm;

	*info = (struct net_tls_info){ .on = true, .kernel = t->kernel_tx };
	str_copy(info->cipher, sizeof(info->cipher), SSL_get_cipher_name(t->ssl));
	if (cert && ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		info->peer_expires_s = timegm(&tm);
}

/* ---- the layer ---- */

/* One SSL_read() that gave nothing. */
static ssize_t read_end(struct net_tls *t)
{
	int error = errno;
	int rc = SSL_get_error(t->ssl, 0);

	t->read_more = false;
	if (rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	if (rc == SSL_ERROR_ZERO_RETURN)
		return 0;
	explain(t, rc, error, t->problem, sizeof(t->problem));
	/* Its alert may have been made for the peer. */
	if (!t->kernel_tx)
		(void)send_records(t);
	t->read_more = true;
	return -EPROTO;
}

static ssize_t tls_read(struct net_stream *s, const struct iovec *iov, int iov_count)
{
	struct net_tls *t = s->tls;
	ssize_t total = 0, rc;

	if (t->problem[0])
		return -EPROTO;
	t->drained = false;
	for (int i = 0; i < iov_count; i++) {
		size_t got = 0, n;

		while (got < iov[i].iov_len) {
			ERR_clear_error();
			errno = 0;
			if (SSL_read_ex(t->ssl, (uint8_t *)iov[i].iov_base + got,
					iov[i].iov_len - got, &n) != 1) {
				rc = read_end(t);
				return total > 0 ? total : rc;
			}
			got += n;
			total += (ssize_t)n;
		}
	}
	t->read_more = true;
	return total;
}

/* Where the next record begins in what is to be written. */
struct cursor {
	const struct iovec *iov;
	int left;
	size_t done;                /* of iov[0] */
};

/* The next record's bytes: where they are, or brought together. 0: there are none. */
static uint32_t next_record(struct net_tls *t, struct cursor *c, const uint8_t **bytes)
{
	uint32_t count = 0;

	while (c->left > 0 && count < RECORD_BYTES) {
		const uint8_t *base = (const uint8_t *)c->iov->iov_base + c->done;
		size_t rest = c->iov->iov_len - c->done, n = RECORD_BYTES - count;

		if (n > rest)
			n = rest;
		if (count == 0 && (n == RECORD_BYTES || c->left == 1)) {
			*bytes = base;
		} else {
			memcpy(t->gather + count, base, n);
			*bytes = t->gather;
		}
		count += (uint32_t)n;
		c->done += n;
		if (n == rest)
			*c = (struct cursor){ .iov = c->iov + 1, .left = c->left - 1 };
	}
	return count;
}

static ssize_t tls_write(struct net_stream *s, const struct iovec *iov, int iov_count)
{
	struct net_tls *t = s->tls;
	struct cursor c = { .iov = iov, .left = iov_count };
	const uint8_t *bytes = NULL;
	ssize_t total = 0;
	uint32_t count;
	size_t n;
	int rc;

	if (t->problem[0])
		return -EPROTO;
	if (t->kernel_tx)
		return net_layer_plain.write(s, iov, iov_count);
	do {
		rc = send_records(t);
		if (rc)
			return rc == -EAGAIN && total > 0 ? total : rc;
		while (OUT_BYTES - t->out_end >= RECORD_BYTES + RECORD_OVERHEAD_BYTES &&
		       (count = next_record(t, &c, &bytes)) > 0) {
			ERR_clear_error();
			if (SSL_write_ex(t->ssl, bytes, count, &n) != 1 || n != count) {
				explain(t, SSL_ERROR_SSL, 0, t->problem, sizeof(t->problem));
				return -EPROTO;
			}
			total += (ssize_t)n;
		}
	} while (t->out_end > 0);
	return total;
}

static bool tls_read_ready(const struct net_stream *s)
{
	return s->tls->read_more;
}

static bool tls_write_held(const struct net_stream *s)
{
	return s->tls->out_start < s->tls->out_end;
}

static void tls_end(struct net_stream *s)
{
	struct net_tls *t = s->tls;

	ERR_clear_error();
	if (!t->problem[0] && SSL_shutdown(t->ssl) >= 0 && !t->kernel_tx)
		(void)send_records(t);
	shutdown(s->fd, SHUT_WR);
}

static const char *tls_error_text(const struct net_stream *s, int error)
{
	return s->tls->problem[0] ? s->tls->problem : strerror(-error);
}

const struct net_layer net_layer_tls = {
	.read = tls_read,
	.write = tls_write,
	.read_ready = tls_read_ready,
	.write_held = tls_write_held,
	.end = tls_end,
	.error_text = tls_error_text,
};
