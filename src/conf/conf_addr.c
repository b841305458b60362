/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the parsing of addresses with ports. */
#include "conf/conf_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

static int parse_port(const char *text, const char *whole, uint16_t *port, struct err *err)
{
	uint64_t v = 0;

	if (str_to_u64(text, &v) || v < 1 || v > 65535)
		return err_set(err, -EINVAL, "address \"%.80s\": port out of range [1..65535]",
			       whole);
	*port = (uint16_t)v;
	return 0;
}

static int parse_v4(const char *host, struct conf_addr *out, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1 || sin.sin_addr.s_addr == INADDR_ANY ||
	    IN_MULTICAST(ntohl(sin.sin_addr.s_addr)))
		return -EINVAL;
	memcpy(&out->ss, &sin, sizeof(sin));
	out->len = sizeof(sin);
	(void)str_format(out->text, sizeof(out->text), "%s:%u", host, port);
	return 0;
}

static int parse_v6(char *host, struct conf_addr *out, uint16_t port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	char normal[INET6_ADDRSTRLEN];
	char *zone = strchr(host, '%');

	if (zone) {
		*zone++ = '\0';
		sin6.sin6_scope_id = if_nametoindex(zone);
		if (!sin6.sin6_scope_id)
			return -EINVAL;
	}
	if (inet_pton(AF_INET6, host, &sin6.sin6_addr) != 1 ||
	    IN6_IS_ADDR_UNSPECIFIED(&sin6.sin6_addr) || IN6_IS_ADDR_MULTICAST(&sin6.sin6_addr))
		return -EINVAL;
	memcpy(&out->ss, &sin6, sizeof(sin6));
	out->len = sizeof(sin6);
	/* One spelling per address: doubled addresses are found by comparing the text. */
	(void)inet_ntop(AF_INET6, &sin6.sin6_addr, normal, sizeof(normal));
	(void)str_format(out->text, sizeof(out->text), "[%s%s%.15s]:%u", normal, zone ? "%" : "",
			 zone ? zone : "", port);
	return 0;
}

int conf_addr_parse(const char *text, struct conf_addr *out, struct err *err)
{
	bool v4_only = !strncmp(text, "ipv4:", 5), v6_only = !strncmp(text, "ipv6:", 5);
	const char *rest = v4_only || v6_only ? text + 5 : text;
	const char *colon = strrchr(rest, ':');
	char host[80];
	uint16_t port = 0;
	size_t n;

	memset(out, 0, sizeof(*out));
	while ((v4_only || v6_only) && *rest == ' ')
		rest++;
	if (!colon || colon <= rest || (size_t)(colon - rest) >= sizeof(host))
		return err_set(err, -EINVAL,
			       "address \"%.80s\": must be ADDRESS:PORT, such as "
			       "\"10.0.0.1:7000\" or \"[2001:db8::1]:7000\"",
			       text);
	if (parse_port(colon + 1, text, &port, err))
		return -EINVAL;
	n = (size_t)(colon - rest);
	memcpy(host, rest, n);
	host[n] = '\0';
	if (host[0] == '[' && host[n - 1] == ']' && !v4_only) {
		host[n - 1] = '\0';
		if (!parse_v6(host + 1, out, port))
			return 0;
	} else if (!v6_only && !parse_v4(host, out, port)) {
		return 0;
	}
	return err_set(err, -EINVAL,
		       "address \"%.80s\": not the numeric address of one IPv4 or IPv6 host", text);
}
