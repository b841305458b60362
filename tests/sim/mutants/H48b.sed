# src/core/quorum.c: a tie-breaker gives quorum to a node that had none
# program tests/property/prop_quorum
s|return in->had && voters > 0|return voters > 0|
