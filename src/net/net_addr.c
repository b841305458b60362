/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Socket addresses as text and in order. */
#include "net/net_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

static const struct sockaddr_in *v4(const struct sockaddr_storage *ss)
{
	return (const struct sockaddr_in *)ss;
}

static const struct sockaddr_in6 *v6(const struct sockaddr_storage *ss)
{
	return (const struct sockaddr_in6 *)ss;
}

uint16_t net_addr_port(const struct sockaddr_storage *ss)
{
	return ntohs(ss->ss_family == AF_INET6 ? v6(ss)->sin6_port : v4(ss)->sin_port);
}

void net_addr_set_port(struct sockaddr_storage *ss, uint16_t port)
{
	if (ss->ss_family == AF_INET6)
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)ss)->sin_port = htons(port);
}

void net_addr_format(const struct sockaddr_storage *ss, char out[NET_ADDR_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (ss->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6(ss)->sin6_addr, host, sizeof(host));
		snprintf(out, NET_ADDR_TEXT_BYTES, "[%s]:%u", host, net_addr_port(ss));
	} else {
		inet_ntop(AF_INET, &v4(ss)->sin_addr, host, sizeof(host));
		snprintf(out, NET_ADDR_TEXT_BYTES, "%s:%u", host, net_addr_port(ss));
	}
}

/* Takes the host part out of "host:port" or "[host]:port". */
static int split(const char *text, char host[INET6_ADDRSTRLEN], uint16_t *port)
{
	const char *host_end, *port_text;
	uint64_t value;
	size_t n;

	if (text[0] == '[') {
		text++;
		host_end = strchr(text, ']');
		if (!host_end || host_end[1] != ':')
			return -EINVAL;
		port_text = host_end + 2;
	} else {
		host_end = strchr(text, ':');
		if (!host_end || strchr(host_end + 1, ':'))
			return -EINVAL;
		port_text = host_end + 1;
	}
	n = (size_t)(host_end - text);
	if (n == 0 || n >= INET6_ADDRSTRLEN)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (str_to_u64(port_text, &value) || value == 0 || value > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)value;
	return 0;
}

int net_addr_parse(const char *text, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_storage parsed = { .ss_family = AF_UNSPEC };
	char host[INET6_ADDRSTRLEN];
	int family = AF_UNSPEC;
	uint16_t port;
	int rc;

	if (!strncmp(text, "ipv4:", 5)) {
		family = AF_INET;
		text += 5;
	} else if (!strncmp(text, "ipv6:", 5)) {
		family = AF_INET6;
		text += 5;
	}
	if (family == AF_UNSPEC)
		family = text[0] == '[' ? AF_INET6 : AF_INET;
	if ((family == AF_INET6) != (text[0] == '['))
		return -EINVAL;
	rc = split(text, host, &port);
	if (rc)
		return rc;
	parsed.ss_family = (sa_family_t)family;
	if (inet_pton(family, host,
		      family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&parsed)->sin6_addr :
					   (void *)&((struct sockaddr_in *)&parsed)->sin_addr) != 1)
		return -EINVAL;
	net_addr_set_port(&parsed, port);
	*ss = parsed;
	*len = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	return 0;
}

/* The IPv4 address, also of a mapped one; false when it has none. */
static bool as_v4(const struct sockaddr_storage *ss, struct in_addr *out)
{
	if (ss->ss_family == AF_INET) {
		*out = v4(ss)->sin_addr;
		return true;
	}
	if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6(ss)->sin6_addr)) {
		memcpy(out, &v6(ss)->sin6_addr.s6_addr[12], sizeof(*out));
		return true;
	}
	return false;
}

bool net_addr_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct in_addr a4, b4;

	if (as_v4(a, &a4) && as_v4(b, &b4))
		return a4.s_addr == b4.s_addr;
	if (a->ss_family != AF_INET6 || b->ss_family != AF_INET6)
		return false;
	return !memcmp(&v6(a)->sin6_addr, &v6(b)->sin6_addr, sizeof(struct in6_addr));
}

bool net_addr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return net_addr_same_host(a, b) && net_addr_port(a) == net_addr_port(b);
}

int net_addr_compare(const struct sockaddr_storage *a, socklen_t a_len,
		     const struct sockaddr_storage *b, socklen_t b_len)
{
	/* Family in host order, then port and address as they travel: as the kernel compares. */
	return memcmp(a, b, a_len < b_len ? a_len : b_len);
}
