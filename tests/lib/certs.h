/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates for tests: STEM.pem and STEM.key. */
#ifndef CERTS_H
#define CERTS_H

#include <stdint.h>

/* A certificate authority of that name. */
void certs_ca(const char *stem);
/* Signed by the authority at ca_stem for the host `name`; validity in seconds from now. */
void certs_node(const char *ca_stem, const char *stem, const char *name, long from_s, long until_s);
/* SHA-256 of the public key of STEM.pem. */
void certs_fingerprint(const char *stem, uint8_t out[32]);

#endif
