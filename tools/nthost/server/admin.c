/*
 * The service control manager's part of the protocol: installing, starting, stopping and listing
 * drivers and adapters, for administrators. One thread does it all, one request after the other, so
 * that no connection is held up by a driver that takes its time to stop.
 */
#include "connection.h"
#include "json.h"
#include <nthost/edge.h>
#include <nthost/io.h>
#include <nthost/sched.h>
#include <nthost/setup.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ERRORS 256

struct job {
    struct job *next;
    struct connection *connection; /* referenced */
    struct wire_request request;
    char *payload; /* zero-terminated */
};

static struct job *jobs, **jobs_end = &jobs;
static bool running, stopping;
static pthread_t thread;
static pthread_mutex_t jobs_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t jobs_more = PTHREAD_COND_INITIALIZER;

/* What a failure carries, and what it is when setup has said nothing. */
static void put_error(FILE *out, const struct setup_error *error)
{
    fputs("{\"file\":", out);
    json_string(out, error->file);
    fprintf(out, ",\"line\":%u,\"rule\":", error->line);
    json_string(out, error->rule);
    fputs(",\"message\":", out);
    json_string(out, error->message);
    fputc('}', out);
}

static NTSTATUS install(const struct job *job, FILE *out, struct setup_error *error)
{
    /* INF path \0 image folder \0 extension \0 */
    const char *parts[3], *at = job->payload, *end = job->payload + job->request.bytes;
    char service[64];
    for (unsigned i = 0; i < 3; i++) {
        if (at >= end || memchr(at, 0, (size_t)(end - at)) == NULL)
            return STATUS_INVALID_PARAMETER;
        parts[i] = at;
        at += strlen(at) + 1;
    }
    if (strcmp(parts[2], ".so") != 0 && strcmp(parts[2], ".sys") != 0)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status =
        setup_install(parts[0], parts[1][0] ? parts[1] : NULL, parts[2], service, error);
    if (NT_SUCCESS(status))
        fputs(service, out);
    return status;
}

static NTSTATUS check(const char *inf, FILE *out)
{
    struct setup_error *errors = calloc(MAX_ERRORS, sizeof(*errors));
    if (errors == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    unsigned count = setup_check(inf, errors, MAX_ERRORS);
    fputc('[', out);
    for (unsigned i = 0; i < count && i < MAX_ERRORS; i++) {
        if (i != 0)
            fputc(',', out);
        put_error(out, &errors[i]);
    }
    fputc(']', out);
    free(errors);
    return STATUS_SUCCESS;
}

static NTSTATUS carry_out(const struct job *job, FILE *out, struct setup_error *error)
{
    const char *text = job->payload;
    switch (job->request.op) {
    case WIRE_INSTALL:
        return install(job, out, error);
    case WIRE_UNINSTALL:
        return setup_uninstall(text, error);
    case WIRE_START:
        return setup_start(text, error);
    case WIRE_STOP:
        return setup_stop(text, error);
    case WIRE_LIST:
        return setup_list(text[0] ? text : NULL, out);
    case WIRE_CHECK:
        return check(text, out);
    default:
        ndis_adapters_json(out);
        return STATUS_SUCCESS;
    }
}

static void answer(const struct job *job)
{
    struct setup_error error = {.line = 0};
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    if (out != NULL) {
        status = carry_out(job, out, &error);
        if (!NT_SUCCESS(status)) {
            fseek(out, 0, SEEK_SET);
            put_error(out, &error);
        }
        fclose(out);
    }
    connection_reply(job->connection, job->request.tag, (uint32_t)status, 0, text, bytes);
    free(text);
}

static void *run(void *context)
{
    (void)context;
    nt_attach("services");
    pthread_mutex_lock(&jobs_mutex);
    for (;;) {
        while (jobs == NULL && !stopping)
            pthread_cond_wait(&jobs_more, &jobs_mutex);
        struct job *job = jobs;
        if (job == NULL)
            break;
        jobs = job->next;
        if (jobs == NULL)
            jobs_end = &jobs;
        bool skip = stopping;
        pthread_mutex_unlock(&jobs_mutex);
        if (skip)
            connection_reply(job->connection, job->request.tag, (uint32_t)STATUS_SYSTEM_SHUTDOWN, 0,
                             NULL, 0);
        else
            answer(job);
        connection_release(job->connection);
        free(job->payload);
        free(job);
        pthread_mutex_lock(&jobs_mutex);
    }
    pthread_mutex_unlock(&jobs_mutex);
    nt_detach();
    return NULL;
}

void admin_request(struct connection *connection, const struct wire_request *request,
                   uint8_t *payload)
{
    NTSTATUS status = STATUS_SUCCESS;
    struct job *job = calloc(1, sizeof(*job));
    if (connection->token == IO_TOKEN_USER)
        status = STATUS_ACCESS_DENIED;
    else if (job == NULL)
        status = STATUS_INSUFFICIENT_RESOURCES;
    if (!NT_SUCCESS(status)) {
        connection_reply(connection, request->tag, (uint32_t)status, 0, NULL, 0);
        free(job);
        free(payload);
        return;
    }
    job->connection = connection;
    atomic_fetch_add(&connection->references, 1);
    job->request = *request;
    job->payload = (char *)payload;
    pthread_mutex_lock(&jobs_mutex);
    *jobs_end = job;
    jobs_end = &job->next;
    pthread_cond_signal(&jobs_more);
    pthread_mutex_unlock(&jobs_mutex);
}

void admin_start(void)
{
    stopping = false;
    running = pthread_create(&thread, NULL, run, NULL) == 0;
}

void admin_stop(void)
{
    if (!running)
        return;
    pthread_mutex_lock(&jobs_mutex);
    stopping = true;
    pthread_cond_signal(&jobs_more);
    pthread_mutex_unlock(&jobs_mutex);
    pthread_join(thread, NULL);
    running = false;
}

char *admin_description(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return NULL;
    fprintf(out,
            "{\"host\":\"nthost\",\"protocol\":%u,\"pid\":%d,\"processors\":%u,\"verifier\":%s,",
            WIRE_VERSION, (int)getpid(), sched_processors(), vf_enabled ? "true" : "false");
    fputs("\"stateDir\":", out);
    if (io_state_dir() != NULL)
        json_string(out, io_state_dir());
    else
        fputs("null", out);
    fputc('}', out);
    fclose(out);
    return text;
}
