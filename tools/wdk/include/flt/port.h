/*
 * Communication ports between a minifilter and programs in user mode.
 */
#pragma once

#define FLT_PORT_CONNECT    0x00000001
#define FLT_PORT_ALL_ACCESS (FLT_PORT_CONNECT | STANDARD_RIGHTS_ALL)

typedef NTSTATUS(NTAPI *PFLT_CONNECT_NOTIFY)(PFLT_PORT ClientPort, _In_opt_ PVOID ServerPortCookie,
                                             _In_reads_bytes_opt_(SizeOfContext)
                                                 PVOID ConnectionContext,
                                             ULONG SizeOfContext,
                                             _Outptr_result_maybenull_ PVOID *ConnectionPortCookie);
typedef VOID(NTAPI *PFLT_DISCONNECT_NOTIFY)(_In_opt_ PVOID ConnectionCookie);
typedef NTSTATUS(NTAPI *PFLT_MESSAGE_NOTIFY)(
    _In_opt_ PVOID PortCookie, _In_reads_bytes_opt_(InputBufferLength) PVOID InputBuffer,
    ULONG InputBufferLength,
    _Out_writes_bytes_to_opt_(OutputBufferLength, *ReturnOutputBufferLength) PVOID OutputBuffer,
    ULONG OutputBufferLength, _Out_ PULONG ReturnOutputBufferLength);

/* What stands before a message and a reply in user mode (fltUserStructures.h) */
typedef struct _FILTER_MESSAGE_HEADER {
    ULONG ReplyLength;
    ULONGLONG MessageId;
} FILTER_MESSAGE_HEADER, *PFILTER_MESSAGE_HEADER;

typedef struct _FILTER_REPLY_HEADER {
    NTSTATUS Status;
    ULONGLONG MessageId;
} FILTER_REPLY_HEADER, *PFILTER_REPLY_HEADER;

NTKERNELAPI NTSTATUS NTAPI FltBuildDefaultSecurityDescriptor(
    _Outptr_ PSECURITY_DESCRIPTOR *SecurityDescriptor, ACCESS_MASK DesiredAccess);
NTKERNELAPI VOID NTAPI FltFreeSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor);
NTKERNELAPI NTSTATUS NTAPI FltCreateCommunicationPort(
    PFLT_FILTER Filter, _Outptr_ PFLT_PORT *ServerPort, POBJECT_ATTRIBUTES ObjectAttributes,
    _In_opt_ PVOID ServerPortCookie, PFLT_CONNECT_NOTIFY ConnectNotifyCallback,
    PFLT_DISCONNECT_NOTIFY DisconnectNotifyCallback,
    _In_opt_ PFLT_MESSAGE_NOTIFY MessageNotifyCallback, LONG MaxConnections);
NTKERNELAPI VOID NTAPI FltCloseCommunicationPort(PFLT_PORT ServerPort);
NTKERNELAPI VOID NTAPI FltCloseClientPort(PFLT_FILTER Filter, _Outptr_ PFLT_PORT *ClientPort);
NTKERNELAPI NTSTATUS NTAPI FltSendMessage(PFLT_FILTER Filter, PFLT_PORT *ClientPort,
                                          _In_reads_bytes_(SenderBufferLength) PVOID SenderBuffer,
                                          ULONG SenderBufferLength,
                                          _Out_writes_bytes_opt_(*ReplyLength) PVOID ReplyBuffer,
                                          _Inout_opt_ PULONG ReplyLength,
                                          _In_opt_ PLARGE_INTEGER Timeout);
