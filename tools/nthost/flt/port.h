/* Communication ports; see port.c. */
#pragma once
#include "flt.h"

/* A filter that unregisters: what it left open is a violation. */
void flt_ports_close(PFLT_FILTER filter);
