/*
 * A filter driver that breaks one rule of NDIS, or, loaded as its good twin, keeps it (see bad.h).
 * It passes everything through; a case replaces what it needs by defining a macro before including
 * this:
 *
 *     #define BAD_RECEIVE Receive
 *     #include "ndisbad.h"
 *     static VOID NTAPI Receive(...) { ... if (Bad) ... }
 */
#pragma once
#include <ntddk.h>
#include <ndis.h>

#define BAD_TAG 'daBn'

static BOOLEAN Bad;
static NDIS_HANDLE BadDriverHandle;

typedef struct _BAD_MODULE {
    NDIS_HANDLE Handle;
    NDIS_HANDLE Pool; /* lists with one buffer */
} BAD_MODULE, *PBAD_MODULE;

static BAD_MODULE BadModule;
static LONG BadOut; /* frames of its own that are being sent, and one while it is not paused */

/* A frame of its own: a broadcast of `Bytes` bytes of an unknown type. */
__attribute__((unused)) static PNET_BUFFER_LIST BadMakeFrame(ULONG Bytes)
{
    PUCHAR data = ExAllocatePool2(POOL_FLAG_NON_PAGED, Bytes, BAD_TAG);
    PMDL mdl = NdisAllocateMdl(BadModule.Handle, data, Bytes);
    PNET_BUFFER_LIST nbl =
        NdisAllocateNetBufferAndNetBufferList(BadModule.Pool, 0, 0, mdl, 0, Bytes);

    RtlFillMemory(data, 6, 0xff);
    RtlFillMemory(data + 6, 6, 0x02);
    data[12] = 0x88;
    data[13] = 0xb5;
    nbl->SourceHandle = BadModule.Handle;
    return nbl;
}

__attribute__((unused)) static VOID BadFreeFrame(PNET_BUFFER_LIST NetBufferList)
{
    PMDL mdl = NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(NetBufferList));
    PVOID data = MmGetMdlVirtualAddress(mdl);

    NdisFreeMdl(mdl);
    ExFreePoolWithTag(data, BAD_TAG);
    NdisFreeNetBufferList(NetBufferList);
}

__attribute__((unused)) static VOID BadSendFrame(PNET_BUFFER_LIST NetBufferList)
{
    InterlockedIncrement(&BadOut);
    NdisFSendNetBufferLists(BadModule.Handle, NetBufferList, NDIS_DEFAULT_PORT_NUMBER, 0);
}

/* Takes its own out of a chain, counts and frees them; what is left may be NULL. */
__attribute__((unused)) static PNET_BUFFER_LIST BadTakeOwn(PNET_BUFFER_LIST NetBufferLists,
                                                           PULONG Own)
{
    PNET_BUFFER_LIST *link = &NetBufferLists;

    while (*link != NULL) {
        PNET_BUFFER_LIST nbl = *link;

        if (nbl->SourceHandle != BadModule.Handle) {
            link = &NET_BUFFER_LIST_NEXT_NBL(nbl);
            continue;
        }
        *link = NET_BUFFER_LIST_NEXT_NBL(nbl);
        BadFreeFrame(nbl);
        ++*Own;
    }
    return NetBufferLists;
}

/* Frames of its own have come back; the last one ends a pause. */
__attribute__((unused)) static VOID BadSent(ULONG Count)
{
    if (Count > 0 && InterlockedExchangeAdd(&BadOut, -(LONG)Count) == (LONG)Count) {
        NdisFPauseComplete(BadModule.Handle);
    }
}

#define BAD_DECLARE(role, name) __attribute__((unused)) static role name

BAD_DECLARE(FILTER_SEND_NET_BUFFER_LISTS, BadSend);
static VOID BadSend(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Flags)
{
    UNREFERENCED_PARAMETER(Context);
    NdisFSendNetBufferLists(BadModule.Handle, Lists, Port, Flags);
}

BAD_DECLARE(FILTER_SEND_NET_BUFFER_LISTS_COMPLETE, BadSendComplete);
static VOID BadSendComplete(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, ULONG Flags)
{
    ULONG own = 0;

    UNREFERENCED_PARAMETER(Context);
    Lists = BadTakeOwn(Lists, &own);
    if (Lists != NULL) {
        NdisFSendNetBufferListsComplete(BadModule.Handle, Lists, Flags);
    }
    BadSent(own);
}

BAD_DECLARE(FILTER_RECEIVE_NET_BUFFER_LISTS, BadReceive);
static VOID BadReceive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port,
                       ULONG Count, ULONG Flags)
{
    UNREFERENCED_PARAMETER(Context);
    NdisFIndicateReceiveNetBufferLists(BadModule.Handle, Lists, Port, Count, Flags);
}

BAD_DECLARE(FILTER_RETURN_NET_BUFFER_LISTS, BadReturn);
static VOID BadReturn(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, ULONG Flags)
{
    ULONG own = 0;

    UNREFERENCED_PARAMETER(Context);
    Lists = BadTakeOwn(Lists, &own);
    if (Lists != NULL) {
        NdisFReturnNetBufferLists(BadModule.Handle, Lists, Flags);
    }
}

BAD_DECLARE(FILTER_OID_REQUEST, BadOid);
static NDIS_STATUS BadOid(NDIS_HANDLE Context, PNDIS_OID_REQUEST Request)
{
    PNDIS_OID_REQUEST clone;
    NDIS_STATUS status = NdisAllocateCloneOidRequest(BadModule.Handle, Request, BAD_TAG, &clone);

    UNREFERENCED_PARAMETER(Context);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    *(PNDIS_OID_REQUEST *)clone->SourceReserved = Request;
    status = NdisFOidRequest(BadModule.Handle, clone);
    if (status != NDIS_STATUS_PENDING) {
        Request->DATA = clone->DATA;
        NdisFreeCloneOidRequest(BadModule.Handle, clone);
    }
    return status;
}

BAD_DECLARE(FILTER_OID_REQUEST_COMPLETE, BadOidComplete);
static VOID BadOidComplete(NDIS_HANDLE Context, PNDIS_OID_REQUEST Request, NDIS_STATUS Status)
{
    PNDIS_OID_REQUEST original = *(PNDIS_OID_REQUEST *)Request->SourceReserved;

    UNREFERENCED_PARAMETER(Context);
    original->DATA = Request->DATA;
    NdisFreeCloneOidRequest(BadModule.Handle, Request);
    NdisFOidRequestComplete(BadModule.Handle, original, Status);
}

BAD_DECLARE(FILTER_STATUS, BadStatus);
static VOID BadStatus(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Status)
{
    UNREFERENCED_PARAMETER(Context);
    NdisFIndicateStatus(BadModule.Handle, Status);
}

BAD_DECLARE(FILTER_RESTART, BadRestart);
static NDIS_STATUS BadRestart(NDIS_HANDLE Context, PNDIS_FILTER_RESTART_PARAMETERS Parameters)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Parameters);
    BadOut = 1;
    return NDIS_STATUS_SUCCESS;
}

BAD_DECLARE(FILTER_PAUSE, BadPause);
static NDIS_STATUS BadPause(NDIS_HANDLE Context, PNDIS_FILTER_PAUSE_PARAMETERS Parameters)
{
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Parameters);
    return InterlockedDecrement(&BadOut) == 0 ? NDIS_STATUS_SUCCESS : NDIS_STATUS_PENDING;
}

__attribute__((unused)) static NDIS_STATUS BadSetAttributes(VOID)
{
    NDIS_FILTER_ATTRIBUTES attributes = {0};

    attributes.Header.Type = NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES;
    attributes.Header.Revision = NDIS_FILTER_ATTRIBUTES_REVISION_1;
    attributes.Header.Size = NDIS_SIZEOF_FILTER_ATTRIBUTES_REVISION_1;
    return NdisFSetAttributes(BadModule.Handle, &BadModule, &attributes);
}

__attribute__((unused)) static NDIS_HANDLE BadAllocatePool(VOID)
{
    NET_BUFFER_LIST_POOL_PARAMETERS pool = {0};

    pool.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    pool.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.fAllocateNetBuffer = TRUE;
    pool.PoolTag = BAD_TAG;
    return NdisAllocateNetBufferListPool(BadModule.Handle, &pool);
}

#ifndef BAD_ATTACHED
#define BAD_ATTACHED() BadSetAttributes()
#endif
static FILTER_ATTACH BadAttach;
static NDIS_STATUS BadAttach(NDIS_HANDLE Handle, NDIS_HANDLE Context,
                             PNDIS_FILTER_ATTACH_PARAMETERS Parameters)
{
    NDIS_STATUS status;

    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Parameters);
    BadModule.Handle = Handle;
    BadModule.Pool = BadAllocatePool();
    status = BAD_ATTACHED();
    if (status != NDIS_STATUS_SUCCESS) {
        NdisFreeNetBufferListPool(BadModule.Pool);
    }
    return status;
}

#ifndef BAD_DETACHING
#define BAD_DETACHING() ((void)0)
#endif
static FILTER_DETACH BadDetach;
static VOID BadDetach(NDIS_HANDLE Context)
{
    UNREFERENCED_PARAMETER(Context);
    BAD_DETACHING();
    NdisFreeNetBufferListPool(BadModule.Pool);
}

#ifndef BAD_SEND
#define BAD_SEND BadSend
#endif
#ifndef BAD_SEND_COMPLETE
#define BAD_SEND_COMPLETE BadSendComplete
#endif
#ifndef BAD_RECEIVE
#define BAD_RECEIVE BadReceive
#endif
#ifndef BAD_RETURN
#define BAD_RETURN BadReturn
#endif
#ifndef BAD_OID
#define BAD_OID BadOid
#endif
#ifndef BAD_OID_COMPLETE
#define BAD_OID_COMPLETE BadOidComplete
#endif
#ifndef BAD_STATUS
#define BAD_STATUS BadStatus
#endif
#ifndef BAD_RESTART
#define BAD_RESTART BadRestart
#endif
#ifndef BAD_PAUSE
#define BAD_PAUSE BadPause
#endif
static FILTER_SEND_NET_BUFFER_LISTS BAD_SEND;
static FILTER_SEND_NET_BUFFER_LISTS_COMPLETE BAD_SEND_COMPLETE;
static FILTER_RECEIVE_NET_BUFFER_LISTS BAD_RECEIVE;
static FILTER_RETURN_NET_BUFFER_LISTS BAD_RETURN;
static FILTER_OID_REQUEST BAD_OID;
static FILTER_OID_REQUEST_COMPLETE BAD_OID_COMPLETE;
static FILTER_STATUS BAD_STATUS;
static FILTER_RESTART BAD_RESTART;
static FILTER_PAUSE BAD_PAUSE;

#ifndef BAD_UNLOADING
#define BAD_UNLOADING() NdisFDeregisterFilterDriver(BadDriverHandle)
#endif
static DRIVER_UNLOAD BadUnload;
static VOID BadUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    BAD_UNLOADING();
}

DRIVER_INITIALIZE DriverEntry;
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const NDIS_STRING name = RTL_CONSTANT_STRING(L"ndisbad");
    static const NDIS_STRING unique =
        RTL_CONSTANT_STRING(L"{5a6f3d4e-0b1c-4d2e-8f90-a1b2c3d4e5f6}");
    NDIS_FILTER_DRIVER_CHARACTERISTICS c = {0};

    /* "...-bad" or "...-good" */
    Bad = RegistryPath->Buffer[RegistryPath->Length / sizeof(WCHAR) - 3] == L'b';
    DriverObject->DriverUnload = BadUnload;
    c.Header.Type = NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS;
    c.Header.Revision = NDIS_FILTER_CHARACTERISTICS_REVISION_2;
    c.Header.Size = NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_2;
    c.MajorNdisVersion = NDIS_FILTER_MAJOR_VERSION;
    c.MinorNdisVersion = NDIS_FILTER_MINOR_VERSION;
    c.FriendlyName = name;
    c.UniqueName = unique;
    c.ServiceName = name;
    c.AttachHandler = BadAttach;
    c.DetachHandler = BadDetach;
    c.RestartHandler = BAD_RESTART;
    c.PauseHandler = BAD_PAUSE;
    c.StatusHandler = BAD_STATUS;
    c.SendNetBufferListsHandler = BAD_SEND;
    c.SendNetBufferListsCompleteHandler = BAD_SEND_COMPLETE;
    c.ReceiveNetBufferListsHandler = BAD_RECEIVE;
    c.ReturnNetBufferListsHandler = BAD_RETURN;
    c.OidRequestHandler = BAD_OID;
    c.OidRequestCompleteHandler = BAD_OID_COMPLETE;
    return NdisFRegisterFilterDriver(DriverObject, NULL, &c, &BadDriverHandle);
}
