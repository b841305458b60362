# src/wire/wire_header.c: a payload may be of any length
s/ || rest > BIO_MAX_BYTES)/)/
