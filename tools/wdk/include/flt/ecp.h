/*
 * Extra create parameters of an IRP_MJ_CREATE.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI
FltGetEcpListFromCallbackData(PFLT_FILTER Filter, PFLT_CALLBACK_DATA CallbackData,
                              _Outptr_result_maybenull_ PECP_LIST *EcpList);
NTKERNELAPI NTSTATUS NTAPI FltSetEcpListIntoCallbackData(PFLT_FILTER Filter,
                                                         PFLT_CALLBACK_DATA CallbackData,
                                                         PECP_LIST EcpList);
NTKERNELAPI NTSTATUS NTAPI FltAllocateExtraCreateParameterList(PFLT_FILTER Filter,
                                                               FSRTL_ALLOCATE_ECPLIST_FLAGS Flags,
                                                               _Outptr_ PECP_LIST *EcpList);
NTKERNELAPI VOID NTAPI FltFreeExtraCreateParameterList(PFLT_FILTER Filter, PECP_LIST EcpList);
NTKERNELAPI NTSTATUS NTAPI FltAllocateExtraCreateParameter(
    PFLT_FILTER Filter, LPCGUID EcpType, ULONG SizeOfContext, FSRTL_ALLOCATE_ECP_FLAGS Flags,
    _In_opt_ PFSRTL_EXTRA_CREATE_PARAMETER_CLEANUP_CALLBACK CleanupCallback, ULONG PoolTag,
    _Outptr_ PVOID *EcpContext);
NTKERNELAPI VOID NTAPI FltFreeExtraCreateParameter(PFLT_FILTER Filter, PVOID EcpContext);
NTKERNELAPI NTSTATUS NTAPI FltInsertExtraCreateParameter(PFLT_FILTER Filter,
                                                         _Inout_ PECP_LIST EcpList,
                                                         _Inout_ PVOID EcpContext);
NTKERNELAPI NTSTATUS NTAPI FltRemoveExtraCreateParameter(PFLT_FILTER Filter,
                                                         _Inout_ PECP_LIST EcpList, LPCGUID EcpType,
                                                         _Outptr_ PVOID *EcpContext,
                                                         _Out_opt_ ULONG *EcpContextSize);
NTKERNELAPI NTSTATUS NTAPI FltFindExtraCreateParameter(PFLT_FILTER Filter, PECP_LIST EcpList,
                                                       LPCGUID EcpType,
                                                       _Outptr_opt_ PVOID *EcpContext,
                                                       _Out_opt_ ULONG *EcpContextSize);
NTKERNELAPI NTSTATUS NTAPI FltGetNextExtraCreateParameter(PFLT_FILTER Filter, PECP_LIST EcpList,
                                                          _In_opt_ PVOID CurrentEcpContext,
                                                          _Out_opt_ LPGUID NextEcpType,
                                                          _Outptr_opt_ PVOID *NextEcpContext,
                                                          _Out_opt_ ULONG *NextEcpContextSize);
NTKERNELAPI VOID NTAPI FltAcknowledgeEcp(PFLT_FILTER Filter, PVOID EcpContext);
NTKERNELAPI BOOLEAN NTAPI FltIsEcpAcknowledged(PFLT_FILTER Filter, PVOID EcpContext);
NTKERNELAPI BOOLEAN NTAPI FltIsEcpFromUserMode(PFLT_FILTER Filter, PVOID EcpContext);
