/*
 * Start and stop of the object manager, the registry and the I/O manager, and what is checked when
 * a driver is unloaded.
 *
 * The state directory belongs to one host at a time: it is locked first of all.
 */
#include "device.h"
#include "irp.h"
#include "ob.h"
#include "reg.h"
#include "volume.h"
#include <nthost/io.h>
#include <nthost/module.h>
#include <nthost/sched.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char *state_dir;
static int state_lock = -1;

const char *io_state_dir(void)
{
    return state_dir;
}

static void __attribute__((noreturn)) refuse(const char *why)
{
    fprintf(stderr, "nthost: %s\n", why);
    exit(1);
}

static void lock_state(const char *dir)
{
    char path[4096], text[4200];
    snprintf(path, sizeof(path), "%s/lock", dir);
    state_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (state_lock < 0) {
        snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
        refuse(text);
    }
    if (flock(state_lock, LOCK_EX | LOCK_NB) != 0) {
        snprintf(text, sizeof(text), "%s is in use by another host", dir);
        refuse(text);
    }
}

/* What a driver may not leave behind. Threads, timers, DPCs and memory are checked by others. */

struct left {
    const char *driver;
    void *object;
    const struct ob_type *type;
};

static void visit(void *context, void *object, const struct ob_header *header)
{
    struct left *left = context;
    if (left->object == NULL && strcmp(header->driver, left->driver) == 0 &&
        (header->type == &ob_event_type || header->type == &ob_key_type ||
         header->type == &ob_link_type || header->type == &ob_directory_type)) {
        left->object = object;
        left->type = header->type;
    }
}

static void check_unload(const char *driver)
{
    struct left left = {.driver = driver};
    const char *type = "";
    char name[128] = "";
    HANDLE handle = ob_handle_left_by(ob_kernel_handles, driver, &type);
    if (handle == NULL)
        handle = ob_handle_left_by(system_process->handles, driver, &type);
    if (handle != NULL)
        vf_violation(VfHandleLeak, "handle %p (%s) was not closed", handle, type);
    ob_for_each(visit, &left);
    if (left.object == NULL)
        return;
    ob_describe(left.object, name, sizeof(name));
    if (left.type == &ob_link_type)
        vf_violation(VfObjectLeak, "symbolic link %s was not deleted", name);
    vf_violation(VfObjectLeak, "%s object %p%s%s has %u references left", left.type->name,
                 left.object, name[0] ? " " : "", name, ob_references(left.object));
}

static void objects_start(const struct nt_options *options)
{
    static bool registered;
    if (options->state_dir != NULL)
        lock_state(options->state_dir);
    state_dir = options->state_dir;
    if (!registered) {
        vf_at_unload(check_unload);
        vf_at_unload(mdl_check_unload);
    }
    registered = true;
    nt_enter();
    ob_namespace_start();
    process_start();
    irp_start();
    nt_leave();
}

static void objects_stop(void)
{
    nt_enter();
    process_stop();
    ob_namespace_stop();
    irp_stop();
    nt_leave();
    if (state_lock >= 0)
        close(state_lock);
    state_lock = -1;
    state_dir = NULL;
}

static void registry_start(const struct nt_options *options)
{
    char error[512];
    if (!reg_start(options->state_dir, error, sizeof(error)))
        refuse(error);
}

static void io_start(const struct nt_options *options)
{
    char error[512];
    workitem_start();
    nt_enter();
    if (options->state_dir != NULL && !volume_start(options->state_dir, error, sizeof(error)))
        refuse(error);
    nt_leave();
}

static void io_stop(void)
{
    nt_enter();
    volume_stop();
    nt_leave();
}

NT_MODULE(objects, NT_ORDER_OBJECTS, objects_start, objects_stop);
NT_MODULE(registry, NT_ORDER_REGISTRY, registry_start, reg_stop);
NT_MODULE(io, NT_ORDER_IO, io_start, io_stop);
