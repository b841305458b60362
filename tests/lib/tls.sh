# SPDX-License-Identifier: GPL-2.0-or-later
# Certificates by the openssl command, as others would make them. Sourced.
#
#   tls_ca STEM                        STEM.pem and STEM.key: an authority
#   tls_cert CA-STEM STEM NAME [DAYS]  a certificate for the host NAME; negative DAYS: it has expired

tls_key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null ||
	openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
tls_ca() {
	mkdir -p "$(dirname "$1")"
	tls_key "$1" && openssl req -x509 -key "$1.key" -out "$1.pem" -subj "/CN=test authority" -days 30 2>/dev/null
}
tls_cert() {
	tls_key "$2" && openssl req -new -key "$2.key" -subj "/CN=$3" -addext "subjectAltName=DNS:$3" 2>/dev/null |
		openssl x509 -req -CA "$1.pem" -CAkey "$1.key" -copy_extensions copyall -days "${4:-30}" -out "$2.pem" 2>/dev/null
	chmod 600 "$2.key"
}
