#include "load.h"

#include <nthost/loader.h>
#include <nthost/registry.h>
#include <nthost/sched.h>

#define INSTANCES REGISTRY_SERVICES "\\" REPL_SERVICE "\\Parameters\\Instances"

void repl_install(void)
{
    nt_enter();
    registry_set_string(INSTANCES, "DefaultInstance", REG_SZ, "ntswift REPL");
    registry_set_string(INSTANCES "\\ntswift REPL", "Altitude", REG_SZ, "305000");
    registry_set_dword(INSTANCES "\\ntswift REPL", "Flags", 0);
    nt_leave();
}

PDRIVER_OBJECT repl_load(void)
{
    PDRIVER_OBJECT driver = NULL;
    char error[512] = "";

    repl_install();
    return is_status(driver_load(REPL_SERVICE, driver_path("repl"), &driver, error, sizeof error),
                     STATUS_SUCCESS, "%s", error)
               ? driver
               : NULL;
}
