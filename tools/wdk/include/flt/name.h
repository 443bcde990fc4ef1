/*
 * Names of files. A FLT_FILE_NAME_INFORMATION that a function returns is counted:
 * FltReleaseFileNameInformation.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI
FltGetFileNameInformation(PFLT_CALLBACK_DATA CallbackData, FLT_FILE_NAME_OPTIONS NameOptions,
                          _Outptr_ PFLT_FILE_NAME_INFORMATION *FileNameInformation);
NTKERNELAPI NTSTATUS NTAPI FltGetFileNameInformationUnsafe(
    PFILE_OBJECT FileObject, _In_opt_ PFLT_INSTANCE Instance, FLT_FILE_NAME_OPTIONS NameOptions,
    _Outptr_ PFLT_FILE_NAME_INFORMATION *FileNameInformation);
NTKERNELAPI VOID NTAPI
FltReferenceFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
NTKERNELAPI VOID NTAPI
FltReleaseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation);
NTKERNELAPI NTSTATUS NTAPI
FltParseFileNameInformation(_Inout_ PFLT_FILE_NAME_INFORMATION FileNameInformation);
NTKERNELAPI NTSTATUS NTAPI FltParseFileName(PCUNICODE_STRING FileName,
                                            _Inout_opt_ PUNICODE_STRING Extension,
                                            _Inout_opt_ PUNICODE_STRING Stream,
                                            _Inout_opt_ PUNICODE_STRING FinalComponent);
NTKERNELAPI NTSTATUS NTAPI FltGetDestinationFileNameInformation(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, _In_opt_ HANDLE RootDirectory,
    _In_reads_bytes_(FileNameLength) PWSTR FileName, ULONG FileNameLength,
    FLT_FILE_NAME_OPTIONS NameOptions, _Outptr_ PFLT_FILE_NAME_INFORMATION *RetFileNameInformation);
NTKERNELAPI NTSTATUS NTAPI FltGetTunneledName(
    PFLT_CALLBACK_DATA CallbackData, PFLT_FILE_NAME_INFORMATION FileNameInformation,
    _Outptr_result_maybenull_ PFLT_FILE_NAME_INFORMATION *RetTunneledFileNameInformation);
NTKERNELAPI NTSTATUS NTAPI FltPurgeFileNameInformationCache(PFLT_INSTANCE Instance,
                                                            _In_opt_ PFILE_OBJECT FileObject);
NTKERNELAPI NTSTATUS NTAPI FltCheckAndGrowNameControl(_Inout_ PFLT_NAME_CONTROL NameCtrl,
                                                      USHORT NewSize);
NTKERNELAPI NTSTATUS NTAPI FltIsDirectory(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance,
                                          _Out_ PBOOLEAN IsDirectory);
