/*
 * A minifilter that breaks one rule, or, loaded under a service name that ends in "good", is its
 * twin. A case's source defines what it wants of
 *
 *     static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA, PCFLT_RELATED_OBJECTS, PVOID *)
 *     static FLT_POSTOP_CALLBACK_STATUS Post(PFLT_CALLBACK_DATA, PCFLT_RELATED_OBJECTS)
 *     static VOID Stop(VOID)   before it unregisters
 *
 * (NoPre, NoPost, NoStop do nothing) and says FLT_BAD(major, Pre, Post, Stop). The test creates,
 * writes and renames a file on drive C:.
 */
#pragma once
#include <fltKernel.h>

#define BAD_TAG 'daBt'

static BOOLEAN Bad;
static PFLT_FILTER Filter;

typedef struct BAD_CONTEXT {
    ULONG64 Number;
} BAD_CONTEXT, *PBAD_CONTEXT;

static inline FLT_PREOP_CALLBACK_STATUS NoPre(PFLT_CALLBACK_DATA Data,
                                              PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static inline FLT_POSTOP_CALLBACK_STATUS NoPost(PFLT_CALLBACK_DATA Data,
                                                PCFLT_RELATED_OBJECTS Objects)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Objects);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static inline VOID NoStop(VOID) {}

#define FLT_BAD(major, pre, post, stop)                                                            \
    static FLT_PREOP_CALLBACK_STATUS NTAPI BadPre(PFLT_CALLBACK_DATA Data,                         \
                                                  PCFLT_RELATED_OBJECTS Objects, PVOID *Context)   \
    {                                                                                              \
        *Context = NULL;                                                                           \
        return pre(Data, Objects, Context);                                                        \
    }                                                                                              \
    static FLT_POSTOP_CALLBACK_STATUS NTAPI BadPost(PFLT_CALLBACK_DATA Data,                       \
                                                    PCFLT_RELATED_OBJECTS Objects, PVOID Context,  \
                                                    FLT_POST_OPERATION_FLAGS Flags)                \
    {                                                                                              \
        UNREFERENCED_PARAMETER(Context);                                                           \
        UNREFERENCED_PARAMETER(Flags);                                                             \
        return post(Data, Objects);                                                                \
    }                                                                                              \
    static NTSTATUS NTAPI BadUnload(FLT_FILTER_UNLOAD_FLAGS Flags)                                 \
    {                                                                                              \
        UNREFERENCED_PARAMETER(Flags);                                                             \
        stop();                                                                                    \
        if (Filter != NULL)                                                                        \
            FltUnregisterFilter(Filter);                                                           \
        return STATUS_SUCCESS;                                                                     \
    }                                                                                              \
    static const FLT_OPERATION_REGISTRATION Operations[] = {                                       \
        {.MajorFunction = (major), .PreOperation = BadPre, .PostOperation = BadPost},              \
        {.MajorFunction = IRP_MJ_OPERATION_END}};                                                  \
    static const FLT_CONTEXT_REGISTRATION Contexts[] = {                                           \
        {.ContextType = FLT_STREAM_CONTEXT, .Size = sizeof(BAD_CONTEXT), .PoolTag = BAD_TAG},      \
        {.ContextType = FLT_CONTEXT_END}};                                                         \
    static const FLT_REGISTRATION Registration = {.Size = sizeof(FLT_REGISTRATION),                \
                                                  .Version = FLT_REGISTRATION_VERSION,             \
                                                  .ContextRegistration = Contexts,                 \
                                                  .OperationRegistration = Operations,             \
                                                  .FilterUnloadCallback = BadUnload};              \
    DRIVER_INITIALIZE DriverEntry;                                                                 \
    NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)                \
    {                                                                                              \
        /* "...-bad" or "...-good" */                                                              \
        Bad = RegistryPath->Buffer[RegistryPath->Length / sizeof(WCHAR) - 3] == L'b';              \
        NTSTATUS status = FltRegisterFilter(DriverObject, &Registration, &Filter);                 \
        if (!NT_SUCCESS(status))                                                                   \
            return status;                                                                         \
        status = FltStartFiltering(Filter);                                                        \
        if (!NT_SUCCESS(status))                                                                   \
            FltUnregisterFilter(Filter);                                                           \
        return status;                                                                             \
    }
