/*
 * nthost: one node's driver host. Starts the kernel, the installed services, the adapters and the
 * socket, in this order; waits for a signal; stops them in the opposite one.
 *
 * Messages are lines on stderr that begin with "nthost: ". Exit status: 0 after an orderly stop, 1
 * if it could not start, 2 for wrong usage, 70 and 71 for what the verifier ended.
 */
#include "server/server.h"
#include <nthost/edge.h>
#include <nthost/loader.h>
#include <nthost/mount.h>
#include <nthost/nthost.h>
#include <nthost/setup.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ADAPTERS 16
#define MAX_MOUNTS   8

struct arguments {
    const char *socket;
    const char *state;
    struct edge_options adapters[MAX_ADAPTERS];
    unsigned adapter_count;
    struct mount_options mounts[MAX_MOUNTS];
    unsigned mount_count;
    struct nt_options host;
    int ready_fd;
};

static const char usage[] =
    "Usage: nthost --socket PATH --state FOLDER [options]\n"
    "\n"
    "Runs Windows kernel drivers on this machine: a user-mode NT kernel.\n"
    "\n"
    "  --socket PATH       where clients connect (a Unix socket)\n"
    "  --state FOLDER      registry, driver store and drivers' files; created if it does not "
    "exist\n"
    "  --adapter NIC:TAP   a network adapter: NIC is its lower edge, TAP is created as the "
    "machine's\n"
    "                      own interface; may be given more than once\n"
    "  --nic NIC           the same in two options, for one adapter\n"
    "  --tap TAP\n"
    "  --mount BACKING:MOUNTPOINT[:X]\n"
    "                      a volume over the folder BACKING, for programs at MOUNTPOINT (FUSE), "
    "for\n"
    "                      drivers as \\Device\\HarddiskVolumeN and drive X:; may be given more "
    "than "
    "once\n"
    "  --processors N      virtual processors, 1 to 64 (default: the machine's, at most 4)\n"
    "  --no-verifier       do not check the drivers (faster)\n"
    "  --special-pool      each pool allocation ends at a guard page (slower)\n"
    "  --ready-fd N        write \"ready\" to this descriptor when the host is (default: to "
    "stdout)\n"
    "  --foreground        stay in the foreground (it always does)\n"
    "  --version           print the version\n"
    "  --help              print this\n"
    "\n"
    "SIGTERM and SIGINT stop it in an orderly way.\n"
    "\n"
    "Example: nthost --socket /run/nthost.sock --state /var/lib/nthost --adapter eth0:net0\n";

static int __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
    va_list list;
    fputs("nthost: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputs("; see nthost --help\n", stderr);
    return 2;
}

static bool number(const char *text, long least, long most, long *value)
{
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == 0 && *value >= least && *value <= most;
}

static struct edge_options *add_adapter(struct arguments *arguments)
{
    if (arguments->adapter_count == MAX_ADAPTERS)
        return NULL;
    return &arguments->adapters[arguments->adapter_count++];
}

/* "eth0:net0"; keeps the parts of its argument. */
static bool split_adapter(struct arguments *arguments, char *text)
{
    char *colon = strchr(text, ':');
    struct edge_options *adapter = add_adapter(arguments);
    if (adapter == NULL || colon == NULL || colon == text || colon[1] == 0)
        return false;
    *colon = 0;
    adapter->nic = text;
    adapter->tap = colon + 1;
    return true;
}

/* "/srv/data:/mnt/data:D"; keeps the parts of its argument. */
static bool split_mount(struct arguments *arguments, char *text)
{
    char *colon = strchr(text, ':'), *second = colon != NULL ? strchr(colon + 1, ':') : NULL;
    if (arguments->mount_count == MAX_MOUNTS || colon == NULL || colon == text || colon[1] == 0 ||
        second == colon + 1)
        return false;
    struct mount_options *mount = &arguments->mounts[arguments->mount_count++];
    *colon = 0;
    mount->backing = text;
    mount->mountpoint = colon + 1;
    if (second == NULL)
        return true;
    *second = 0;
    mount->drive = (char)(second[1] & ~0x20);
    return mount->drive >= 'A' && mount->drive <= 'Z' && mount->drive != 'C' && second[2] == 0;
}

enum {
    OPTION_SOCKET = 256,
    OPTION_STATE,
    OPTION_ADAPTER,
    OPTION_NIC,
    OPTION_TAP,
    OPTION_MOUNT,
    OPTION_PROCESSORS,
    OPTION_NO_VERIFIER,
    OPTION_SPECIAL_POOL,
    OPTION_READY_FD,
    OPTION_FOREGROUND,
    OPTION_VERSION,
    OPTION_HELP
};

static const struct option options[] = {{"socket", required_argument, NULL, OPTION_SOCKET},
                                        {"state", required_argument, NULL, OPTION_STATE},
                                        {"adapter", required_argument, NULL, OPTION_ADAPTER},
                                        {"nic", required_argument, NULL, OPTION_NIC},
                                        {"tap", required_argument, NULL, OPTION_TAP},
                                        {"mount", required_argument, NULL, OPTION_MOUNT},
                                        {"processors", required_argument, NULL, OPTION_PROCESSORS},
                                        {"no-verifier", no_argument, NULL, OPTION_NO_VERIFIER},
                                        {"special-pool", no_argument, NULL, OPTION_SPECIAL_POOL},
                                        {"ready-fd", required_argument, NULL, OPTION_READY_FD},
                                        {"foreground", no_argument, NULL, OPTION_FOREGROUND},
                                        {"version", no_argument, NULL, OPTION_VERSION},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {NULL, 0, NULL, 0}};

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments)
{
    const char *nic = NULL, *tap = NULL;
    long value;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_SOCKET:
            arguments->socket = optarg;
            break;
        case OPTION_STATE:
            arguments->state = optarg;
            break;
        case OPTION_ADAPTER:
            if (!split_adapter(arguments, optarg))
                return complain("--adapter wants NIC:TAP, at most %u of them", MAX_ADAPTERS);
            break;
        case OPTION_NIC:
            nic = optarg;
            break;
        case OPTION_TAP:
            tap = optarg;
            break;
        case OPTION_MOUNT:
            if (!split_mount(arguments, optarg))
                return complain("--mount wants BACKING:MOUNTPOINT or BACKING:MOUNTPOINT:X, at most "
                                "%u of them",
                                MAX_MOUNTS);
            break;
        case OPTION_PROCESSORS:
            if (!number(optarg, 1, 64, &value))
                return complain("--processors wants a number from 1 to 64, not %s", optarg);
            arguments->host.processors = (unsigned)value;
            break;
        case OPTION_NO_VERIFIER:
            arguments->host.verifier = false;
            break;
        case OPTION_SPECIAL_POOL:
            arguments->host.special_pool = true;
            break;
        case OPTION_READY_FD:
            if (!number(optarg, 0, 1 << 20, &value))
                return complain("--ready-fd wants a descriptor, not %s", optarg);
            arguments->ready_fd = (int)value;
            break;
        case OPTION_FOREGROUND:
            break;
        case OPTION_VERSION:
            puts("nthost " NTS_VERSION);
            return 0;
        case OPTION_HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs("See nthost --help.\n", stderr);
            return 2;
        }
    }
    if (optind < argc)
        return complain("what is %s?", argv[optind]);
    if ((nic == NULL) != (tap == NULL))
        return complain("--nic and --tap go together");
    if (nic != NULL) {
        struct edge_options *adapter = add_adapter(arguments);
        if (adapter == NULL)
            return complain("more than %u adapters", MAX_ADAPTERS);
        adapter->nic = nic;
        adapter->tap = tap;
    }
    return -1;
}

#if __has_feature(address_sanitizer)
/* Sanitizers map more than can be locked. */
static void lock_memory(void) {}
#else
/* An ordinary user may lock so much and no more; then what is mapped later is not left unlocked,
 * but fails: thread stacks first. */
static bool may_lock_all(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return false;
    if (limit.rlim_cur == RLIM_INFINITY)
        return true;
    size_t bytes = limit.rlim_cur + ((size_t)1 << 20);
    void *probe = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (probe == MAP_FAILED)
        return false;
    munmap(probe, bytes);
    return true;
}

/* Page faults on the data path cost what a takeover takes. */
static void lock_memory(void)
{
    int error = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0 ? 0 : errno;
    if (error == 0 && !may_lock_all()) {
        error = EPERM;
        munlockall();
    }
    if (error != 0)
        fprintf(stderr, "nthost: memory is not locked: %s\n", strerror(error));
}
#endif

static void announce(const struct arguments *arguments)
{
    static const char text[] = "ready\n";
    int fd = arguments->ready_fd >= 0 ? arguments->ready_fd : STDOUT_FILENO;
    if (write(fd, text, sizeof(text) - 1) < 0)
        fprintf(stderr, "nthost: cannot say that it is ready: %s\n", strerror(errno));
    if (arguments->ready_fd >= 0)
        close(fd);
}

static unsigned open_adapters(const struct arguments *arguments, struct edge_pair **edges)
{
    unsigned count = 0;
    for (; count < arguments->adapter_count; count++) {
        char error[512];
        edges[count] = edge_open(&arguments->adapters[count], error, sizeof(error));
        if (edges[count] == NULL) {
            fprintf(stderr, "nthost: adapter %s: %s\n", arguments->adapters[count].nic, error);
            break;
        }
    }
    return count;
}

static unsigned open_mounts(const struct arguments *arguments, struct mount_edge **mounts)
{
    unsigned count = 0;
    for (; count < arguments->mount_count; count++) {
        char error[512];
        mounts[count] = mount_open(&arguments->mounts[count], error, sizeof(error));
        if (mounts[count] == NULL) {
            fprintf(stderr, "nthost: mount: %s\n", error);
            break;
        }
    }
    return count;
}

static int run(const struct arguments *arguments, const sigset_t *signals)
{
    struct edge_pair *edges[MAX_ADAPTERS];
    struct mount_edge *mounts[MAX_MOUNTS];
    char error[512];
    int signal_number = 0, status = 1;
    nt_start(&arguments->host);
    setup_boot(stderr);
    unsigned count = open_adapters(arguments, edges);
    unsigned mounted = count == arguments->adapter_count ? open_mounts(arguments, mounts) : 0;
    if (count == arguments->adapter_count && mounted == arguments->mount_count) {
        struct server *server = server_start(arguments->socket, error, sizeof(error));
        if (server != NULL) {
            announce(arguments);
            sigwait(signals, &signal_number);
            fprintf(stderr, "nthost: stopping on %s\n", strsignal(signal_number));
            server_stop(server);
            status = 0;
        } else {
            fprintf(stderr, "nthost: %s\n", error);
        }
    }
    /* As a system does: nobody writes any more, then drivers hear of it, then volumes end. */
    for (unsigned i = 0; i < mounted; i++)
        mount_detach(mounts[i]);
    nt_shutdown();
    while (mounted-- > 0)
        mount_close(mounts[mounted]);
    while (count-- > 0)
        edge_close(edges[count]);
    nt_stop();
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.ready_fd = -1,
                                  .host = {.scheduler = NT_REALTIME, .verifier = true}};
    sigset_t signals;
    int status = parse(argc, argv, &arguments);
    if (status >= 0)
        return status;
    if (arguments.socket == NULL || arguments.state == NULL)
        return complain("--socket and --state are needed");
    if (mkdir(arguments.state, 0700) != 0 && errno != EEXIST) {
        fprintf(stderr, "nthost: %s: %s\n", arguments.state, strerror(errno));
        return 1;
    }
    arguments.host.state_dir = arguments.state;
    driver_announce = true;
    /* Blocked in every thread from here on; the main one waits for them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    lock_memory();
    return run(&arguments, &signals);
}
