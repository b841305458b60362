/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small certificate authority beside the configuration file, so that an encrypted cluster needs
 * nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "commands.h"

#define CA_DAYS 3650
#define NODE_DAYS 730
#define BACKDATE_S 3600 /* a node whose clock is behind shall take a new certificate */
#define SERIAL_BYTES 16

/* ---- files ---- */

static int tls_dir(const struct cli *cli, char dir[CONF_PATH_MAX])
{
	char file[CONF_PATH_MAX];
	const char *slash;

	conf_default_file(file);
	if (cli->conf_file && !str_copy(file, sizeof(file), cli->conf_file))
		return cli_fail(EXIT_ERROR, "tls: %s: path too long", cli->conf_file);
	slash = strrchr(file, '/');
	if (!str_format(dir, CONF_PATH_MAX, "%.*stls", slash ? (int)(slash - file + 1) : 0, file))
		return cli_fail(EXIT_ERROR, "tls: %s: path too long", file);
	return EXIT_OK;
}

/* DIR/NAME.ENDING is there in full, or as it was. Exactly one of key and cert is given. */
static int put_pem(const char *dir, const char *name, const char *ending, EVP_PKEY *key, X509 *cert)
{
	char path[2 * CONF_PATH_MAX], fresh[sizeof(path) + 8];
	FILE *out = NULL;
	int fd, good;

	(void)str_format(path, sizeof(path), "%s/%s.%s", dir, name, ending);
	(void)str_format(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, key ? 0600 : 0644);
	/* What a run that was interrupted left behind may have other rights. */
	if (fd >= 0 && !fchmod(fd, key ? 0600 : 0644))
		out = fdopen(fd, "w");
	if (!out) {
		good = cli_fail(EXIT_ERROR, "tls: create %s: %s", fresh, strerror(errno));
		if (fd >= 0)
			close(fd);
		return good;
	}
	good = key ? PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) :
		     PEM_write_X509(out, cert);
	good = good && !fflush(out) && !fsync(fileno(out));
	if (fclose(out) || !good || rename(fresh, path)) {
		(void)unlink(fresh);
		return cli_fail(EXIT_ERROR, "tls: write %s: %s", path, strerror(errno));
	}
	return EXIT_OK;
}

static FILE *open_pem(const char *dir, const char *file)
{
	char path[2 * CONF_PATH_MAX];
	FILE *in;

	(void)str_format(path, sizeof(path), "%s/%s", dir, file);
	in = fopen(path, "re");
	if (!in)
		(void)cli_fail(EXIT_ERROR, "tls: read %s: %s%s", path, strerror(errno),
			       errno == ENOENT ? "; 'drbdctl tls init' comes first" : "");
	return in;
}

/* ---- certificates ---- */

static bool extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool good;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	good = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return good;
}

static bool fill(X509 *cert, const char *name, int days, EVP_PKEY *key)
{
	uint8_t serial[SERIAL_BYTES];
	BIGNUM *number = NULL;
	bool good = RAND_bytes(serial, sizeof(serial)) == 1;

	serial[0] &= 0x7f; /* positive */
	number = good ? BN_bin2bn(serial, sizeof(serial), NULL) : NULL;
	good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) &&
	       X509_set_version(cert, X509_VERSION_3) == 1 &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE_S) &&
	       X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) &&
	       X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
					  (const unsigned char *)name, -1, -1, 0) == 1 &&
	       X509_set_pubkey(cert, key) == 1;
	BN_free(number);
	return good;
}

static X509 *make_ca(EVP_PKEY *key)
{
	X509 *cert = X509_new();

	if (cert && fill(cert, "drbdfs CA", CA_DAYS, key) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 &&
	    extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    extend(cert, cert, NID_subject_key_identifier, "hash") &&
	    X509_sign(cert, key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

static X509 *make_node(const char *name, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
	X509 *cert = X509_new();
	char alt[NAME_MAX_BYTES + 8];

	(void)str_format(alt, sizeof(alt), "DNS:%s", name);
	/* The subject is for people, and 64 bytes at most: peers look at the alternative name. */
	if (cert && fill(cert, strlen(name) <= 64 ? name : "drbdfs node", NODE_DAYS, key) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1 &&
	    extend(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    extend(cert, ca, NID_key_usage, "critical,digitalSignature") &&
	    extend(cert, ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
	    extend(cert, ca, NID_subject_alt_name, alt) &&
	    extend(cert, ca, NID_subject_key_identifier, "hash") &&
	    extend(cert, ca, NID_authority_key_identifier, "keyid") &&
	    X509_sign(cert, ca_key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

/* ---- commands ---- */

static int init(const char *dir)
{
	char path[CONF_PATH_MAX + 8];
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	int rc = EXIT_ERROR;

	(void)str_format(path, sizeof(path), "%s/ca.key", dir);
	if (mkdir(dir, 0755) && errno != EEXIST)
		return cli_fail(EXIT_ERROR, "tls init: create %s: %s", dir, strerror(errno));
	if (!access(path, F_OK))
		return cli_fail(EXIT_ERROR, "tls init: %s is there already; with a new one, what "
				"it has signed would not be believed any more. To begin anew, "
				"remove it", path);
	key = EVP_EC_gen("P-256");
	cert = key ? make_ca(key) : NULL;
	if (!cert)
		rc = cli_fail(EXIT_ERROR, "tls init: %s",
			      ERR_reason_error_string(ERR_peek_last_error()));
	else if (put_pem(dir, "ca", "pem", NULL, cert) == EXIT_OK)
		rc = put_pem(dir, "ca", "key", key, NULL);
	X509_free(cert);
	EVP_PKEY_free(key);
	if (rc == EXIT_OK)
		printf("%s/ca.pem    goes to every node\n"
		       "%s/ca.key    stays here, and secret; it signs for %d years\n", dir, dir,
		       CA_DAYS / 365);
	return rc;
}

static void print_issued(const char *dir, const char *name, X509 *cert)
{
	uint8_t *spki = NULL, digest[32] = { 0 };
	int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);
	char text[40] = "";
	struct tm tm;

	if (bytes > 0)
		(void)EVP_Digest(spki, (size_t)bytes, digest, NULL, EVP_sha256(), NULL);
	OPENSSL_free(spki);
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	printf("%s/%s.pem, %s.key    until %s; tls-fingerprint ", dir, name, name, text);
	for (unsigned i = 0; i < sizeof(digest); i++)
		printf("%02x", digest[i]);
	printf("\n");
}

static int issue(const char *dir, const char *name, X509 *ca, EVP_PKEY *ca_key)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key ? make_node(name, key, ca, ca_key) : NULL;
	int rc = EXIT_ERROR;

	if (!cert)
		rc = cli_fail(EXIT_ERROR, "tls issue %s: %s", name,
			      ERR_reason_error_string(ERR_peek_last_error()));
	else if (put_pem(dir, name, "key", key, NULL) == EXIT_OK)
		rc = put_pem(dir, name, "pem", NULL, cert);
	if (rc == EXIT_OK)
		print_issued(dir, name, cert);
	X509_free(cert);
	EVP_PKEY_free(key);
	return rc;
}

/* NAME, or every node of the configuration, once each. */
static int issue_all(const struct conf *conf, const char *wanted, const char *dir, X509 *ca,
		     EVP_PKEY *ca_key)
{
	bool all = str_eq(wanted, "all"), known = false;

	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_resource *res = &conf->resources[r];

		for (unsigned i = 0; i < res->node_count; i++) {
			const char *name = res->nodes[i].name;
			bool again = !all && known;

			for (unsigned q = 0; q < r && !again; q++)
				again = conf_node_find(&conf->resources[q], name) != NULL;
			if (again || (!all && !str_eq(name, wanted)))
				continue;
			known = true;
			if (issue(dir, name, ca, ca_key) != EXIT_OK)
				return EXIT_ERROR;
		}
	}
	if (!known)
		return cli_fail(EXIT_ERROR, "tls issue: no resource of %s has a node '%s'",
				conf->file, wanted);
	return EXIT_OK;
}

static int issue_from(struct cli *cli, const char *dir)
{
	FILE *key_in = open_pem(dir, "ca.key");
	FILE *ca_in = key_in ? open_pem(dir, "ca.pem") : NULL;
	EVP_PKEY *key = ca_in ? PEM_read_PrivateKey(key_in, NULL, NULL, NULL) : NULL;
	X509 *ca = ca_in ? PEM_read_X509(ca_in, NULL, NULL, NULL) : NULL;
	int rc = EXIT_ERROR;

	if (ca_in && (!key || !ca || X509_check_private_key(ca, key) != 1))
		rc = cli_fail(EXIT_ERROR, "tls issue: %s/ca.key and %s/ca.pem are no pair", dir,
			      dir);
	else if (ca_in)
		rc = issue_all(cli->conf, cli->operand, dir, ca, key);
	X509_free(ca);
	EVP_PKEY_free(key);
	if (key_in)
		(void)fclose(key_in);
	if (ca_in)
		(void)fclose(ca_in);
	return rc;
}

int cmd_tls(struct cli *cli)
{
	struct conf_messages messages = { 0 };
	char dir[CONF_PATH_MAX], file[CONF_PATH_MAX];
	bool is_init = str_eq(cli->resource, "init");
	int rc = tls_dir(cli, dir);

	if (is_init == (cli->operand[0] != '\0'))
		return cli_fail(EXIT_USAGE, is_init ? "tls init takes no argument" :
						      "tls issue: which NODE, or all?");
	if (rc != EXIT_OK)
		return rc;
	if (is_init)
		return init(dir);
	conf_default_file(file);
	/* Which node this is does not matter. */
	cli->conf = conf_load(cli->conf_file ? cli->conf_file : file, &messages);
	conf_messages_print(&messages, stderr);
	conf_messages_clear(&messages);
	return cli->conf ? issue_from(cli, dir) : EXIT_ERROR;
}
