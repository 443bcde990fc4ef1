/*
 * Views: the callbacks on a volume, by kind of operation and altitude; see flt.h.
 *
 * A thread that wants the view counts itself in volume->entering while it goes from the pointer to
 * a reference. Who replaces the view waits until those are through.
 */
#include "flt.h"
#include <stdlib.h>
#include <string.h>

static struct flt_view *make(PFLT_VOLUME volume)
{
    size_t total = 0, used = 0;
    for (unsigned i = 0; i < volume->count; i++)
        for (unsigned kind = 0; kind < FLT_KINDS; kind++)
            total += volume->instances[i]->filter->operations[kind].registered;
    struct flt_view *view = calloc(1, sizeof(*view) + total * sizeof(view->calls[0]));
    if (view == NULL)
        return NULL;
    view->references = 1;
    view->count = volume->count;
    for (unsigned i = 0; i < volume->count; i++) {
        view->instances[i] = volume->instances[i];
        flt_hold(volume->instances[i]);
    }
    for (unsigned kind = 0; kind < FLT_KINDS; kind++) {
        struct flt_list *list = &view->lists[kind];
        list->calls = &view->calls[used];
        for (unsigned i = 0; i < view->count; i++) {
            const struct flt_operation *op = &view->instances[i]->filter->operations[kind];
            if (!op->registered)
                continue;
            list->calls[list->count++] =
                (struct flt_callback){view->instances[i], op->pre, op->post, op->flags, i};
            used++;
        }
    }
    return view;
}

void flt_view_drop(struct flt_view *view)
{
    if (atomic_fetch_sub(&view->references, 1) != 1)
        return;
    for (unsigned i = 0; i < view->count; i++)
        flt_release(view->instances[i]);
    free(view);
}

struct flt_view *flt_view_take(PFLT_VOLUME volume)
{
    unsigned line = rundown_enter(&volume->entering);
    struct flt_view *view = atomic_load(&volume->view);
    atomic_fetch_add(&view->references, 1);
    rundown_drop_at(&volume->entering, line, 1);
    return view;
}

static void publish(PFLT_VOLUME volume, struct flt_view *view)
{
    uint64_t handled = 0;
    for (unsigned kind = 0; kind < FLT_KINDS; kind++)
        if (view->lists[kind].count != 0)
            handled |= 1ull << kind;
    struct flt_view *old = atomic_exchange(&volume->view, view);
    atomic_store(&volume->handled, handled);
    if (old != NULL) {
        rundown_pass(&volume->entering);
        flt_view_drop(old);
    }
}

NTSTATUS flt_view_replace(PFLT_VOLUME volume)
{
    flt_lock();
    struct flt_view *view = make(volume);
    flt_unlock();
    if (view == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    publish(volume, view);
    return STATUS_SUCCESS;
}

void flt_view_forget(PFLT_VOLUME volume)
{
    struct flt_view *view = atomic_exchange(&volume->view, NULL);
    if (view != NULL)
        flt_view_drop(view);
}

static unsigned position_below(const struct flt_view *view, PFLT_INSTANCE instance)
{
    for (unsigned i = 0; i < view->count; i++)
        if (view->instances[i] == instance)
            return i + 1;
    /* It is gone, or was not there yet: where it would be. */
    unsigned at = 0;
    while (at < view->count &&
           flt_compare_altitudes(&view->instances[at]->altitude, &instance->altitude) > 0)
        at++;
    return at;
}

unsigned flt_view_below(const struct flt_view *view, unsigned kind, PFLT_INSTANCE instance)
{
    const struct flt_list *list = &view->lists[kind];
    if (instance == NULL)
        return 0;
    unsigned position = position_below(view, instance), first = 0;
    while (first < list->count && list->calls[first].position < position)
        first++;
    return first;
}
