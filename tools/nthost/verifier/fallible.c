/*
 * Which kernel functions may fail for want of resources, or because the world is not as it should
 * be, in a driver that does everything right: those are what a fault sweep fails (faults.c).
 *
 * Each export of the host is in one of the two lists. What never fails is void, answers from memory
 * that the caller has, or fails only for a driver's own mistake or by its own design (a rundown
 * that began, a device's own status that comes back through IofCallDriver, a raised exception).
 * Whoever adds an export decides; vf_fallible_check() holds the lists against the exports and the
 * uses of vf_fault(). Source: the "Return value" part of each function's WDK page.
 *
 * WDF's functions are no imports: FX_FAULT() in kmdf/ stands in each that can fail.
 */
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <string.h>

extern const struct nt_export __start_nt_exports[] __attribute__((visibility("hidden")));
extern const struct nt_export __stop_nt_exports[] __attribute__((visibility("hidden")));
extern const struct vf_fault_point __start_nt_fault_points[] __attribute__((visibility("hidden")));
extern const struct vf_fault_point __stop_nt_fault_points[] __attribute__((visibility("hidden")));

/* clang-format off */
static const char fallible[] =
    "SeLocateProcessImageName "
    "FsRtlInsertPerFileContext FsRtlRegisterFileSystemFilterCallbacks "
    "ExAllocateCacheAwareRundownProtection ExAllocatePool2 ExAllocatePool3 "
    "ExAllocatePoolWithTag ExAllocatePoolWithTagPriority ExAllocateTimer ExCreateCallback "
    "ExInitializeLookasideListEx ExRegisterCallback ExUuidCreate FltAllocateCallbackData "
    "FltAllocateCallbackDataEx FltAllocateContext FltAllocateDeferredIoWorkItem "
    "FltAllocateGenericWorkItem FltAllocatePoolAlignedWithTag FltAttachVolume "
    "FltAttachVolumeAtAltitude FltBuildDefaultSecurityDescriptor "
    "FltCheckAndGrowNameControl FltCreateCommunicationPort FltCreateFile FltCreateFileEx "
    "FltCreateFileEx2 FltDeviceIoControlFile FltDoCompletionProcessingWhenSafe "
    "FltFlushBuffers FltFlushBuffers2 FltFsControlFile "
    "FltGetDestinationFileNameInformation FltGetFileNameInformation "
    "FltGetFileNameInformationUnsafe FltIsDirectory FltLoadFilter FltLockUserBuffer "
    "FltOpenVolume FltPerformAsynchronousIo FltQueryDirectoryFile FltQueryDirectoryFileEx "
    "FltQueryEaFile FltQueryInformationByName FltQueryInformationFile "
    "FltQuerySecurityObject FltQueryVolumeInformation FltQueryVolumeInformationFile "
    "FltQueueDeferredIoWorkItem FltReadFile FltReadFileEx FltRegisterFilter FltSendMessage "
    "FltSetEaFile FltSetFileContext FltSetInformationFile FltSetSecurityObject "
    "FltSetStreamContext FltSetStreamHandleContext FltSetVolumeInformation "
    "FltStartFiltering FltWriteFile FltWriteFileEx IoAllocateDriverObjectExtension "
    "IoAllocateErrorLogEntry IoAllocateIrp IoAllocateIrpEx IoAllocateMdl "
    "IoAllocateWorkItem IoAttachDeviceToDeviceStack IoAttachDeviceToDeviceStackSafe "
    "IoBuildAsynchronousFsdRequest IoBuildDeviceIoControlRequest "
    "IoBuildSynchronousFsdRequest IoCreateDevice IoCreateSymbolicLink "
    "IoCreateUnprotectedSymbolicLink IoGetDeviceObjectPointer IoInitializeTimer "
    "IoOpenDriverRegistryKey IoRegisterShutdownNotification IoSetCompletionRoutineEx "
    "KeExpandKernelStackAndCallout MmAllocateContiguousMemory MmAllocatePagesForMdlEx "
    "MmMapLockedPagesSpecifyCache NdisAllocateCloneNetBufferList "
    "NdisAllocateCloneOidRequest NdisAllocateFragmentNetBufferList "
    "NdisAllocateGenericObject NdisAllocateIoWorkItem NdisAllocateMdl "
    "NdisAllocateMemoryWithTag NdisAllocateMemoryWithTagPriority NdisAllocateNetBuffer "
    "NdisAllocateNetBufferAndNetBufferList NdisAllocateNetBufferList "
    "NdisAllocateNetBufferListContext NdisAllocateNetBufferListPool "
    "NdisAllocateNetBufferMdlAndData NdisAllocateNetBufferPool NdisAllocateRWLock "
    "NdisAllocateReassembledNetBufferList NdisAllocateTimerObject "
    "NdisCopyFromNetBufferToNetBuffer NdisEnumerateFilterModules NdisFDirectOidRequest "
    "NdisFOidRequest NdisFRegisterFilterDriver NdisFRestartFilter NdisFSetAttributes "
    "NdisGetDataBuffer NdisOpenConfigurationEx NdisOpenConfigurationKeyByName "
    "NdisReadConfiguration NdisReadNetworkAddress NdisRegisterDeviceEx "
    "NdisRetreatNetBufferDataStart NdisRetreatNetBufferListDataStart "
    "NdisSetOptionalHandlers NdisWriteConfiguration ObGetObjectSecurity "
    "ObOpenObjectByPointer ObQueryNameString ObSetSecurityObjectByPointer "
    "PsCreateSystemThread PsSetCreateProcessNotifyRoutine "
    "PsSetCreateProcessNotifyRoutineEx PsSetCreateThreadNotifyRoutine "
    "RtlAnsiStringToUnicodeString RtlCheckRegistryKey RtlCreateRegistryKey "
    "RtlDeleteRegistryValue RtlDowncaseUnicodeString RtlQueryRegistryValues "
    "RtlStringFromGUID RtlUnicodeStringToAnsiString RtlUpcaseUnicodeString "
    "RtlWriteRegistryValue WdmlibIoCreateDeviceSecure ZwCreateEvent ZwCreateFile "
    "ZwCreateKey ZwDeleteFile ZwDeleteKey ZwDeleteValueKey ZwDeviceIoControlFile "
    "ZwEnumerateKey ZwEnumerateValueKey ZwFlushBuffersFile ZwFlushKey ZwOpenFile ZwOpenKey "
    "ZwOpenKeyEx ZwOpenSymbolicLinkObject ZwQueryInformationFile ZwQueryKey ZwQueryObject "
    "ZwQuerySymbolicLinkObject ZwQueryValueKey ZwReadFile ZwSetInformationFile "
    "ZwSetValueKey ZwWriteFile";

static const char never_fails[] =
    "FsRtlInsertPerStreamContext FsRtlLookupPerFileContext FsRtlLookupPerStreamContextInternal "
    "FsRtlRemovePerFileContext FsRtlRemovePerStreamContext FsRtlTeardownPerFileContexts "
    "FsRtlTeardownPerStreamContexts MmDoesFileHaveUserWritableReferences "
    "DbgBreakPoint DbgPrint DbgPrintEx ExAcquireFastMutex ExAcquireFastMutexUnsafe "
    "ExAcquirePushLockExclusiveEx ExAcquirePushLockSharedEx ExAcquireResourceExclusiveLite "
    "ExAcquireResourceSharedLite ExAcquireRundownProtection "
    "ExAcquireRundownProtectionCacheAware ExAcquireRundownProtectionCacheAwareEx "
    "ExAcquireRundownProtectionEx ExAcquireSpinLockExclusive "
    "ExAcquireSpinLockExclusiveAtDpcLevel ExAcquireSpinLockShared "
    "ExAcquireSpinLockSharedAtDpcLevel ExCancelTimer ExDeleteLookasideListEx "
    "ExDeleteNPagedLookasideList ExDeleteResourceLite ExDeleteTimer ExEventObjectType "
    "ExFreeCacheAwareRundownProtection ExFreePool ExFreePool2 ExFreePoolWithTag "
    "ExGetPreviousMode ExInitializeNPagedLookasideList ExInitializePushLock "
    "ExInitializeResourceLite ExInitializeRundownProtection ExInterlockedInsertHeadList "
    "ExInterlockedInsertTailList ExInterlockedRemoveHeadList ExIsProcessorFeaturePresent "
    "ExIsResourceAcquiredExclusiveLite ExIsResourceAcquiredSharedLite ExNotifyCallback "
    "ExQueryDepthSList ExQueueWorkItem ExRaiseAccessViolation ExRaiseDatatypeMisalignment "
    "ExRaiseStatus ExReInitializeRundownProtection "
    "ExReInitializeRundownProtectionCacheAware ExReleaseFastMutex ExReleaseFastMutexUnsafe "
    "ExReleasePushLockExclusiveEx ExReleasePushLockSharedEx ExReleaseResourceLite "
    "ExReleaseRundownProtection ExReleaseRundownProtectionCacheAware "
    "ExReleaseRundownProtectionCacheAwareEx ExReleaseRundownProtectionEx "
    "ExReleaseSpinLockExclusive ExReleaseSpinLockExclusiveFromDpcLevel "
    "ExReleaseSpinLockShared ExReleaseSpinLockSharedFromDpcLevel ExRundownCompleted "
    "ExRundownCompletedCacheAware ExSetTimer ExSetTimerResolution ExSystemTimeToLocalTime "
    "ExTryAcquireSpinLockExclusiveAtDpcLevel ExTryAcquireSpinLockSharedAtDpcLevel "
    "ExTryConvertSharedSpinLockExclusive ExTryToAcquireFastMutex ExUnregisterCallback "
    "ExWaitForRundownProtectionRelease ExWaitForRundownProtectionReleaseCacheAware "
    "ExpInterlockedFlushSList ExpInterlockedPopEntrySList ExpInterlockedPushEntrySList "
    "FltAcquirePushLockExclusive FltAcquirePushLockExclusiveEx FltAcquirePushLockShared "
    "FltAcquirePushLockSharedEx FltAcquireResourceExclusive FltAcquireResourceShared "
    "FltCancelFileOpen FltCancelIo FltCbdqDisable FltCbdqEnable FltCbdqInitialize "
    "FltCbdqInsertIo FltCbdqRemoveIo FltCbdqRemoveNextIo FltClearCallbackDataDirty "
    "FltClearCancelCompletion FltClose FltCloseClientPort FltCloseCommunicationPort "
    "FltCompareInstanceAltitudes FltCompletePendedPostOperation "
    "FltCompletePendedPreOperation FltDecodeParameters FltDeleteContext "
    "FltDeleteFileContext FltDeleteInstanceContext FltDeletePushLock "
    "FltDeleteStreamContext FltDeleteStreamHandleContext FltDeleteVolumeContext "
    "FltDetachVolume FltEnumerateFilters FltEnumerateInstances FltEnumerateVolumes "
    "FltFreeCallbackData FltFreeDeferredIoWorkItem FltFreeGenericWorkItem "
    "FltFreePoolAlignedWithTag FltFreeSecurityDescriptor FltGetBottomInstance "
    "FltGetContexts FltGetContextsEx FltGetDeviceObject FltGetDiskDeviceObject "
    "FltGetFileContext FltGetFileSystemType FltGetFilterFromInstance FltGetFilterFromName "
    "FltGetFilterInformation FltGetInstanceContext FltGetInstanceInformation "
    "FltGetIoPriorityHint FltGetIoPriorityHintFromCallbackData FltGetIrpName "
    "FltGetLowerInstance FltGetNewSystemBufferAddress FltGetRequestorProcess "
    "FltGetRequestorProcessId FltGetRequestorProcessIdEx FltGetRequestorSessionId "
    "FltGetRoutineAddress FltGetStreamContext FltGetStreamHandleContext "
    "FltGetSwappedBufferMdlAddress FltGetTopInstance FltGetTunneledName "
    "FltGetUpperInstance FltGetVolumeContext FltGetVolumeFromDeviceObject "
    "FltGetVolumeFromFileObject FltGetVolumeFromInstance FltGetVolumeFromName "
    "FltGetVolumeInformation FltGetVolumeInstanceFromName FltGetVolumeName "
    "FltGetVolumeProperties FltInitializePushLock FltIs32bitProcess FltIsCallbackDataDirty "
    "FltIsFltMgrVolumeDeviceObject FltIsIoCanceled FltIsOperationSynchronous "
    "FltIsVolumeSnapshot FltIsVolumeWritable FltObjectDereference FltObjectReference "
    "FltParseFileName FltParseFileNameInformation FltPerformSynchronousIo "
    "FltPurgeFileNameInformationCache FltQueueGenericWorkItem FltReferenceContext "
    "FltReferenceFileNameInformation FltReleaseContext FltReleaseContexts "
    "FltReleaseContextsEx FltReleaseFileNameInformation FltReleasePushLock "
    "FltReleasePushLockEx FltReleaseResource FltRetainSwappedBufferMdlAddress "
    "FltReuseCallbackData FltSetCallbackDataDirty FltSetCancelCompletion "
    "FltSetInstanceContext FltSetIoPriorityHintIntoCallbackData FltSetVolumeContext "
    "FltSupportsFileContexts FltSupportsFileContextsEx FltSupportsStreamContexts "
    "FltSupportsStreamHandleContexts FltUnloadFilter FltUnregisterFilter "
    "InitializeSListHead IoAcquireCancelSpinLock "
    "RtlAbsoluteToSelfRelativeSD "
    "IoAcquireRemoveLockEx IoBuildPartialMdl IoCancelIrp IoCheckEaBufferValidity "
    "IoCsqInitialize IoCsqInitializeEx "
    "IoCsqInsertIrp IoCsqInsertIrpEx IoCsqRemoveIrp IoCsqRemoveNextIrp IoDeleteDevice "
    "IoDeleteSymbolicLink IoDetachDevice IoFileObjectType IoForwardIrpSynchronously "
    "IoFreeErrorLogEntry IoFreeIrp IoFreeMdl IoFreeWorkItem IoGetAttachedDevice "
    "IoGetAttachedDeviceReference IoGetCurrentProcess IoGetDriverObjectExtension "
    "IoGetLowerDeviceObject IoGetRelatedDeviceObject IoGetRequestorProcess "
    "IoGetRequestorProcessId IoGetTopLevelIrp IoInitializeIrp IoInitializeRemoveLockEx "
    "IoInitializeWorkItem IoIs32bitProcess IoQueueWorkItem IoQueueWorkItemEx "
    "IoReleaseCancelSpinLock IoReleaseRemoveLockAndWaitEx IoReleaseRemoveLockEx IoReuseIrp "
    "IoSetTopLevelIrp IoSizeofWorkItem IoStartNextPacket IoStartPacket IoStartTimer "
    "IoStopTimer IoSynchronousCallDriver IoUninitializeWorkItem "
    "IoUnregisterShutdownNotification IoValidateDeviceIoControlAccess IoWriteErrorLogEntry "
    "IofCallDriver IofCompleteRequest KeAcquireGuardedMutex KeAcquireInStackQueuedSpinLock "
    "KeAcquireInStackQueuedSpinLockAtDpcLevel KeAcquireSpinLockAtDpcLevel "
    "KeAcquireSpinLockForDpc KeAcquireSpinLockRaiseToDpc KeAreAllApcsDisabled "
    "KeAreApcsDisabled KeBugCheck KeBugCheckEx KeCancelTimer KeClearEvent "
    "KeDelayExecutionThread KeEnterCriticalRegion KeEnterGuardedRegion KeFlushQueuedDpcs "
    "KeGenericCallDpc KeGetCurrentIrql KeGetCurrentNodeNumber "
    "KeGetCurrentProcessorNumberEx KeGetCurrentThread KeGetProcessorIndexFromNumber "
    "KeGetProcessorNumberFromIndex KeGetRecommendedSharedDataAlignment "
    "KeInitializeDeviceQueue KeInitializeDpc KeInitializeEvent KeInitializeGuardedMutex "
    "KeInitializeMutex KeInitializeSemaphore KeInitializeSpinLock KeInitializeThreadedDpc "
    "KeInitializeTimer KeInitializeTimerEx KeInsertDeviceQueue KeInsertQueueDpc "
    "KeLeaveCriticalRegion KeLeaveGuardedRegion KeLowerIrql KePulseEvent "
    "KeQueryActiveGroupCount KeQueryActiveProcessorCount KeQueryActiveProcessorCountEx "
    "KeQueryActiveProcessors KeQueryGroupAffinity KeQueryHighestNodeNumber "
    "KeQueryInterruptTimePrecise KeQueryMaximumGroupCount KeQueryMaximumProcessorCount "
    "KeQueryMaximumProcessorCountEx KeQueryPerformanceCounter KeQueryPriorityThread "
    "KeQuerySystemTimePrecise KeQueryTimeIncrement KeQueryUnbiasedInterruptTime "
    "KeQueryUnbiasedInterruptTimePrecise KeRaiseIrqlToDpcLevel KeReadStateEvent "
    "KeReadStateMutex KeReadStateSemaphore KeReadStateTimer KeReleaseGuardedMutex "
    "KeReleaseInStackQueuedSpinLock KeReleaseInStackQueuedSpinLockFromDpcLevel "
    "KeReleaseMutex KeReleaseSemaphore KeReleaseSpinLock KeReleaseSpinLockForDpc "
    "KeReleaseSpinLockFromDpcLevel KeRemoveDeviceQueue KeRemoveQueueDpc KeRemoveQueueDpcEx "
    "KeResetEvent KeRevertToUserAffinityThreadEx KeRevertToUserGroupAffinityThread "
    "KeSetBasePriorityThread KeSetCoalescableTimer KeSetEvent KeSetImportanceDpc "
    "KeSetPriorityThread KeSetSystemAffinityThreadEx KeSetSystemGroupAffinityThread "
    "KeSetTargetProcessorDpc KeSetTargetProcessorDpcEx KeSetTimer KeSetTimerEx "
    "KeShouldYieldProcessor KeSignalCallDpcDone KeSignalCallDpcSynchronize "
    "KeStallExecutionProcessor KeTestSpinLock KeTryToAcquireGuardedMutex "
    "KeTryToAcquireSpinLockAtDpcLevel KeWaitForMultipleObjects KeWaitForSingleObject "
    "KfRaiseIrql MmAdvanceMdl MmBuildMdlForNonPagedPool "
    "MmDoesFileHaveUserWritableReferences MmFreeContiguousMemory MmFreePagesFromMdl "
    "MmGetPhysicalAddress MmGetSystemRoutineAddress MmIsAddressValid MmIsDriverVerifying "
    "MmLockPagableDataSection MmProbeAndLockPages MmProtectMdlSystemAddress MmSizeOfMdl "
    "MmUnlockPagableImageSection MmUnlockPages MmUnmapLockedPages NdisAcquireRWLockRead "
    "NdisAcquireRWLockWrite NdisAdjustNetBufferCurrentMdl NdisAdvanceNetBufferDataStart "
    "NdisAdvanceNetBufferListDataStart NdisAllocateSpinLock NdisCancelTimerObject "
    "NdisCloseConfiguration NdisCopyReceiveNetBufferListInfo NdisCopySendNetBufferListInfo "
    "NdisCurrentGroupAndProcessor NdisCurrentProcessorIndex NdisDeregisterDeviceEx "
    "NdisFCancelDirectOidRequest NdisFCancelOidRequest NdisFCancelSendNetBufferLists "
    "NdisFDeregisterFilterDriver NdisFDevicePnPEventNotify NdisFDirectOidRequestComplete "
    "NdisFIndicateReceiveNetBufferLists NdisFIndicateStatus NdisFNetPnPEvent "
    "NdisFOidRequestComplete NdisFPauseComplete NdisFRestartComplete "
    "NdisFReturnNetBufferLists NdisFSendNetBufferLists NdisFSendNetBufferListsComplete "
    "NdisFSynchronousOidRequest NdisFreeCloneNetBufferList NdisFreeCloneOidRequest "
    "NdisFreeFragmentNetBufferList NdisFreeGenericObject NdisFreeIoWorkItem NdisFreeMdl "
    "NdisFreeMemory NdisFreeMemoryWithTag NdisFreeMemoryWithTagPriority NdisFreeNetBuffer "
    "NdisFreeNetBufferList NdisFreeNetBufferListContext NdisFreeNetBufferListPool "
    "NdisFreeNetBufferPool NdisFreeRWLock NdisFreeReassembledNetBufferList "
    "NdisFreeSpinLock NdisFreeTimerObject NdisGeneratePartialCancelId "
    "NdisGetDeviceReservedExtension NdisGetPoolFromNetBuffer NdisGetPoolFromNetBufferList "
    "NdisGetRoutineAddress NdisGetSharedDataAlignment NdisGetSystemUpTimeEx NdisGetVersion "
    "NdisGroupActiveProcessorCount NdisGroupMaxProcessorCount "
    "NdisIfGetInterfaceIndexFromNetLuid NdisIfGetNetLuidFromInterfaceIndex "
    "NdisInitializeEvent NdisMSleep NdisQueueIoWorkItem NdisReleaseRWLock NdisResetEvent "
    "NdisSetCoalescableTimerObject NdisSetEvent NdisSetTimerObject "
    "NdisSystemActiveProcessorCount NdisSystemProcessorCount NdisWaitEvent "
    "NdisWriteErrorLogEntry NdisWriteEventLogEntry ObCloseHandle "
    "ObDereferenceObjectDeferDelete ObReferenceObjectByHandle ObReferenceObjectByPointer "
    "ObReleaseObjectSecurity ObfDereferenceObject ObfReferenceObject ProbeForRead "
    "ProbeForWrite PsDereferencePrimaryToken PsGetCurrentProcessId PsGetCurrentThreadId "
    "PsGetProcessCreateTimeQuadPart PsGetProcessId PsGetThreadId PsGetThreadProcess "
    "PsGetThreadProcessId PsGetVersion PsIsSystemThread PsIsThreadTerminating "
    "PsLookupProcessByProcessId PsLookupThreadByThreadId PsProcessType "
    "PsReferencePrimaryToken PsRemoveCreateThreadNotifyRoutine PsTerminateSystemThread "
    "PsThreadType RtlAddAccessAllowedAce RtlAppendUnicodeStringToString "
    "RtlAppendUnicodeToString RtlAreBitsClear RtlAreBitsSet RtlAssert RtlClearAllBits "
    "RtlClearBit RtlClearBits RtlCompareMemory RtlCompareUnicodeString "
    "RtlCopyUnicodeString RtlCreateAcl RtlCreateSecurityDescriptor RtlDowncaseUnicodeChar "
    "RtlEqualSid RtlEqualUnicodeString RtlFindClearBits RtlFindClearBitsAndSet "
    "RtlFreeAnsiString RtlFreeUnicodeString RtlGUIDFromString RtlGetVersion "
    "RtlHashUnicodeString RtlInitAnsiString RtlInitString RtlInitUnicodeString "
    "RtlInitUnicodeStringEx RtlInitializeBitMap RtlInt64ToUnicodeString "
    "RtlIntegerToUnicodeString RtlIpv4AddressToStringA RtlIpv4AddressToStringW "
    "RtlIpv4StringToAddressA RtlIpv4StringToAddressW RtlIpv6AddressToStringA "
    "RtlIpv6AddressToStringW RtlIpv6StringToAddressA RtlIpv6StringToAddressW "
    "RtlIsNtDdiVersionAvailable RtlLengthSecurityDescriptor RtlLengthSid "
    "RtlNumberOfSetBits RtlPrefixUnicodeString RtlRandomEx RtlSetAllBits RtlSetBit "
    "RtlSetBits RtlSetDaclSecurityDescriptor RtlSuffixUnicodeString RtlTestBit "
    "RtlTimeFieldsToTime RtlTimeToTimeFields RtlUTF8ToUnicodeN RtlUnicodeStringToInteger "
    "RtlUnicodeToUTF8N RtlUpcaseUnicodeChar RtlValidSecurityDescriptor RtlValidSid "
    "SeAccessCheck SeCaptureSubjectContext SeLockSubjectContext SeReleaseSubjectContext "
    "SeSinglePrivilegeCheck SeTokenIsAdmin SeUnlockSubjectContext WdfVersionBind "
    "WdfVersionUnbind ZwClose ZwSetEvent ZwWaitForSingleObject __chkstk _snprintf "
    "_snwprintf _vsnprintf _vsnwprintf memchr memcmp memcpy memmove memset strcmp strlen "
    "strncmp wcscmp wcslen wcsncmp";

/* Not exports: what a lookaside list calls in a driver's name, from an inline function of it. */
static const char internal[] = "default_allocate default_allocate_ex";
/* clang-format on */

/* A whole word of a list. */
static bool is_in(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length) {
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    }
    return false;
}

enum vf_fallible vf_fallible(const char *import)
{
    return is_in(fallible, import)      ? VfImportFallible
           : is_in(never_fails, import) ? VfImportNeverFails
                                        : VfImportUnknown;
}

static bool has_point(const char *name)
{
    for (const struct vf_fault_point *point = __start_nt_fault_points;
         point < __stop_nt_fault_points; point++) {
        if (!strcmp(point->function, name))
            return true;
    }
    return false;
}

const char *vf_fallible_check(void)
{
    static char text[256];
    for (const struct nt_export *export = __start_nt_exports; export < __stop_nt_exports;
         export ++) {
        const char *name = export->name;
        const char *wrong = NULL;
        if (is_in(fallible, name) && is_in(never_fails, name))
            wrong = "is in both lists";
        else if (vf_fallible(name) == VfImportUnknown)
            wrong = "is in neither list";
        else if (vf_fallible(name) == VfImportFallible && !has_point(name))
            wrong = "may fail, but does not ask vf_fault()";
        if (wrong) {
            snprintf(text, sizeof text, "%s %s", name, wrong);
            return text;
        }
    }
    for (const struct vf_fault_point *point = __start_nt_fault_points;
         point < __stop_nt_fault_points; point++) {
        if (vf_fallible(point->function) != VfImportFallible && !is_in(internal, point->function)) {
            snprintf(text, sizeof text, "%s asks vf_fault(), but is not listed as fallible",
                     point->function);
            return text;
        }
    }
    return NULL;
}
