/* Files by Zw*: what a driver's own log and state files need. */
#include "iotest.h"

static NTSTATUS OpenPath(_Out_ PHANDLE Handle, _In_ PCWSTR Path, ACCESS_MASK Access, ULONG Share,
                         ULONG Disposition, ULONG Options, _Out_ ULONG_PTR *Information)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb = {0};

    RtlInitUnicodeString(&name, Path);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               NULL);
    NTSTATUS status = ZwCreateFile(Handle, Access, &attributes, &iosb, NULL, FILE_ATTRIBUTE_NORMAL,
                                   Share, Disposition, Options, NULL, 0);
    *Information = iosb.Information;
    return status;
}

#define FOLDER  L"\\??\\C:\\IoTest"
#define PATH    L"\\??\\C:\\IoTest\\state.bin"
#define UPCASED L"\\??\\c:\\iotest\\STATE.BIN"
#define SYNC    (FILE_SYNCHRONOUS_IO_NONALERT | FILE_NON_DIRECTORY_FILE)
/* Less than the longest file of NTFS and ext4, 16 TiB. */
#define MORE_THAN_THERE_IS (15LL << 40)
#define RW                 (GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE)

static VOID ReadAndWrite(_In_ HANDLE File, _Inout_ IOTEST_RESULT *Result)
{
    static CHAR text[] = "0123456789abcdef";
    CHAR buffer[32];
    IO_STATUS_BLOCK iosb;
    LARGE_INTEGER offset = {.QuadPart = 0};
    FILE_STANDARD_INFORMATION standard;
    FILE_POSITION_INFORMATION position;
    FILE_END_OF_FILE_INFORMATION end = {.EndOfFile.QuadPart = 4};

    CHECK_STATUS(ZwWriteFile(File, NULL, NULL, NULL, &iosb, text, 16, &offset, NULL),
                 STATUS_SUCCESS);
    CHECK(iosb.Information == 16);
    /* The position follows: this one appends. */
    CHECK_STATUS(ZwWriteFile(File, NULL, NULL, NULL, &iosb, text, 4, NULL, NULL), STATUS_SUCCESS);
    CHECK_STATUS(
        ZwQueryInformationFile(File, &iosb, &standard, sizeof(standard), FileStandardInformation),
        STATUS_SUCCESS);
    CHECK(standard.EndOfFile.QuadPart == 20 && !standard.Directory && !standard.DeletePending);
    CHECK_STATUS(
        ZwQueryInformationFile(File, &iosb, &position, sizeof(position), FilePositionInformation),
        STATUS_SUCCESS);
    CHECK(position.CurrentByteOffset.QuadPart == 20);
    offset.QuadPart = 10;
    RtlZeroMemory(buffer, sizeof(buffer));
    CHECK_STATUS(ZwReadFile(File, NULL, NULL, NULL, &iosb, buffer, sizeof(buffer), &offset, NULL),
                 STATUS_SUCCESS);
    CHECK(iosb.Information == 10 && RtlEqualMemory(buffer, "abcdef0123", 10));
    CHECK_STATUS(ZwReadFile(File, NULL, NULL, NULL, &iosb, buffer, 1, NULL, NULL),
                 STATUS_END_OF_FILE);
    position.CurrentByteOffset.QuadPart = 1;
    CHECK_STATUS(
        ZwSetInformationFile(File, &iosb, &position, sizeof(position), FilePositionInformation),
        STATUS_SUCCESS);
    CHECK_STATUS(ZwReadFile(File, NULL, NULL, NULL, &iosb, buffer, 2, NULL, NULL), STATUS_SUCCESS);
    CHECK(RtlEqualMemory(buffer, "12", 2));
    CHECK_STATUS(ZwSetInformationFile(File, &iosb, &end, sizeof(end), FileEndOfFileInformation),
                 STATUS_SUCCESS);
    CHECK_STATUS(
        ZwQueryInformationFile(File, &iosb, &standard, sizeof(standard), FileStandardInformation),
        STATUS_SUCCESS);
    CHECK(standard.EndOfFile.QuadPart == 4);
    /* Whoever is told that his file has a size has the room, too. */
    end.EndOfFile.QuadPart = MORE_THAN_THERE_IS;
    CHECK_STATUS(ZwSetInformationFile(File, &iosb, &end, sizeof(end), FileEndOfFileInformation),
                 STATUS_DISK_FULL);
    CHECK_STATUS(
        ZwQueryInformationFile(File, &iosb, &standard, sizeof(standard), FileStandardInformation),
        STATUS_SUCCESS);
    CHECK(standard.EndOfFile.QuadPart == 4);
    CHECK_STATUS(ZwQueryInformationFile(File, &iosb, &standard, 4, FileStandardInformation),
                 STATUS_INFO_LENGTH_MISMATCH);
    CHECK_STATUS(ZwFlushBuffersFile(File, &iosb), STATUS_SUCCESS);
Done:
    return;
}

VOID IoTestFiles(_Inout_ IOTEST_RESULT *Result)
{
    HANDLE folder = NULL, file = NULL, other = NULL;
    ULONG_PTR information;
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;
    IO_STATUS_BLOCK iosb;

    CHECK_STATUS(OpenPath(&file, PATH, RW, 0, FILE_CREATE, SYNC, &information),
                 STATUS_OBJECT_PATH_NOT_FOUND);
    CHECK_STATUS(OpenPath(&folder, FOLDER, GENERIC_READ | SYNCHRONIZE, FILE_SHARE_READ,
                          FILE_OPEN_IF, FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT,
                          &information),
                 STATUS_SUCCESS);
    CHECK(information == FILE_CREATED);
    CHECK_STATUS(OpenPath(&file, PATH, RW, 0, FILE_OPEN, SYNC, &information),
                 STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK_STATUS(OpenPath(&file, FOLDER, RW, 0, FILE_OPEN, SYNC, &information),
                 STATUS_FILE_IS_A_DIRECTORY);
    CHECK_STATUS(
        OpenPath(&file, L"\\??\\C:\\..\\etc\\passwd", RW, 0, FILE_OPEN, SYNC, &information),
        STATUS_OBJECT_NAME_INVALID);
    CHECK_STATUS(OpenPath(&file, L"\\??\\C:\\a/b", RW, 0, FILE_OPEN, SYNC, &information),
                 STATUS_OBJECT_NAME_INVALID);
    CHECK_STATUS(OpenPath(&file, PATH, RW, 0, FILE_CREATE, SYNC, &information), STATUS_SUCCESS);
    CHECK(information == FILE_CREATED);
    CHECK_STATUS(OpenPath(&other, PATH, RW, 0, FILE_CREATE, SYNC, &information),
                 STATUS_OBJECT_NAME_COLLISION);
    CHECK_STATUS(
        OpenPath(&other, UPCASED, GENERIC_READ | SYNCHRONIZE, 7, FILE_OPEN, SYNC, &information),
        STATUS_SHARING_VIOLATION);
    ReadAndWrite(file, Result);
    if (Result->Line != 0) {
        goto Done;
    }
    CHECK_STATUS(ZwClose(file), STATUS_SUCCESS);
    file = NULL;
    CHECK_STATUS(OpenPath(&file, UPCASED, GENERIC_READ | SYNCHRONIZE, FILE_SHARE_READ, FILE_OPEN,
                          SYNC, &information),
                 STATUS_SUCCESS);
    CHECK(information == FILE_OPENED);
    CHECK_STATUS(OpenPath(&other, PATH, GENERIC_READ | SYNCHRONIZE, FILE_SHARE_READ, FILE_OPEN,
                          SYNC, &information),
                 STATUS_SUCCESS);
    CHECK_STATUS(ZwClose(other), STATUS_SUCCESS);
    other = NULL;

    /* Relative to a folder's handle; gone when its only handle is closed. */
    RtlInitUnicodeString(&name, L"gone.tmp");
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, folder, NULL);
    CHECK_STATUS(ZwCreateFile(&other, RW | DELETE, &attributes, &iosb, NULL, FILE_ATTRIBUTE_NORMAL,
                              0, FILE_CREATE, SYNC | FILE_DELETE_ON_CLOSE, NULL, 0),
                 STATUS_SUCCESS);
    CHECK_STATUS(ZwClose(other), STATUS_SUCCESS);
    other = NULL;
    CHECK_STATUS(ZwOpenFile(&other, RW, &attributes, &iosb, 0, SYNC), STATUS_OBJECT_NAME_NOT_FOUND);
    RtlInitUnicodeString(&name, L"\\SystemRoot\\IoTest.log");
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK_STATUS(ZwCreateFile(&other, FILE_APPEND_DATA | SYNCHRONIZE, &attributes, &iosb, NULL,
                              FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ, FILE_OPEN_IF, SYNC, NULL, 0),
                 STATUS_SUCCESS);
    CHECK_STATUS(ZwWriteFile(other, NULL, NULL, NULL, &iosb, (PVOID) "line\n", 5, NULL, NULL),
                 STATUS_SUCCESS);
    CHECK_STATUS(ZwWriteFile(other, NULL, NULL, NULL, &iosb, (PVOID) "line\n", 5, NULL, NULL),
                 STATUS_SUCCESS);
    CHECK_STATUS(ZwFlushBuffersFile(other, &iosb), STATUS_SUCCESS);
    CHECK_STATUS(ZwClose(other), STATUS_SUCCESS);
    other = NULL;
    CHECK_STATUS(ZwOpenFile(&other, GENERIC_READ | SYNCHRONIZE, &attributes, &iosb, 7, SYNC),
                 STATUS_SUCCESS);
    FILE_NETWORK_OPEN_INFORMATION network;
    CHECK_STATUS(
        ZwQueryInformationFile(other, &iosb, &network, sizeof(network), FileNetworkOpenInformation),
        STATUS_SUCCESS);
    CHECK(network.EndOfFile.QuadPart % 10 == 0 && network.EndOfFile.QuadPart >= 10);
Done:
    if (other != NULL) {
        ZwClose(other);
    }
    if (file != NULL) {
        ZwClose(file);
    }
    if (folder != NULL) {
        ZwClose(folder);
    }
}

/* In a later life of the host: what FILES and REGISTRY left is there. */
VOID IoTestState(_Inout_ IOTEST_RESULT *Result)
{
    HANDLE file = NULL, key = NULL;
    ULONG_PTR information;
    IO_STATUS_BLOCK iosb;
    CHAR buffer[8];
    UNICODE_STRING value = RTL_CONSTANT_STRING(L"Epoch");
    UCHAR info[sizeof(KEY_VALUE_PARTIAL_INFORMATION) + 8];
    PKEY_VALUE_PARTIAL_INFORMATION partial = (PKEY_VALUE_PARTIAL_INFORMATION)info;
    ULONG bytes;

    CHECK_STATUS(
        OpenPath(&file, PATH, GENERIC_READ | SYNCHRONIZE, 7, FILE_OPEN, SYNC, &information),
        STATUS_SUCCESS);
    CHECK_STATUS(ZwReadFile(file, NULL, NULL, NULL, &iosb, buffer, sizeof(buffer), NULL, NULL),
                 STATUS_SUCCESS);
    CHECK(iosb.Information == 4 && RtlEqualMemory(buffer, "0123", 4));
    CHECK_STATUS(IoOpenDriverRegistryKey(Globals.Driver, DriverRegKeyParameters, KEY_READ, 0, &key),
                 STATUS_SUCCESS);
    CHECK_STATUS(
        ZwQueryValueKey(key, &value, KeyValuePartialInformation, partial, sizeof(info), &bytes),
        STATUS_SUCCESS);
    CHECK(partial->Type == REG_QWORD && *(ULONG64 UNALIGNED *)partial->Data == 0x1122334455667788);
Done:
    if (key != NULL) {
        ZwClose(key);
    }
    if (file != NULL) {
        ZwClose(file);
    }
}
