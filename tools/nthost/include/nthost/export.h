/*
 * What the host exports to drivers. NT_EXPORT(module, Name) puts {module, name, address} into a
 * linker section, from which the PE loader resolves imports: by module and name, and never from
 * libc, whose memcpy has the other calling convention.
 */
#pragma once

struct nt_export {
    const char *module; /* "ntoskrnl.exe", "ndis.sys", "wdfldr.sys", ... */
    const char *name;
    void *address;
};

#define NT_EXPORT_AS(mod, exported, symbol)                                                        \
    static const struct nt_export nt_export_##exported                                             \
        __attribute__((used, retain, section("nt_exports"), aligned(8))) = {mod, #exported,        \
                                                                            (void *)(symbol)}
#define NT_EXPORT(mod, symbol) NT_EXPORT_AS(mod, symbol, symbol)
#define NTOSKRNL               "ntoskrnl.exe"
#define NDIS                   "ndis.sys"
#define WDFLDR                 "wdfldr.sys"
#define FLTMGR                 "fltmgr.sys"

/* NULL if the host has no such export. Module names compare without case. */
void *nt_export_find(const char *module, const char *name);
/* The first export of that name in any module: what an ELF driver may refer to. */
const struct nt_export *nt_export_any(const char *name);
