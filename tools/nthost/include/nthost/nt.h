/*
 * NT's file services on file objects, for code inside the host: the FUSE edge and tests.
 *
 * What NtCreateFile and its kin do, without handles: a successful nt_create gives a file object
 * with one handle's worth of life and one reference. The last nt_close sends IRP_MJ_CLEANUP; the
 * last reference (requests, the cache manager and filters hold some) IRP_MJ_CLOSE. All requests go
 * to the top of the file's device stack.
 *
 * All functions: PASSIVE_LEVEL, in driver context (nt_enter); they wait. A request is that of the
 * process that the thread works for (nt_process_enter). Statuses are NT's: STATUS_BUFFER_OVERFLOW
 * and STATUS_NO_MORE_FILES among them; `information` is IoStatus.Information and may be NULL.
 */
#pragma once
#include <ntifs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/* Names: bytes of Linux <-> UTF-16 of NT.
 *
 * UTF-8 becomes UTF-16. A byte that is no part of well-formed UTF-8, and a character that NT names
 * cannot have (1 .. 31, " * : < > ? \ |), becomes U+F000 + byte, as WSL does; so does each byte of
 * a character U+F000 .. U+F0FF itself. Every Linux name thus has an NT name of its own.
 * Both return the length (chars or bytes) without a terminating zero, or -1: `room` is too small,
 * or (to_unix) no Linux name: empty, ".", "..", a '/' or zero in it, a lone surrogate, longer than
 * 255 bytes. One component; from_unix takes also a path if `path`: '/' becomes '\'. */
int nt_name_from_unix(const char *name, size_t bytes, bool path, WCHAR *out, unsigned room);
int nt_name_to_unix(const WCHAR *name, unsigned chars, char *out, unsigned room);

/* Who asks */

/* The process object of a Linux process: found, or made with the image path of /proc/PID/exe; a
 * pid of 0 or of no process is the System process. Referenced; nt_process_release it. */
PEPROCESS nt_process_of(uint32_t pid);
/* One for a test. `image`: an NT or Linux path, as filters will see it. NULL: no memory or refused
 * by a process notification. nt_process_exit ends it and gives up the reference. */
PEPROCESS nt_process_create(uint32_t pid, const char *image);
void nt_process_exit(PEPROCESS process);
void nt_process_release(PEPROCESS process);
const char *nt_process_image(PEPROCESS process);
/* The calling thread works for `process` until the one that is returned is put back by it. */
PEPROCESS nt_process_enter(PEPROCESS process);

/* Opening and closing */

struct nt_create {
    /* in */
    PFILE_OBJECT root;     /* NULL: `name` is absolute: \Device\HarddiskVolume2\a, \??\X:\a */
    PCUNICODE_STRING name; /* with a root: relative, not beginning with '\'; empty: root again */
    const void *id;        /* instead of a name: FileId on root's volume (root is needed), */
    ULONG id_bytes;        /* 8 or 16; FILE_OPEN_BY_FILE_ID is added */
    ACCESS_MASK access;
    ULONG attributes, share, disposition, options; /* FILE_ATTRIBUTE_, FILE_SHARE_, FILE_ */
    LONGLONG allocation;
    const void *ea; /* FILE_FULL_EA_INFORMATION list. $LXUID, $LXGID, $LXMOD, $LXDEV (ULONG values,
                       LXDEV two) decide owner, type and mode of a new file, on Linux too; with
                       $LXMOD of a symbolic link, $LXTARGET is where it leads (bytes) */
    ULONG ea_bytes;
    PSECURITY_DESCRIPTOR security; /* NULL: the default */
    bool case_sensitive;           /* else OBJ_CASE_INSENSITIVE */
    bool target_directory;         /* SL_OPEN_TARGET_DIRECTORY: opens the folder of `name`;
                                      information FILE_EXISTS or FILE_DOES_NOT_EXIST; FileName
                                      becomes the last component */
    KPROCESSOR_MODE mode;          /* UserMode: access is checked against the process's token */
    /* out */
    ULONG_PTR information; /* FILE_CREATED, ... */
    ACCESS_MASK granted;
    PFILE_OBJECT file;
};
/* FILE_READ_ATTRIBUTES and SYNCHRONIZE are added to the access, as CreateFile does. Dispositions
 * that overwrite take named streams and "user." EAs away, as on NTFS: O_TRUNC is an end of file of
 * 0. */
NTSTATUS nt_create(struct nt_create *create);

/* Another handle on the same open (a duplicated one). Every handle is closed once. */
void nt_duplicate(PFILE_OBJECT file);
void nt_close(PFILE_OBJECT file);

/* Data. `offset` NULL: the file's position, which moves (FILE_SYNCHRONOUS_IO_* only, and one
 * request at a time then). *offset NT_APPEND: at the end of the file, atomically. Fast I/O is tried
 * first where the file was opened with FILE_SYNCHRONOUS_IO_* and is cached, as NtWriteFile does;
 * with an offset several requests of one file object may run at a time, as if each had a handle of
 * its own. Non-cached, write-through: by the options of the open. STATUS_ACCESS_DENIED if the open
 * was not granted it. */
#define NT_APPEND (-1ll)
NTSTATUS nt_read(PFILE_OBJECT file, void *data, ULONG bytes, const LONGLONG *offset,
                 ULONG_PTR *information);
NTSTATUS nt_write(PFILE_OBJECT file, const void *data, ULONG bytes, const LONGLONG *offset,
                  ULONG_PTR *information);

/* Paging I/O from the top of the stack: IRP_PAGING_IO | IRP_NOCACHE with an MDL, not checked for
 * access, also after CLEANUP (the caller has a reference then). A write is cut at the end of the
 * file. synchronous: IRP_SYNCHRONOUS_PAGING_IO. */
NTSTATUS nt_paging_read(PFILE_OBJECT file, void *data, ULONG bytes, LONGLONG offset,
                        ULONG_PTR *information);
NTSTATUS nt_paging_write(PFILE_OBJECT file, const void *data, ULONG bytes, LONGLONG offset,
                         bool synchronous, ULONG_PTR *information);

/* A user mapping of this protection (PAGE_READONLY, PAGE_READWRITE, ...) is about to be made:
 * ACQUIRE_FOR_SECTION_SYNCHRONIZATION to filters and the file system, then its release. To be made
 * before the first FUSE_WRITE_CACHE write of a file object. */
NTSTATUS nt_section_notice(PFILE_OBJECT file, ULONG page_protection);

/* A mapped view of [0, size): a user-writable (or read-only) section over the file as long as it is
 * now. The bytes are those of the cache; what is stored by nt_view_store is paged out by the mapped
 * writer later, by nt_view_flush, or by a flush of the file. The view keeps the file object
 * referenced, not open. */
struct nt_view;
NTSTATUS nt_view_create(PFILE_OBJECT file, bool writable, struct nt_view **view);
const void *nt_view_bytes(const struct nt_view *view, size_t *size);
void nt_view_store(struct nt_view *view, LONGLONG offset, const void *data, size_t bytes);
NTSTATUS nt_view_flush(struct nt_view *view); /* FlushViewOfFile */
void nt_view_destroy(struct nt_view *view);   /* what is dirty stays dirty */

/* Information. The position is the I/O manager's own; basic, standard and network open information
 * go by fast I/O where NT does it. */
NTSTATUS nt_query_information(PFILE_OBJECT file, FILE_INFORMATION_CLASS information_class,
                              void *data, ULONG bytes, ULONG_PTR *information);
/* Rename and link information with a RootDirectory handle or a full path open the target's folder
 * first, as NtSetInformationFile does. */
NTSTATUS nt_set_information(PFILE_OBJECT file, FILE_INFORMATION_CLASS information_class,
                            const void *data, ULONG bytes);
/* The same without a structure to build. root NULL: a name in the file's own folder if it has no
 * '\', else a full path. flags: FILE_RENAME_REPLACE_IF_EXISTS, FILE_RENAME_POSIX_SEMANTICS, ...,
 * and the same bits of links. By the Ex classes. */
NTSTATUS nt_rename(PFILE_OBJECT file, PFILE_OBJECT root, PCUNICODE_STRING name, ULONG flags);
NTSTATUS nt_link(PFILE_OBJECT file, PFILE_OBJECT root, PCUNICODE_STRING name, ULONG flags);
/* FileDispositionInformationEx: FILE_DISPOSITION_DELETE, ..POSIX_SEMANTICS, ... */
NTSTATUS nt_dispose(PFILE_OBJECT file, ULONG flags);
NTSTATUS nt_set_end_of_file(PFILE_OBJECT file, LONGLONG size);

/* flags: SL_RESTART_SCAN, SL_RETURN_SINGLE_ENTRY. pattern NULL: that of the first call; "*". */
NTSTATUS nt_query_directory(PFILE_OBJECT file, FILE_INFORMATION_CLASS information_class, void *data,
                            ULONG bytes, PCUNICODE_STRING pattern, UCHAR flags,
                            ULONG_PTR *information);

/* As on NTFS an EA with an empty value is none: setting one removes it, and one that is asked for
 * by name and is not there is given back empty. list: FILE_GET_EA_INFORMATION, NULL: all. flags:
 * SL_RESTART_SCAN, SL_RETURN_SINGLE_ENTRY. */
NTSTATUS nt_query_ea(PFILE_OBJECT file, void *data, ULONG bytes, const void *list, ULONG list_bytes,
                     UCHAR flags, ULONG_PTR *information);
NTSTATUS nt_set_ea(PFILE_OBJECT file, const void *data, ULONG bytes);

/* *needed with STATUS_BUFFER_OVERFLOW (the I/O manager's STATUS_BUFFER_TOO_SMALL). */
NTSTATUS nt_query_security(PFILE_OBJECT file, SECURITY_INFORMATION which, void *data, ULONG bytes,
                           ULONG *needed);
NTSTATUS nt_set_security(PFILE_OBJECT file, SECURITY_INFORMATION which, PSECURITY_DESCRIPTOR data);

/* flags: FLUSH_FLAGS_*, the IRP's minor function; 0: data, metadata and name, durable. Asks for no
 * granted access, unlike NtFlushBuffersFile: fsync does not. */
NTSTATUS nt_flush(PFILE_OBJECT file, UCHAR flags);
NTSTATUS nt_fsctl(PFILE_OBJECT file, ULONG code, const void *input, ULONG input_bytes, void *output,
                  ULONG output_bytes, ULONG_PTR *information);

/* Byte-range locks of NT. wait: until it is granted; else STATUS_LOCK_NOT_GRANTED. */
NTSTATUS nt_lock(PFILE_OBJECT file, LONGLONG offset, LONGLONG bytes, ULONG key, bool wait,
                 bool exclusive);
NTSTATUS nt_unlock(PFILE_OBJECT file, LONGLONG offset, LONGLONG bytes, ULONG key);

NTSTATUS nt_query_volume(PFILE_OBJECT file, FS_INFORMATION_CLASS information_class, void *data,
                         ULONG bytes, ULONG_PTR *information);
