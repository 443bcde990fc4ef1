/*
 * Where the delayed imports of "node.exe" come from: the process that loaded the addon, whatever
 * its executable is called. For MSVC cmake-js brings the like.
 */
#include <windows.h>
#include <delayimp.h>

static FARPROC WINAPI from_this_process(unsigned event, PDelayLoadInfo info)
{
    if (event != dliNotePreLoadLibrary || lstrcmpiA(info->szDll, "node.exe") != 0)
        return nullptr;
    return reinterpret_cast<FARPROC>(GetModuleHandleW(nullptr));
}

/* The linker's helper calls it. */
PfnDliHook __pfnDliNotifyHook2 = from_this_process;
