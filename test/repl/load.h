/* The REPL driver in a test: loaded without setup, with the instance that its INF defines. */
#pragma once
#include "tap.h"
#include <ntddk.h>

#define REPL_SERVICE "NtsRepl"

/* What setup writes into the registry. In no driver context. */
void repl_install(void);

/* Both. PASSIVE_LEVEL, in no driver context. NULL, and a failed assertion, if it cannot be loaded.
 */
PDRIVER_OBJECT repl_load(void);
