/*
 * Names of files: FLT_FILE_NAME_INFORMATIONs, where they come from, and what is kept of them.
 *
 * Before a create, a name is what the file object says: the related file object's name and the path
 * behind it; it is normalized by asking the file system for the name of the folder that it is in,
 * which is opened for that. Of an open file the file system is asked
 * (FileNormalizedNameInformation, or FileNameInformation where it does not know that).
 *
 * Names are kept per file object (two file objects of one stream may have been opened by different
 * links) and, of folders that were opened for normalization, per volume. Both are good as long as
 * the generation that they were asked in lasts: a rename of a folder begins another one for the
 * volume, that of a file for its stream, once before it goes to the file system and once after.
 *
 * WDK: FltGetFileNameInformation, FLT_FILE_NAME_INFORMATION, FLT_FILE_NAME_OPTIONS,
 * "Managing File Names".
 */
#pragma once
#include "context.h"
#include "file_target.h"
#include "op.h"

struct flt_name {
    atomic_long references;
    PFLT_FILTER holder; /* with the verifier: whose it is; NULL: the cache's */
    long renames, stream_renames;
    FLT_FILE_NAME_INFORMATION info; /* names point into `text` */
    WCHAR text[];
};

/* Room for so many characters behind the volume's name, which is filled in. One reference. */
struct flt_name *flt_name_create(PFLT_VOLUME volume, unsigned chars);
void flt_name_append(struct flt_name *name, const WCHAR *text, unsigned chars);
void flt_name_release(struct flt_name *name);

/* names.c: for a driver: with the verifier a copy that is known to be its own. Takes `name` over.
 */
NTSTATUS flt_name_hand_out(struct flt_name *name, PFLT_INSTANCE instance,
                           PFLT_FILE_NAME_INFORMATION *out);
bool flt_name_options_valid(FLT_FILE_NAME_OPTIONS options);

/* name_cache.c */
struct flt_name *flt_names_find(PFLT_VOLUME volume, PFILE_OBJECT file, unsigned format);
/* The generations that a name which is about to be asked for will have. */
struct flt_generation {
    long renames, stream_renames;
};
struct flt_generation flt_names_generation(PFLT_VOLUME volume, PFILE_OBJECT file);
void flt_names_keep(PFLT_VOLUME volume, PFILE_OBJECT file, unsigned format, struct flt_name *name,
                    struct flt_generation generation);
void flt_names_purge(PFLT_VOLUME volume, PFILE_OBJECT file);
void flt_names_drop_file(struct flt_file *own);
/* Folders: `path` is as it was opened, behind the volume. */
struct flt_name *flt_folders_find(PFLT_VOLUME volume, PCUNICODE_STRING path);
void flt_folders_keep(PFLT_VOLUME volume, PCUNICODE_STRING path, struct flt_name *name,
                      struct flt_generation generation);
void flt_names_forget(PFLT_VOLUME volume);

/* name_query.c: what the file system calls an open file, volume included. */
NTSTATUS flt_name_query(PFLT_VOLUME volume, PFILE_OBJECT file, unsigned format,
                        struct flt_name **out);
/* A path behind the volume, as it was given, normalized but for its last component. */
NTSTATUS flt_name_normalize(PFLT_VOLUME volume, PFLT_INSTANCE instance, PCUNICODE_STRING path,
                            struct flt_name **out);

/* `last` in the folder at `folder` (behind the volume, as the file system calls it), normalized. */
struct flt_name *flt_name_join(PFLT_VOLUME volume, PCUNICODE_STRING folder, PCUNICODE_STRING last);

/* An operation that changes names; name_change.c */
enum flt_rename { FltRenameNone, FltRenameFile, FltRenameFolder };
