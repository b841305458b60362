# src/core/bitmap_xfer.c: a bitmap packet may be shorter than what is read of it
s/ || pkt->var_bytes != want)/)/
