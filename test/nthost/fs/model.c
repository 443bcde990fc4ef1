/*
 * A random differential test: thousands of seeded operations, each done to the volume and to a
 * model in memory; what they give must be equal, and in the end the backing folder is the model.
 */
#include "fixture.h"
#include <stdio.h>
#include <stdlib.h>

#define NAMES 12
#define OPENS 8
#define MOST  40000

struct inode {
    FILE_ID_128 id;
    UCHAR data[MOST];
    LONGLONG size;
    unsigned links;
};
struct handle {
    PFILE_OBJECT file;
    struct inode *inode;
    int name; /* by which it was opened, follows renames; -1: that name was replaced or deleted */
    bool pending;
};
struct model {
    struct fixture *f;
    uint64_t random;
    struct inode *names[NAMES]; /* "n0", "n1", ... */
    struct handle opens[OPENS];
    unsigned operations;
    FILE_ID_128 dead[8]; /* identities of files that are gone */
    unsigned dead_count;
};

static unsigned pick(struct model *m, unsigned n)
{
    m->random = m->random * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((m->random >> 33) % n);
}

static const char *name_of(unsigned i)
{
    static char names[4][8];
    static unsigned next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof(names[0]), "n%u", i);
    return name;
}

static void drop(struct model *m, struct inode *inode)
{
    if (inode->links != 0)
        return;
    m->dead[m->dead_count++ % ARRAYSIZE(m->dead)] = inode->id;
    free(inode);
}

static bool in_use(const struct model *m, const struct inode *inode)
{
    for (unsigned i = 0; i < OPENS; i++)
        if (m->opens[i].file != NULL && m->opens[i].inode == inode)
            return true;
    return false;
}

static bool name_pending(const struct model *m, int name)
{
    for (unsigned i = 0; i < OPENS; i++)
        if (m->opens[i].file != NULL && m->opens[i].name == name && m->opens[i].pending)
            return true;
    return false;
}

static void do_open(struct model *m, struct handle *h)
{
    static const ULONG dispositions[] = {FILE_OPEN,         FILE_CREATE,    FILE_OPEN_IF,
                                         FILE_OVERWRITE_IF, FILE_SUPERSEDE, FILE_OVERWRITE};
    int n = (int)pick(m, NAMES);
    ULONG disposition = dispositions[pick(m, 6)];
    bool raw = pick(m, 6) == 0;
    struct inode *inode = m->names[n];
    struct opening o = {.name = name_of((unsigned)n),
                        .access = FILE_ALL_ACCESS,
                        .share = SHARE_ALL,
                        .disposition = disposition,
                        .options = SYNC | (raw ? FILE_WRITE_THROUGH : 0),
                        .case_sensitive = true};
    NTSTATUS expected = STATUS_SUCCESS;
    if (inode != NULL && name_pending(m, n))
        expected = STATUS_DELETE_PENDING;
    else if (inode != NULL && disposition == FILE_CREATE)
        expected = STATUS_OBJECT_NAME_COLLISION;
    else if (inode == NULL && (disposition == FILE_OPEN || disposition == FILE_OVERWRITE))
        expected = STATUS_OBJECT_NAME_NOT_FOUND;
    if (!is_status(fs_open(m->f, &o, &h->file), expected, "open %s", o.name) || h->file == NULL)
        return;
    if (inode == NULL) {
        FILE_ID_INFORMATION id;
        inode = m->names[n] = calloc(1, sizeof(*inode));
        inode->links = 1;
        is_status(nt_query_information(h->file, FileIdInformation, &id, sizeof(id), NULL),
                  STATUS_SUCCESS);
        inode->id = id.FileId;
    } else if (disposition != FILE_OPEN && disposition != FILE_OPEN_IF) {
        memset(inode->data, 0, MOST);
        inode->size = 0;
    }
    h->inode = inode;
    h->name = n;
    h->pending = false;
}

static void do_close(struct model *m, struct handle *h)
{
    struct inode *inode = h->inode;
    bool pending = h->pending;
    int name = h->name;
    nt_close(h->file);
    h->file = NULL;
    if (name >= 0) {
        bool others = false;
        for (unsigned i = 0; i < OPENS; i++)
            if (m->opens[i].file != NULL && m->opens[i].name == name) {
                others = true;
                m->opens[i].pending |= pending;
            }
        if (pending && !others) {
            m->names[name] = NULL;
            inode->links--;
        }
    }
    if (!in_use(m, inode))
        drop(m, inode);
}

static void do_write(struct model *m, struct handle *h)
{
    UCHAR data[5000];
    ULONG bytes = 1 + pick(m, sizeof(data) - 1);
    bool append = pick(m, 4) == 0;
    LONGLONG offset = append ? h->inode->size : pick(m, MOST);
    if (offset + bytes > MOST)
        return;
    for (ULONG i = 0; i < bytes; i++)
        data[i] = (UCHAR)(m->operations + i);
    is_status(fs_put(h->file, append ? NT_APPEND : offset, data, bytes), STATUS_SUCCESS);
    memcpy(h->inode->data + offset, data, bytes);
    if (offset + bytes > h->inode->size)
        h->inode->size = offset + bytes;
}

static void do_read(struct model *m, struct handle *h)
{
    UCHAR data[6000];
    ULONG bytes = 1 + pick(m, sizeof(data) - 1);
    LONGLONG offset = pick(m, MOST);
    ULONG_PTR got = 0;
    NTSTATUS status = fs_get(h->file, offset, data, bytes, &got);
    LONGLONG left = h->inode->size - offset;
    if (left <= 0) {
        is_status(status, STATUS_END_OF_FILE);
        return;
    }
    is_status(status, STATUS_SUCCESS);
    is_int(got, left < bytes ? left : bytes);
    is_mem(data, h->inode->data + offset, got);
}

static void do_size(struct model *m, struct handle *h)
{
    LONGLONG size = pick(m, MOST);
    is_status(nt_set_end_of_file(h->file, size), STATUS_SUCCESS);
    if (size < h->inode->size)
        memset(h->inode->data + size, 0, (size_t)(h->inode->size - size));
    h->inode->size = size;
}

static void do_zero(struct model *m, struct handle *h)
{
    LONGLONG from = pick(m, MOST), to = from + pick(m, 9000);
    FILE_ZERO_DATA_INFORMATION zero = {.FileOffset.QuadPart = from, .BeyondFinalZero.QuadPart = to};
    is_status(nt_fsctl(h->file, FSCTL_SET_ZERO_DATA, &zero, sizeof(zero), NULL, 0, NULL),
              STATUS_SUCCESS);
    if (to > h->inode->size)
        to = h->inode->size;
    if (from < to)
        memset(h->inode->data + from, 0, (size_t)(to - from));
}

/* The opens by a name that is no more. */
static void orphan(struct model *m, int name)
{
    for (unsigned i = 0; i < OPENS; i++)
        if (m->opens[i].file != NULL && m->opens[i].name == name) {
            m->opens[i].name = -1;
            m->opens[i].pending = false;
        }
}

static void do_rename(struct model *m, struct handle *h)
{
    int to = (int)pick(m, NAMES), from = h->name;
    bool replace = pick(m, 2), posix = pick(m, 2);
    ULONG flags =
        (replace ? FILE_RENAME_REPLACE_IF_EXISTS : 0) | (posix ? FILE_RENAME_POSIX_SEMANTICS : 0);
    struct inode *target = m->names[to];
    NTSTATUS expected = STATUS_SUCCESS;
    if (from < 0)
        expected = STATUS_FILE_DELETED;
    else if (target != NULL && to != from) {
        if (!replace)
            expected = STATUS_OBJECT_NAME_COLLISION;
        else if (name_pending(m, to))
            expected = STATUS_DELETE_PENDING;
        else if (target != h->inode && in_use(m, target) && !posix)
            expected = STATUS_ACCESS_DENIED;
    }
    if (!is_status(fs_move(h->file, NULL, name_of((unsigned)to), flags), expected, "%d to %d", from,
                   to) ||
        expected != STATUS_SUCCESS || to == from)
        return;
    if (target != NULL) {
        target->links--;
        orphan(m, to);
        if (target != h->inode && !in_use(m, target))
            drop(m, target);
    }
    m->names[to] = h->inode;
    m->names[from] = NULL;
    for (unsigned i = 0; i < OPENS; i++)
        if (m->opens[i].file != NULL && m->opens[i].name == from)
            m->opens[i].name = to;
}

static void do_link(struct model *m, struct handle *h)
{
    WCHAR buffer[16];
    int to = (int)pick(m, NAMES);
    UNICODE_STRING name = fs_name(name_of((unsigned)to), buffer, 16);
    NTSTATUS expected = h->name < 0                             ? STATUS_FILE_DELETED
                        : name_pending(m, h->name)              ? STATUS_DELETE_PENDING
                        : to == h->name || m->names[to] != NULL ? STATUS_OBJECT_NAME_COLLISION
                                                                : STATUS_SUCCESS;
    NTSTATUS status = nt_link(h->file, NULL, &name, 0);
    if (to == h->name && h->name >= 0 && !name_pending(m, h->name)) {
        ok(status == STATUS_SUCCESS || status == STATUS_OBJECT_NAME_COLLISION);
        return;
    }
    if (is_status(status, expected, "link to %d", to) && status == STATUS_SUCCESS) {
        m->names[to] = h->inode;
        h->inode->links++;
    }
}

static void do_dispose(struct model *m, struct handle *h)
{
    unsigned kind = pick(m, 3); /* undo, NT's, POSIX's */
    ULONG flags =
        kind == 0 ? FILE_DISPOSITION_DO_NOT_DELETE
                  : FILE_DISPOSITION_DELETE | (kind == 2 ? FILE_DISPOSITION_POSIX_SEMANTICS : 0);
    if (!is_status(nt_dispose(h->file, flags),
                   h->name < 0 ? STATUS_FILE_DELETED : STATUS_SUCCESS) ||
        h->name < 0)
        return;
    for (unsigned i = 0; i < OPENS; i++)
        if (m->opens[i].file != NULL && m->opens[i].name == h->name)
            m->opens[i].pending = kind != 0;
    if (kind != 2)
        return;
    /* With POSIX semantics the name goes with this handle, whoever else has it. */
    int name = h->name;
    struct inode *inode = h->inode;
    nt_close(h->file);
    h->file = NULL;
    m->names[name] = NULL;
    inode->links--;
    orphan(m, name);
    if (!in_use(m, inode))
        drop(m, inode);
}

/* By identity: what has a name is found, by one of its names; what is gone is not. */
static void do_identity(struct model *m)
{
    unsigned n = pick(m, NAMES);
    const struct inode *inode = m->names[n];
    bool dead = pick(m, 3) == 0 && m->dead_count != 0;
    struct nt_create create = {.root = m->f->root,
                               .id_bytes = pick(m, 2) ? 16 : 8,
                               .access = FILE_READ_DATA,
                               .share = SHARE_ALL,
                               .disposition = FILE_OPEN,
                               .options = SYNC};
    if (dead) {
        unsigned most = m->dead_count < ARRAYSIZE(m->dead) ? m->dead_count : ARRAYSIZE(m->dead);
        create.id = &m->dead[pick(m, most)];
        create.id_bytes = 16;
        is_status(nt_create(&create), STATUS_INVALID_PARAMETER);
    } else if (inode != NULL) {
        for (unsigned i = 0; i < NAMES; i++)
            if (m->names[i] == inode && name_pending(m, (int)i))
                return; /* which of its names is opened is not said */
        create.id = &inode->id;
        if (!is_status(nt_create(&create), STATUS_SUCCESS))
            return;
        const char *path = fs_path(create.file);
        unsigned name = (unsigned)atoi(path + 2);
        ok(name < NAMES && m->names[name] == inode, "%s", path);
        nt_close(create.file);
    }
}

static void step(struct model *m)
{
    struct handle *h = &m->opens[pick(m, OPENS)];
    unsigned kind = pick(m, 16);
    m->operations++;
    if (pick(m, 12) == 0)
        do_identity(m);
    else if (h->file == NULL)
        do_open(m, h);
    else if (kind < 4)
        do_write(m, h);
    else if (kind < 7)
        do_read(m, h);
    else if (kind == 7)
        do_size(m, h);
    else if (kind == 8)
        do_zero(m, h);
    else if (kind == 9)
        do_rename(m, h);
    else if (kind == 10)
        do_link(m, h);
    else if (kind == 11)
        do_dispose(m, h);
    else if (kind == 12)
        is_status(nt_flush(h->file, 0), STATUS_SUCCESS);
    else if (kind < 15)
        do_close(m, h);
    else
        is_int(fs_length(h->file), h->inode->size);
}

static void compare_all(struct model *m)
{
    static UCHAR data[MOST + 1];
    for (unsigned i = 0; i < NAMES; i++) {
        int bytes = fs_backing(m->f, name_of(i), data, sizeof(data));
        if (!is_int(bytes, m->names[i] ? m->names[i]->size : -1, "%s", name_of(i)))
            return;
        if (m->names[i] != NULL && !is_mem(data, m->names[i]->data, (size_t)bytes))
            return;
    }
}

static const struct fs_mount_options cached = {.cache = {.on = true, .delay_ms = 20}};

static void run(enum nt_scheduler scheduler, uint64_t seed, unsigned steps)
{
    struct fixture f;
    struct model *m = calloc(1, sizeof(*m));
    tap_at("seed %llu", (unsigned long long)seed);
    fs_in_memory = true;
    if (fs_begin(&f, scheduler, seed, &cached)) {
        m->f = &f;
        m->random = seed;
        for (unsigned i = 0; i < steps && !tap_failing(); i++)
            step(m);
        compare_all(m);
        for (unsigned i = 0; i < OPENS; i++)
            if (m->opens[i].file != NULL)
                do_close(m, &m->opens[i]);
        compare_all(m);
    }
    fs_end(&f);
    fs_in_memory = false;
    for (unsigned i = 0; i < NAMES; i++)
        if (m->names[i] != NULL && --m->names[i]->links == 0)
            free(m->names[i]);
    free(m);
    tap_at(NULL);
}

NT_TEST(model_deterministic)
{
    for (unsigned i = 0; i < 12 && !tap_failing(); i++)
        run(NT_DETERMINISTIC, tap_seed() + i, 1500);
}

NT_TEST(model_realtime)
{
    for (unsigned i = 0; i < 6 && !tap_failing(); i++)
        run(NT_REALTIME, tap_seed() + 1000 + i, 1500);
}
