/*
 * Contexts by what they are set on: FltSet...Context, FltGet...Context, FltDelete...Context.
 *
 * WDK: "Setting Contexts", "Getting Contexts", "Deleting Contexts", FltSupportsStreamContexts.
 */
#include "context.h"
#include "file_target.h"
#include <string.h>

/* Set, get and delete, all with the same three lines: the holder may not be there. */
static NTSTATUS set(LIST_ENTRY *holder, PFLT_INSTANCE instance, FLT_SET_CONTEXT_OPERATION operation,
                    FLT_CONTEXT_TYPE type, PFLT_CONTEXT fresh, PFLT_CONTEXT *old)
{
    if (old != NULL)
        *old = NULL;
    if (holder == NULL)
        return STATUS_NOT_SUPPORTED;
    return flt_context_set(holder, instance->filter, instance, operation, type, fresh, old);
}

static NTSTATUS get(LIST_ENTRY *holder, PFLT_INSTANCE instance, PFLT_CONTEXT *out)
{
    *out = NULL;
    return holder ? flt_context_get(holder, instance->filter, instance, out) : STATUS_NOT_FOUND;
}

static NTSTATUS remove_it(LIST_ENTRY *holder, PFLT_INSTANCE instance, PFLT_CONTEXT *old)
{
    if (old != NULL)
        *old = NULL;
    return holder ? flt_context_delete(holder, instance->filter, instance, old) : STATUS_NOT_FOUND;
}

static LIST_ENTRY *stream_holder(PFLT_INSTANCE instance, PFILE_OBJECT file, bool make)
{
    struct flt_stream *stream = flt_stream_of(instance->volume, file, make);
    return stream ? &stream->contexts : NULL;
}

static LIST_ENTRY *file_holder(PFLT_INSTANCE instance, PFILE_OBJECT file, bool make)
{
    /* A file system without contexts of files has one stream a file. */
    if (file->FileObjectExtension != NULL && flt_file_of(file, false)->closed)
        return NULL;
    struct flt_stream *stream =
        FsRtlSupportsPerFileContexts(file) ? flt_per_file_of(instance->volume, file, make) : NULL;
    return stream ? &stream->contexts : NULL;
}

static LIST_ENTRY *handle_holder(PFILE_OBJECT file, bool make)
{
    if (file->FsContext == NULL || (file->FileObjectExtension == NULL && !make))
        return NULL;
    struct flt_file *own = flt_file_of(file, make);
    return own ? &own->contexts : NULL;
}

/* Streams */

NTSTATUS NTAPI FltSetStreamContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                   FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext,
                                   PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    return set(stream_holder(Instance, FileObject, true), Instance, Operation, FLT_STREAM_CONTEXT,
               NewContext, OldContext);
}
NT_EXPORT(FLTMGR, FltSetStreamContext);

NTSTATUS NTAPI FltGetStreamContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                   PFLT_CONTEXT *Context)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return get(stream_holder(Instance, FileObject, false), Instance, Context);
}
NT_EXPORT(FLTMGR, FltGetStreamContext);

NTSTATUS NTAPI FltDeleteStreamContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                      PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return remove_it(stream_holder(Instance, FileObject, false), Instance, OldContext);
}
NT_EXPORT(FLTMGR, FltDeleteStreamContext);

/* Files */

NTSTATUS NTAPI FltSetFileContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                 FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext,
                                 PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    return set(file_holder(Instance, FileObject, true), Instance, Operation, FLT_FILE_CONTEXT,
               NewContext, OldContext);
}
NT_EXPORT(FLTMGR, FltSetFileContext);

NTSTATUS NTAPI FltGetFileContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                 PFLT_CONTEXT *Context)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return get(file_holder(Instance, FileObject, false), Instance, Context);
}
NT_EXPORT(FLTMGR, FltGetFileContext);

NTSTATUS NTAPI FltDeleteFileContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                    PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return remove_it(file_holder(Instance, FileObject, false), Instance, OldContext);
}
NT_EXPORT(FLTMGR, FltDeleteFileContext);

/* Stream handles */

NTSTATUS NTAPI FltSetStreamHandleContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                         FLT_SET_CONTEXT_OPERATION Operation,
                                         PFLT_CONTEXT NewContext, PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    return set(handle_holder(FileObject, true), Instance, Operation, FLT_STREAMHANDLE_CONTEXT,
               NewContext, OldContext);
}
NT_EXPORT(FLTMGR, FltSetStreamHandleContext);

NTSTATUS NTAPI FltGetStreamHandleContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                         PFLT_CONTEXT *Context)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return get(handle_holder(FileObject, false), Instance, Context);
}
NT_EXPORT(FLTMGR, FltGetStreamHandleContext);

NTSTATUS NTAPI FltDeleteStreamHandleContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                            PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return remove_it(handle_holder(FileObject, false), Instance, OldContext);
}
NT_EXPORT(FLTMGR, FltDeleteStreamHandleContext);

/* Instances: the holder is the instance's own list of one. */

NTSTATUS NTAPI FltSetInstanceContext(PFLT_INSTANCE Instance, FLT_SET_CONTEXT_OPERATION Operation,
                                     PFLT_CONTEXT NewContext, PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return set(&Instance->own_context, Instance, Operation, FLT_INSTANCE_CONTEXT, NewContext,
               OldContext);
}
NT_EXPORT(FLTMGR, FltSetInstanceContext);

NTSTATUS NTAPI FltGetInstanceContext(PFLT_INSTANCE Instance, PFLT_CONTEXT *Context)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return get(&Instance->own_context, Instance, Context);
}
NT_EXPORT(FLTMGR, FltGetInstanceContext);

NTSTATUS NTAPI FltDeleteInstanceContext(PFLT_INSTANCE Instance, PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    return remove_it(&Instance->own_context, Instance, OldContext);
}
NT_EXPORT(FLTMGR, FltDeleteInstanceContext);

/* Volumes: one a filter, whose context says which. */

NTSTATUS NTAPI FltSetVolumeContext(PFLT_VOLUME Volume, FLT_SET_CONTEXT_OPERATION Operation,
                                   PFLT_CONTEXT NewContext, PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    return flt_context_set(&Volume->contexts, ((struct flt_context *)NewContext - 1)->filter, NULL,
                           Operation, FLT_VOLUME_CONTEXT, NewContext, OldContext);
}
NT_EXPORT(FLTMGR, FltSetVolumeContext);

NTSTATUS NTAPI FltGetVolumeContext(PFLT_FILTER Filter, PFLT_VOLUME Volume, PFLT_CONTEXT *Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    return flt_context_get(&Volume->contexts, Filter, NULL, Context);
}
NT_EXPORT(FLTMGR, FltGetVolumeContext);

NTSTATUS NTAPI FltDeleteVolumeContext(PFLT_FILTER Filter, PFLT_VOLUME Volume,
                                      PFLT_CONTEXT *OldContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    return flt_context_delete(&Volume->contexts, Filter, NULL, OldContext);
}
NT_EXPORT(FLTMGR, FltDeleteVolumeContext);

/* Several at once */

NTSTATUS NTAPI FltGetContextsEx(PCFLT_RELATED_OBJECTS FltObjects, FLT_CONTEXT_TYPE DesiredContexts,
                                SIZE_T ContextsSize, PFLT_RELATED_CONTEXTS_EX Contexts)
{
    VF_ENTRY(APC_LEVEL);
    memset(Contexts, 0, ContextsSize);
    if (DesiredContexts & FLT_VOLUME_CONTEXT)
        FltGetVolumeContext(FltObjects->Filter, FltObjects->Volume, &Contexts->VolumeContext);
    if (DesiredContexts & FLT_INSTANCE_CONTEXT)
        FltGetInstanceContext(FltObjects->Instance, &Contexts->InstanceContext);
    if (FltObjects->FileObject == NULL)
        return STATUS_SUCCESS;
    if (DesiredContexts & FLT_FILE_CONTEXT)
        FltGetFileContext(FltObjects->Instance, FltObjects->FileObject, &Contexts->FileContext);
    if (DesiredContexts & FLT_STREAM_CONTEXT)
        FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject, &Contexts->StreamContext);
    if (DesiredContexts & FLT_STREAMHANDLE_CONTEXT)
        FltGetStreamHandleContext(FltObjects->Instance, FltObjects->FileObject,
                                  &Contexts->StreamHandleContext);
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltGetContextsEx);

VOID NTAPI FltGetContexts(PCFLT_RELATED_OBJECTS FltObjects, FLT_CONTEXT_TYPE DesiredContexts,
                          PFLT_RELATED_CONTEXTS Contexts)
{
    FltGetContextsEx(FltObjects, DesiredContexts, sizeof(*Contexts),
                     (PFLT_RELATED_CONTEXTS_EX)Contexts);
}
NT_EXPORT(FLTMGR, FltGetContexts);

VOID NTAPI FltReleaseContextsEx(SIZE_T ContextsSize, PFLT_RELATED_CONTEXTS_EX Contexts)
{
    VF_ENTRY(DISPATCH_LEVEL);
    PFLT_CONTEXT *all = &Contexts->VolumeContext;
    for (size_t i = 0; i < ContextsSize / sizeof(*all); i++) {
        if (all[i] != NULL)
            FltReleaseContext(all[i]);
        all[i] = NULL;
    }
}
NT_EXPORT(FLTMGR, FltReleaseContextsEx);

VOID NTAPI FltReleaseContexts(PFLT_RELATED_CONTEXTS Contexts)
{
    FltReleaseContextsEx(sizeof(*Contexts), (PFLT_RELATED_CONTEXTS_EX)Contexts);
}
NT_EXPORT(FLTMGR, FltReleaseContexts);

/* What a file system supports */

BOOLEAN NTAPI FltSupportsStreamContexts(PFILE_OBJECT FileObject)
{
    VF_ENTRY(APC_LEVEL);
    return FsRtlSupportsPerStreamContexts(FileObject);
}
NT_EXPORT(FLTMGR, FltSupportsStreamContexts);

BOOLEAN NTAPI FltSupportsFileContexts(PFILE_OBJECT FileObject)
{
    VF_ENTRY(APC_LEVEL);
    return FsRtlSupportsPerFileContexts(FileObject);
}
NT_EXPORT(FLTMGR, FltSupportsFileContexts);

BOOLEAN NTAPI FltSupportsFileContextsEx(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance)
{
    VF_ENTRY(APC_LEVEL);
    UNREFERENCED_PARAMETER(Instance);
    return FsRtlSupportsPerFileContexts(FileObject);
}
NT_EXPORT(FLTMGR, FltSupportsFileContextsEx);

BOOLEAN NTAPI FltSupportsStreamHandleContexts(PFILE_OBJECT FileObject)
{
    VF_ENTRY(APC_LEVEL);
    return FsRtlSupportsPerStreamContexts(FileObject);
}
NT_EXPORT(FLTMGR, FltSupportsStreamHandleContexts);
