/*
 * Memory objects and lookaside lists.
 */
#pragma once

#include <wdfobject.h>

typedef struct _WDFMEMORY_OFFSET {
    size_t BufferOffset;
    size_t BufferLength;
} WDFMEMORY_OFFSET, *PWDFMEMORY_OFFSET;

typedef NTSTATUS(NTAPI *PFN_WDFMEMORYCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             _In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes,
                                             POOL_TYPE PoolType, ULONG PoolTag, size_t BufferSize,
                                             _Out_ WDFMEMORY *Memory, _Outptr_opt_ PVOID *Buffer);
FORCEINLINE NTSTATUS WdfMemoryCreate(_In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes, POOL_TYPE PoolType,
                                     ULONG PoolTag, size_t BufferSize, _Out_ WDFMEMORY *Memory,
                                     _Outptr_opt_ PVOID *Buffer)
{
    return ((PFN_WDFMEMORYCREATE)WdfFunctions[WdfMemoryCreateTableIndex])(
        WdfDriverGlobals, Attributes, PoolType, PoolTag, BufferSize, Memory, Buffer);
}

typedef NTSTATUS(NTAPI *PFN_WDFMEMORYCREATEPREALLOCATED)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                         _In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes,
                                                         PVOID Buffer, size_t BufferSize,
                                                         _Out_ WDFMEMORY *Memory);
FORCEINLINE NTSTATUS WdfMemoryCreatePreallocated(_In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes,
                                                 PVOID Buffer, size_t BufferSize,
                                                 _Out_ WDFMEMORY *Memory)
{
    return ((PFN_WDFMEMORYCREATEPREALLOCATED)WdfFunctions[WdfMemoryCreatePreallocatedTableIndex])(
        WdfDriverGlobals, Attributes, Buffer, BufferSize, Memory);
}

typedef PVOID(NTAPI *PFN_WDFMEMORYGETBUFFER)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFMEMORY Memory,
                                             _Out_opt_ size_t *BufferSize);
FORCEINLINE PVOID WdfMemoryGetBuffer(WDFMEMORY Memory, _Out_opt_ size_t *BufferSize)
{
    return ((PFN_WDFMEMORYGETBUFFER)WdfFunctions[WdfMemoryGetBufferTableIndex])(WdfDriverGlobals,
                                                                                Memory, BufferSize);
}

typedef NTSTATUS(NTAPI *PFN_WDFMEMORYASSIGNBUFFER)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                   WDFMEMORY Memory, PVOID Buffer,
                                                   size_t BufferSize);
FORCEINLINE NTSTATUS WdfMemoryAssignBuffer(WDFMEMORY Memory, PVOID Buffer, size_t BufferSize)
{
    return ((PFN_WDFMEMORYASSIGNBUFFER)WdfFunctions[WdfMemoryAssignBufferTableIndex])(
        WdfDriverGlobals, Memory, Buffer, BufferSize);
}

typedef NTSTATUS(NTAPI *PFN_WDFMEMORYCOPYTOBUFFER)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                   WDFMEMORY SourceMemory, size_t SourceOffset,
                                                   PVOID Buffer, size_t NumBytesToCopyTo);
FORCEINLINE NTSTATUS WdfMemoryCopyToBuffer(WDFMEMORY SourceMemory, size_t SourceOffset,
                                           PVOID Buffer, size_t NumBytesToCopyTo)
{
    return ((PFN_WDFMEMORYCOPYTOBUFFER)WdfFunctions[WdfMemoryCopyToBufferTableIndex])(
        WdfDriverGlobals, SourceMemory, SourceOffset, Buffer, NumBytesToCopyTo);
}

typedef NTSTATUS(NTAPI *PFN_WDFMEMORYCOPYFROMBUFFER)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                     WDFMEMORY DestinationMemory,
                                                     size_t DestinationOffset, PVOID Buffer,
                                                     size_t NumBytesToCopyFrom);
FORCEINLINE NTSTATUS WdfMemoryCopyFromBuffer(WDFMEMORY DestinationMemory, size_t DestinationOffset,
                                             PVOID Buffer, size_t NumBytesToCopyFrom)
{
    return ((PFN_WDFMEMORYCOPYFROMBUFFER)WdfFunctions[WdfMemoryCopyFromBufferTableIndex])(
        WdfDriverGlobals, DestinationMemory, DestinationOffset, Buffer, NumBytesToCopyFrom);
}

typedef NTSTATUS(NTAPI *PFN_WDFLOOKASIDELISTCREATE)(
    PWDF_DRIVER_GLOBALS DriverGlobals, _In_opt_ PWDF_OBJECT_ATTRIBUTES LookasideAttributes,
    size_t BufferSize, POOL_TYPE PoolType, _In_opt_ PWDF_OBJECT_ATTRIBUTES MemoryAttributes,
    ULONG PoolTag, _Out_ WDFLOOKASIDE *Lookaside);
FORCEINLINE NTSTATUS WdfLookasideListCreate(_In_opt_ PWDF_OBJECT_ATTRIBUTES LookasideAttributes,
                                            size_t BufferSize, POOL_TYPE PoolType,
                                            _In_opt_ PWDF_OBJECT_ATTRIBUTES MemoryAttributes,
                                            ULONG PoolTag, _Out_ WDFLOOKASIDE *Lookaside)
{
    return ((PFN_WDFLOOKASIDELISTCREATE)WdfFunctions[WdfLookasideListCreateTableIndex])(
        WdfDriverGlobals, LookasideAttributes, BufferSize, PoolType, MemoryAttributes, PoolTag,
        Lookaside);
}

typedef NTSTATUS(NTAPI *PFN_WDFMEMORYCREATEFROMLOOKASIDE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                          WDFLOOKASIDE Lookaside,
                                                          _Out_ WDFMEMORY *Memory);
FORCEINLINE NTSTATUS WdfMemoryCreateFromLookaside(WDFLOOKASIDE Lookaside, _Out_ WDFMEMORY *Memory)
{
    return ((PFN_WDFMEMORYCREATEFROMLOOKASIDE)WdfFunctions[WdfMemoryCreateFromLookasideTableIndex])(
        WdfDriverGlobals, Lookaside, Memory);
}
