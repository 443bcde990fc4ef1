/* Memory objects and lookaside lists. WDK: wdfmemory.h, "Using Memory Buffers". */
#include "api.h"

typedef struct FX_LOOKASIDE {
    FX_OBJECT Object;
    LOOKASIDE_LIST_EX List;
    BOOLEAN Initialized;
    SIZE_T Size;
    WDF_OBJECT_ATTRIBUTES MemoryAttributes;
} FX_LOOKASIDE;

static void MemoryDestroy(FX_OBJECT *Object);
static void LookasideDestroy(FX_OBJECT *Object);

const FX_CLASS FxMemoryClass = {"WDFMEMORY", sizeof(FX_MEMORY), TRUE, FALSE, NULL, MemoryDestroy};
const FX_CLASS FxLookasideClass = {"WDFLOOKASIDE", sizeof(FX_LOOKASIDE), TRUE, FALSE,
                                   NULL,           LookasideDestroy};

static void MemoryDestroy(FX_OBJECT *Object)
{
    FX_MEMORY *memory = (FX_MEMORY *)Object;

    if (memory->Lookaside != NULL) {
        ExFreeToLookasideListEx(&memory->Lookaside->List, memory->Allocation);
        FxObjectDereference(&memory->Lookaside->Object);
    } else if (memory->Allocation != NULL) {
        ExFreePool(memory->Allocation);
    }
}

static void LookasideDestroy(FX_OBJECT *Object)
{
    FX_LOOKASIDE *lookaside = (FX_LOOKASIDE *)Object;

    if (lookaside->Initialized)
        ExDeleteLookasideListEx(&lookaside->List);
}

static NTSTATUS CreateMemory(FX_GLOBALS *Globals, PWDF_OBJECT_ATTRIBUTES Attributes,
                             FX_MEMORY **Memory)
{
    return FxObjectAllocate(Globals, &FxMemoryClass, Attributes, (FX_OBJECT *)Globals->Driver,
                            (FX_OBJECT **)Memory);
}

static NTSTATUS PublishMemory(FX_MEMORY *Memory, PWDF_OBJECT_ATTRIBUTES Attributes,
                              WDFMEMORY *Handle)
{
    NTSTATUS status = FxObjectPublish(&Memory->Object, Attributes);

    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(&Memory->Object);
        return status;
    }
    *Handle = FX_HANDLE(Memory);
    return STATUS_SUCCESS;
}

static POOL_FLAGS PoolFlags(POOL_TYPE PoolType)
{
    /* WDF does not zero its buffers. */
    return POOL_FLAG_UNINITIALIZED | (PoolType == PagedPool      ? POOL_FLAG_PAGED
                                      : PoolType == NonPagedPool ? POOL_FLAG_NON_PAGED_EXECUTE
                                                                 : POOL_FLAG_NON_PAGED);
}

FX_API(NTSTATUS, WdfMemoryCreate)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                  PWDF_OBJECT_ATTRIBUTES Attributes, POOL_TYPE PoolType,
                                  ULONG PoolTag, size_t BufferSize, WDFMEMORY *Memory,
                                  PVOID *Buffer)
{
    FX_GLOBALS *globals = FxGlobals(DriverGlobals);
    FX_MEMORY *memory;
    NTSTATUS status;

    FX_ENTER(PoolType == PagedPool ? APC_LEVEL : DISPATCH_LEVEL);
    *Memory = NULL;
    if (Buffer != NULL)
        *Buffer = NULL;
    if (BufferSize == 0)
        return STATUS_INVALID_PARAMETER;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = CreateMemory(globals, Attributes, &memory);
    if (!NT_SUCCESS(status))
        return status;
    memory->Allocation =
        ExAllocatePool2(PoolFlags(PoolType), BufferSize, PoolTag != 0 ? PoolTag : FxTag(globals));
    if (memory->Allocation == NULL) {
        FxObjectDiscard(&memory->Object);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    memory->Buffer = memory->Allocation;
    memory->Size = BufferSize;
    status = PublishMemory(memory, Attributes, Memory);
    if (NT_SUCCESS(status) && Buffer != NULL)
        *Buffer = memory->Buffer;
    return status;
}

FX_API(NTSTATUS, WdfMemoryCreatePreallocated)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                              PWDF_OBJECT_ATTRIBUTES Attributes, PVOID Buffer,
                                              size_t BufferSize, WDFMEMORY *Memory)
{
    FX_MEMORY *memory;
    NTSTATUS status;

    FX_ENTER(DISPATCH_LEVEL);
    *Memory = NULL;
    if (Buffer == NULL || BufferSize == 0)
        return STATUS_INVALID_PARAMETER;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = CreateMemory(FxGlobals(DriverGlobals), Attributes, &memory);
    if (!NT_SUCCESS(status))
        return status;
    memory->Buffer = Buffer;
    memory->Size = BufferSize;
    return PublishMemory(memory, Attributes, Memory);
}

FX_API(PVOID, WdfMemoryGetBuffer)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFMEMORY Memory,
                                  size_t *BufferSize)
{
    FX_MEMORY *memory;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(HIGH_LEVEL);
    memory = FX_OBJECT_OF(Memory, FX_MEMORY, FxMemoryClass);
    if (BufferSize != NULL)
        *BufferSize = memory->Size;
    return memory->Buffer;
}

FX_API(NTSTATUS, WdfMemoryAssignBuffer)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFMEMORY Memory,
                                        PVOID Buffer, size_t BufferSize)
{
    FX_MEMORY *memory;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    memory = FX_OBJECT_OF(Memory, FX_MEMORY, FxMemoryClass);
    if (memory->Allocation != NULL || memory->Object.Parent->Class == &FxRequestClass ||
        Buffer == NULL || BufferSize == 0)
        return STATUS_INVALID_PARAMETER;
    memory->Buffer = Buffer;
    memory->Size = BufferSize;
    return STATUS_SUCCESS;
}

static BOOLEAN Within(const FX_MEMORY *Memory, SIZE_T Offset, SIZE_T Bytes)
{
    return Offset <= Memory->Size && Bytes <= Memory->Size - Offset;
}

FX_API(NTSTATUS, WdfMemoryCopyToBuffer)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFMEMORY SourceMemory,
                                        size_t SourceOffset, PVOID Buffer, size_t NumBytesToCopyTo)
{
    FX_MEMORY *memory;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    memory = FX_OBJECT_OF(SourceMemory, FX_MEMORY, FxMemoryClass);
    if (Buffer == NULL || NumBytesToCopyTo == 0)
        return STATUS_INVALID_PARAMETER;
    if (!Within(memory, SourceOffset, NumBytesToCopyTo))
        return STATUS_BUFFER_TOO_SMALL;
    RtlCopyMemory(Buffer, (PUCHAR)memory->Buffer + SourceOffset, NumBytesToCopyTo);
    return STATUS_SUCCESS;
}

FX_API(NTSTATUS, WdfMemoryCopyFromBuffer)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                          WDFMEMORY DestinationMemory, size_t DestinationOffset,
                                          PVOID Buffer, size_t NumBytesToCopyFrom)
{
    FX_MEMORY *memory;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    memory = FX_OBJECT_OF(DestinationMemory, FX_MEMORY, FxMemoryClass);
    if (Buffer == NULL || NumBytesToCopyFrom == 0)
        return STATUS_INVALID_PARAMETER;
    if (memory->ReadOnly)
        return STATUS_ACCESS_VIOLATION;
    if (!Within(memory, DestinationOffset, NumBytesToCopyFrom))
        return STATUS_BUFFER_TOO_SMALL;
    RtlCopyMemory((PUCHAR)memory->Buffer + DestinationOffset, Buffer, NumBytesToCopyFrom);
    return STATUS_SUCCESS;
}

FX_API(NTSTATUS, WdfLookasideListCreate)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                         PWDF_OBJECT_ATTRIBUTES LookasideAttributes,
                                         size_t BufferSize, POOL_TYPE PoolType,
                                         PWDF_OBJECT_ATTRIBUTES MemoryAttributes, ULONG PoolTag,
                                         WDFLOOKASIDE *Lookaside)
{
    FX_GLOBALS *globals = FxGlobals(DriverGlobals);
    FX_LOOKASIDE *lookaside;
    NTSTATUS status;

    FX_ENTER(PoolType == PagedPool ? APC_LEVEL : DISPATCH_LEVEL);
    *Lookaside = NULL;
    if (BufferSize == 0)
        return STATUS_INVALID_PARAMETER;
    status = FxAttributesCheck(MemoryAttributes);
    if (!NT_SUCCESS(status))
        return status;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FxObjectAllocate(globals, &FxLookasideClass, LookasideAttributes,
                              (FX_OBJECT *)globals->Driver, (FX_OBJECT **)&lookaside);
    if (!NT_SUCCESS(status))
        return status;
    WDF_OBJECT_ATTRIBUTES_INIT(&lookaside->MemoryAttributes);
    if (MemoryAttributes != NULL)
        lookaside->MemoryAttributes = *MemoryAttributes;
    lookaside->Size = BufferSize;
    status = ExInitializeLookasideListEx(&lookaside->List, NULL, NULL, PoolType, 0, BufferSize,
                                         PoolTag != 0 ? PoolTag : FxTag(globals), 0);
    lookaside->Initialized = NT_SUCCESS(status);
    if (NT_SUCCESS(status))
        status = FxObjectPublish(&lookaside->Object, LookasideAttributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(&lookaside->Object);
        return status;
    }
    *Lookaside = FX_HANDLE(lookaside);
    return STATUS_SUCCESS;
}

FX_API(NTSTATUS, WdfMemoryCreateFromLookaside)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                               WDFLOOKASIDE Lookaside, WDFMEMORY *Memory)
{
    FX_LOOKASIDE *lookaside;
    FX_MEMORY *memory;
    NTSTATUS status;

    FX_ENTER(DISPATCH_LEVEL);
    *Memory = NULL;
    lookaside = FX_OBJECT_OF(Lookaside, FX_LOOKASIDE, FxLookasideClass);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = CreateMemory(FxGlobals(DriverGlobals), &lookaside->MemoryAttributes, &memory);
    if (!NT_SUCCESS(status))
        return status;
    memory->Allocation = ExAllocateFromLookasideListEx(&lookaside->List);
    if (memory->Allocation == NULL) {
        FxObjectDiscard(&memory->Object);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    FxObjectReference(&lookaside->Object);
    memory->Lookaside = lookaside;
    memory->Buffer = memory->Allocation;
    memory->Size = lookaside->Size;
    return PublishMemory(memory, &lookaside->MemoryAttributes, Memory);
}
