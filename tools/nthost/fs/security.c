/*
 * Security descriptors: kept self-relative in an attribute; a file without one has a default that
 * grants everything to everyone, since Linux's own permissions are checked by whoever serves Linux
 * programs.
 *
 * WDK: IRP_MJ_QUERY_SECURITY, IRP_MJ_SET_SECURITY, SECURITY_DESCRIPTOR.
 */
#include "create.h"
#include "../io/process.h"
#include "../io/security.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define MAX_DESCRIPTOR 65536

/* The parts of either form. */
struct parts {
    USHORT control;
    const UCHAR *part[4]; /* owner, group, SACL, DACL; NULL: absent */
};
static const SECURITY_INFORMATION part_bits[4] = {
    OWNER_SECURITY_INFORMATION, GROUP_SECURITY_INFORMATION, SACL_SECURITY_INFORMATION,
    DACL_SECURITY_INFORMATION};

static ULONG part_bytes(const struct parts *parts, unsigned i)
{
    const UCHAR *part = parts->part[i];
    if (part == NULL)
        return 0;
    return i < 2 ? 8 + 4u * part[1] : ((const ACL *)part)->AclSize;
}

/* bytes 0: trusted (a kernel caller's). False: it does not hold together. */
static bool split(const void *descriptor, ULONG bytes, struct parts *parts)
{
    const SECURITY_DESCRIPTOR *absolute = descriptor;
    const SECURITY_DESCRIPTOR_RELATIVE *relative = descriptor;
    memset(parts, 0, sizeof(*parts));
    if (bytes != 0 && bytes < sizeof(*relative))
        return false;
    parts->control = absolute->Control;
    if (absolute->Revision != SECURITY_DESCRIPTOR_REVISION)
        return false;
    if (!(absolute->Control & SE_SELF_RELATIVE)) {
        if (bytes != 0)
            return false;
        parts->part[0] = absolute->Owner;
        parts->part[1] = absolute->Group;
        parts->part[2] = absolute->Control & SE_SACL_PRESENT ? (const UCHAR *)absolute->Sacl : NULL;
        parts->part[3] = absolute->Control & SE_DACL_PRESENT ? (const UCHAR *)absolute->Dacl : NULL;
        return true;
    }
    ULONG offsets[4] = {relative->Owner, relative->Group,
                        relative->Control & SE_SACL_PRESENT ? relative->Sacl : 0,
                        relative->Control & SE_DACL_PRESENT ? relative->Dacl : 0};
    for (unsigned i = 0; i < 4; i++) {
        if (offsets[i] == 0)
            continue;
        if (bytes != 0 &&
            (offsets[i] < sizeof(*relative) || offsets[i] > bytes || bytes - offsets[i] < 8))
            return false;
        parts->part[i] = (const UCHAR *)descriptor + offsets[i];
        if (bytes != 0 && part_bytes(parts, i) > bytes - offsets[i])
            return false;
    }
    return true;
}

/* Self-relative; *bytes is what it takes. Nothing is written if there is no room. */
static void join(const struct parts *parts, SECURITY_INFORMATION which, UCHAR *out, ULONG room,
                 ULONG *bytes)
{
    SECURITY_DESCRIPTOR_RELATIVE head = {.Revision = SECURITY_DESCRIPTOR_REVISION,
                                         .Control = SE_SELF_RELATIVE};
    ULONG *const offsets[4] = {&head.Owner, &head.Group, &head.Sacl, &head.Dacl};
    ULONG at = sizeof(head);
    if (which & DACL_SECURITY_INFORMATION)
        head.Control |= parts->control & (SE_DACL_PRESENT | SE_DACL_PROTECTED);
    if (which & SACL_SECURITY_INFORMATION)
        head.Control |= parts->control & SE_SACL_PRESENT;
    for (unsigned i = 0; i < 4; i++) {
        ULONG size = which & part_bits[i] ? part_bytes(parts, i) : 0;
        if (size == 0)
            continue;
        *offsets[i] = at;
        if (at + size <= room)
            memcpy(out + at, parts->part[i], size);
        at += (size + 3) & ~3u;
    }
    if (at <= room)
        memcpy(out, &head, sizeof(head));
    *bytes = at;
}

/* Owner and group Administrators, everything to everyone. */
static void take_default(struct parts *parts)
{
    static const UCHAR administrators[] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0};
    static const UCHAR everyone[] = {2,    0,    28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 0xff, 0x01,
                                     0x1f, 0x00, 1,  1, 0, 0, 0, 0, 0, 1, 0,  0, 0,    0};
    *parts = (struct parts){.control = SE_SELF_RELATIVE | SE_DACL_PRESENT,
                            .part = {administrators, administrators, NULL, everyone}};
}

/* free(*buffer) */
static void load(struct node *node, UCHAR **buffer, struct parts *parts)
{
    char path[32];
    *buffer = node_access_xattr(node) ? malloc(MAX_DESCRIPTOR) : NULL;
    if (*buffer != NULL) {
        ssize_t n = getxattr(fs_fd_path(node->fd, path), XATTR_SD, *buffer, MAX_DESCRIPTOR);
        if (n > 0 && split(*buffer, (ULONG)n, parts))
            return;
    }
    take_default(parts);
}

static NTSTATUS store(struct node *node, const struct parts *parts)
{
    char path[32];
    ULONG bytes;
    SECURITY_INFORMATION all = OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION |
                               SACL_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    if (!node_access_xattr(node))
        return STATUS_SUCCESS; /* Linux keeps none on links and special files */
    UCHAR *buffer = malloc(MAX_DESCRIPTOR);
    if (buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    join(parts, all, buffer, MAX_DESCRIPTOR, &bytes);
    NTSTATUS status = STATUS_INVALID_SECURITY_DESCR;
    if (bytes <= MAX_DESCRIPTOR)
        status = setxattr(fs_fd_path(node->fd, path), XATTR_SD, buffer, bytes, 0) == 0
                     ? STATUS_SUCCESS
                     : fs_status_of(errno);
    free(buffer);
    return status;
}

NTSTATUS fs_store_descriptor(struct node *node, PSECURITY_DESCRIPTOR descriptor)
{
    struct parts parts;
    return split(descriptor, 0, &parts) ? store(node, &parts) : STATUS_INVALID_SECURITY_DESCR;
}

NTSTATUS fs_query_security(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    struct open *open = open_of(stack->FileObject);
    ULONG room = stack->Parameters.QuerySecurity.Length, bytes;
    UCHAR *buffer, *out = fs_irp_data(irp);
    struct parts parts;
    if (open->is_volume)
        return STATUS_INVALID_PARAMETER;
    pthread_mutex_lock(&volume->names);
    load(open->stream->node, &buffer, &parts);
    pthread_mutex_unlock(&volume->names);
    join(&parts, stack->Parameters.QuerySecurity.SecurityInformation, out, out ? room : 0, &bytes);
    free(buffer);
    irp->IoStatus.Information = bytes;
    return bytes > room || out == NULL ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

NTSTATUS fs_set_security(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    struct open *open = open_of(stack->FileObject);
    SECURITY_INFORMATION which = stack->Parameters.SetSecurity.SecurityInformation;
    struct parts given, parts;
    UCHAR *buffer;
    UNREFERENCED_PARAMETER(irp);
    if (open->is_volume)
        return STATUS_INVALID_PARAMETER;
    if (volume->read_only)
        return STATUS_MEDIA_WRITE_PROTECTED;
    if (!split(stack->Parameters.SetSecurity.SecurityDescriptor, 0, &given))
        return STATUS_INVALID_SECURITY_DESCR;
    pthread_mutex_lock(&volume->names);
    load(open->stream->node, &buffer, &parts);
    for (unsigned i = 0; i < 4; i++)
        if (which & part_bits[i])
            parts.part[i] = given.part[i];
    USHORT dacl = SE_DACL_PRESENT | SE_DACL_PROTECTED;
    if (which & DACL_SECURITY_INFORMATION)
        parts.control = (USHORT)((parts.control & ~dacl) | (given.control & dacl));
    if (which & SACL_SECURITY_INFORMATION)
        parts.control =
            (USHORT)((parts.control & ~SE_SACL_PRESENT) | (given.control & SE_SACL_PRESENT));
    NTSTATUS status = store(open->stream->node, &parts);
    pthread_mutex_unlock(&volume->names);
    free(buffer);
    return status;
}

/* Of user mode at create. names held: SeAccessCheck is a scheduling point, so not that. */
NTSTATUS fs_check_access(struct node *node, PACCESS_STATE state, ACCESS_MASK access,
                         ACCESS_MASK added)
{
    UCHAR *buffer, *whole;
    struct parts parts;
    ACCESS_MASK granted;
    ULONG bytes;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(state);
    load(node, &buffer, &parts);
    whole = malloc(MAX_DESCRIPTOR);
    if (whole == NULL) {
        free(buffer);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    join(&parts, DACL_SECURITY_INFORMATION, whole, MAX_DESCRIPTOR, &bytes);
    status = security_check(whole, process_current()->token, access | added, &security_file_mapping,
                            &granted);
    free(whole);
    free(buffer);
    return status;
}
