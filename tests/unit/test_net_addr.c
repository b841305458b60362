/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses: text forms, equality of hosts, the order that decides who opens the data stream. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "net/net_addr.h"

static struct sockaddr_storage parsed(const char *text)
{
	struct sockaddr_storage ss;
	socklen_t len;

	cr_assert_eq(net_addr_parse(text, &ss, &len), 0, "%s", text);
	return ss;
}

Test(net_addr, round_trip)
{
	static const char *const texts[] = {
		"127.0.0.1:1", "10.1.2.3:65535", "[::1]:7000", "[2001:db8::7]:7789",
	};
	char text[NET_ADDR_TEXT_BYTES];

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sockaddr_storage ss = parsed(texts[i]);

		net_addr_format(&ss, text);
		cr_assert_str_eq(text, texts[i]);
	}
	net_addr_format(&(struct sockaddr_storage){ .ss_family = AF_INET }, text);
	cr_assert_str_eq(text, "0.0.0.0:0");
}

Test(net_addr, prefixes)
{
	struct sockaddr_storage a = parsed("ipv4:10.0.0.1:7000"), b = parsed("10.0.0.1:7000");
	struct sockaddr_storage c = parsed("ipv6:[::2]:7000");

	cr_assert(net_addr_equal(&a, &b));
	cr_assert_eq(c.ss_family, AF_INET6);
}

Test(net_addr, refused)
{
	static const char *const texts[] = {
		"", ":", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:7x",
		"10.0.0.1:-1", "10.0.0:7000", "10.0.0.256:7000", "host:7000", ":7000", "::1:7000",
		"[::1]", "[::1]7000", "[::1:7000", "[]:7000", "[10.0.0.1]:7000",
		"ipv6:10.0.0.1:7000", "ipv4:[::1]:7000", "[1:2:3:4:5:6:7:8:9]:7000",
		"[11111111111111111111111111111111111111111111111111111111111]:7000",
	};
	struct sockaddr_storage ss;
	socklen_t len;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert_eq(net_addr_parse(texts[i], &ss, &len), -EINVAL, "%s", texts[i]);
}

Test(net_addr, hosts)
{
	struct sockaddr_storage a = parsed("10.0.0.1:7000"), b = parsed("10.0.0.1:7001");
	struct sockaddr_storage mapped = parsed("[::ffff:10.0.0.1]:7000"),
				c = parsed("10.0.0.2:7000");
	struct sockaddr_storage v6 = parsed("[::1]:7000");

	cr_assert(net_addr_same_host(&a, &b));
	cr_assert_not(net_addr_equal(&a, &b));
	cr_assert(net_addr_same_host(&mapped, &b));
	cr_assert(net_addr_equal(&mapped, &a));
	cr_assert_not(net_addr_same_host(&a, &c));
	cr_assert_not(net_addr_same_host(&a, &v6));
	net_addr_set_port(&b, 7000);
	cr_assert(net_addr_equal(&a, &b));
	cr_assert_eq(net_addr_port(&v6), 7000);
}

static int compare(const char *a, const char *b)
{
	struct sockaddr_storage sa, sb;
	socklen_t la, lb;

	cr_assert_eq(net_addr_parse(a, &sa, &la), 0);
	cr_assert_eq(net_addr_parse(b, &sb, &lb), 0);
	return net_addr_compare(&sa, la, &sb, lb);
}

/* The port decides before the address, and byte by
 * byte: as the kernel's memcmp over its sockaddr. */
Test(net_addr, order)
{
	cr_assert_gt(compare("10.0.0.1:7001", "10.0.0.2:7000"), 0);
	cr_assert_lt(compare("10.0.0.1:7000", "10.0.0.2:7000"), 0);
	cr_assert_gt(compare("10.0.0.1:256", "10.0.0.1:255"), 0);
	cr_assert_lt(compare("9.255.255.255:7000", "10.0.0.0:7000"), 0);
	cr_assert_eq(compare("10.0.0.1:7000", "10.0.0.1:7000"), 0);
	cr_assert_gt(compare("[::2]:7000", "[::1]:7000"), 0);
}
