/*
 * The function table. A slot is never NULL: what the framework lacks is a function that says so.
 */
#include "api.h"

static NTSTATUS Lacking(PCSTR Function)
{
    FxComplaint(FxRuleUnimplemented, "%s is not implemented in this framework", Function);
    DbgPrint("%s is not implemented in this framework\n", Function);
    return STATUS_NOT_IMPLEMENTED;
}

#define FX_HAVE(Name, Type)
#define FX_LACK(Name)                                                                              \
    static NTSTATUS NTAPI Lacking##Name(VOID)                                                      \
    {                                                                                              \
        return Lacking(#Name);                                                                     \
    }
#include "functions.h"
#undef FX_HAVE
#undef FX_LACK

const WDFFUNC FxFunctionTable[WdfFunctionTableNumEntries] = {
#define FX_HAVE(Name, Type) [Name##TableIndex] = (WDFFUNC)Fx##Name,
#define FX_LACK(Name)       [Name##TableIndex] = (WDFFUNC)Lacking##Name,
#include "functions.h"
};
