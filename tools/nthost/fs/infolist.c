/* Information that is a list: a file's streams, its names. */
#include "info.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Lists: entries aligned to 8, each with the offset of the next. */

struct list {
    UCHAR *out;
    ULONG room, at, last; /* where the next and the last entry begin */
    bool full, any;
};

static UCHAR *list_add(struct list *list, ULONG bytes)
{
    ULONG at = (list->at + 7) & ~7u;
    if (list->full || at + bytes > list->room) {
        list->full = true;
        return NULL;
    }
    if (list->any) {
        ULONG next = at - list->last;
        memcpy(list->out + list->last, &next, sizeof(next));
    }
    memset(list->out + at, 0, bytes);
    list->any = true;
    list->last = at;
    list->at = at + bytes;
    return list->out + at;
}

static void add_stream(struct list *list, const WCHAR *name, unsigned chars, const struct stat *st)
{
    static const WCHAR type[] = L":$DATA";
    ULONG text = (ULONG)((1 + chars + ARRAYSIZE(type) - 1) * sizeof(WCHAR));
    UCHAR *entry = list_add(list, FIELD_OFFSET(FILE_STREAM_INFORMATION, StreamName) + text);
    if (entry == NULL)
        return;
    FILE_STREAM_INFORMATION *info = (FILE_STREAM_INFORMATION *)entry;
    info->StreamNameLength = text;
    info->StreamSize.QuadPart = st->st_size;
    info->StreamAllocationSize.QuadPart = st->st_blocks * 512;
    info->StreamName[0] = ':';
    memcpy(info->StreamName + 1, name, chars * sizeof(WCHAR));
    memcpy(info->StreamName + 1 + chars, type, sizeof(type) - sizeof(WCHAR));
}

NTSTATUS fill_streams(struct query *q)
{
    struct list list = {.out = q->out, .room = q->room};
    char **names = NULL;
    unsigned count = 0;
    struct stat st;
    NTSTATUS status = node_stat(q->node, &st);
    if (NT_SUCCESS(status))
        status = streams_list(q->node, &names, &count);
    if (!NT_SUCCESS(status))
        return status;
    if (S_ISREG(st.st_mode))
        add_stream(&list, L"", 0, &st);
    for (unsigned i = 0; i < count; i++) {
        WCHAR name[FS_NAME_MAX];
        char text[FS_NAME_MAX];
        int fd, chars = nt_name_from_unix(names[i], strlen(names[i]), false, name, FS_NAME_MAX);
        snprintf(text, sizeof(text), "%s", names[i]);
        if (chars < 0 || !NT_SUCCESS(streams_open(q->node, text, O_RDONLY, &fd)))
            continue;
        if (fstat(fd, &st) == 0)
            add_stream(&list, name, (unsigned)chars, &st);
        close(fd);
    }
    streams_list_free(names, count);
    q->bytes = list.at;
    return list.full ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

struct names {
    struct query *q;
    struct list list;
    ULONG needed, count;
    bool full_id;
};

/* The folder of a path, which nobody has open: what its identity needs. False: it has gone. */
static bool folder_of_path(struct fs_volume *volume, const char *path, uint64_t inode,
                           struct node *folder)
{
    char *name = strndup(path, (size_t)(strrchr(path, '/') - path));
    int fd =
        name ? openat(volume->root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    free(name);
    if (fd < 0)
        return false;
    *folder = (struct node){.volume = volume,
                            .inode = inode,
                            .generation = fs_generation(fd, ""),
                            .id_known = true,
                            .fd = -1};
    close(fd);
    return true;
}

static bool add_name(void *context, const char *path, uint64_t parent_inode)
{
    struct names *names = context;
    struct node *parent = node_find(names->q->node->volume, parent_inode);
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    WCHAR text[FS_NAME_MAX];
    int chars = nt_name_from_unix(last, strlen(last), false, text, FS_NAME_MAX);
    ULONG head = names->full_id ? FIELD_OFFSET(FILE_LINK_ENTRY_FULL_ID_INFORMATION, FileName)
                                : FIELD_OFFSET(FILE_LINK_ENTRY_INFORMATION, FileName);
    if (chars < 0)
        return true;
    struct node folder;
    if (parent == NULL &&
        !(slash && folder_of_path(names->q->node->volume, path, parent_inode, &folder)))
        return true;
    if (parent == NULL)
        parent = &folder;
    ULONG bytes = head + (ULONG)chars * (ULONG)sizeof(WCHAR);
    names->needed += (bytes + 7) & ~7u;
    UCHAR *entry = list_add(&names->list, bytes);
    if (entry == NULL)
        return true;
    names->count++;
    if (names->full_id) {
        FILE_LINK_ENTRY_FULL_ID_INFORMATION *info = (void *)entry;
        node_id(parent, &info->ParentFileId);
        info->FileNameLength = (ULONG)chars;
        memcpy(info->FileName, text, (size_t)chars * sizeof(WCHAR));
    } else {
        FILE_LINK_ENTRY_INFORMATION *info = (void *)entry;
        LARGE_INTEGER index;
        node_index(parent, &index);
        info->ParentFileId = index.QuadPart;
        info->FileNameLength = (ULONG)chars; /* in characters, says the WDK */
        memcpy(info->FileName, text, (size_t)chars * sizeof(WCHAR));
    }
    return true;
}

NTSTATUS fill_links(struct query *q, bool full_id)
{
    ULONG head = 8;
    if (q->room < head)
        return STATUS_INFO_LENGTH_MISMATCH;
    struct names names = {.q = q, .full_id = full_id, .needed = head};
    names.list = (struct list){.out = q->out + head, .room = q->room - head};
    struct link *link = q->open->link;
    if (q->st.st_nlink == 1 && link != NULL && !link->unlinked)
        add_name(&names, link->name, link->parent->inode);
    else if (!q->node->gone)
        fs_walk_names(q->node->volume, q->node->inode, add_name, &names);
    memcpy(q->out, &names.needed, 4);
    memcpy(q->out + 4, &names.count, 4);
    q->bytes = head + names.list.at;
    return names.list.full ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}
