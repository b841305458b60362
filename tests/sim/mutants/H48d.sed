# src/core/quorum.c: nodes that this one was never together with are taken for ones without quorum
# program tests/property/prop_quorum
s|else if (in->had && !peer->member)|else if (!peer->member)|
