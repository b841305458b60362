/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Socket addresses: comparison, text, and the port that carries a node id. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NET_ADDR_TEXT_BYTES 64

/* "10.0.0.1:7000", "[2001:db8::1]:7000". Never fails. */
void net_addr_format(const struct sockaddr_storage *ss, char out[NET_ADDR_TEXT_BYTES]);
/*
 * Parses the same forms, optionally with "ipv4:" or "ipv6:" in front. 0 or -EINVAL (syntax, port
 * 0).
 */
int net_addr_parse(const char *text, struct sockaddr_storage *ss, socklen_t *len);
/* Same host address, whatever the ports; an IPv4 address mapped into IPv6 equals the plain one. */
bool net_addr_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
/* Same host address and port. */
bool net_addr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
uint16_t net_addr_port(const struct sockaddr_storage *ss);
void net_addr_set_port(struct sockaddr_storage *ss, uint16_t port);
/* Order of configured addresses that decides who opens
 * the data stream (wire-protocol 1.2 step 1). */
int net_addr_compare(const struct sockaddr_storage *a, socklen_t a_len,
		     const struct sockaddr_storage *b, socklen_t b_len);

#endif
