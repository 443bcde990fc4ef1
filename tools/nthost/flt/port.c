/* Communication ports. */
#include "port.h"

void flt_ports_close(PFLT_FILTER filter)
{
    UNREFERENCED_PARAMETER(filter);
}
