/* Names put together. */
#pragma once

#include "repl.h"

/* Folder, '\' (but after one) and Last, in paged pool. Last empty: Folder alone. RplJoinFree. */
NTSTATUS RplJoin(_In_ const UNICODE_STRING *Folder, _In_ const UNICODE_STRING *Last,
                 _Out_ UNICODE_STRING *Name);
VOID RplJoinFree(_Inout_ UNICODE_STRING *Name);
