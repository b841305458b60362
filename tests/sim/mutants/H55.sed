# src/core/bitmap_xfer.c: a bitmap that comes in during a transaction begins no resync
# scenario H5-promote-at-once
/^static void complete/,/^}/s/^\txfer_reset(pd);/\tif (core->twopc.phase)\n\t\treturn;\n&/
