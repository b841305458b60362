# src/core/core_rx.c: a packet for a volume that does not exist keeps its buffer
/if (!volume_fits/,/}/s/core_payload_put(core, &payload);//
