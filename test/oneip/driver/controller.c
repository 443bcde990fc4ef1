#include "controller.h"

#include <stdlib.h>
#include <string.h>

static void random_cluster(struct cluster *cluster, uint64_t generation)
{
    unsigned weighted = sched_choose(CONTROLLER_MEMBERS);

    cluster_standard(cluster, CONTROLLER_MEMBERS);
    cluster->header.Generation = generation;
    cluster->header.BeaconMilliseconds = CONTROLLER_BEACON_MS;
    for (unsigned i = 0; i < CONTROLLER_MEMBERS; i++)
        cluster->members[i].Weight = i == weighted ? 1 : sched_choose(4);
    cluster->header.Affinity = 1 + sched_choose(2);
    cluster->header.Dispatch = sched_choose(4) ? OneIpDispatchTable : OneIpDispatchModulo;
    cluster->header.AddressCount = 1 + sched_choose(2);
    for (unsigned i = 0; i < 16; i++)
        cluster->header.HashKey[i] = (UINT8)sched_choose(256);
}

NTSTATUS controller_set_config(struct controller *controller, struct io_client *client,
                               io_handle device)
{
    struct cluster cluster;
    ULONG_PTR information;
    ULONG bytes;

    random_cluster(&cluster, __atomic_add_fetch(&controller->generation, 1, __ATOMIC_SEQ_CST));
    void *data = cluster_bytes(&cluster, &bytes);
    NTSTATUS status =
        io_ioctl(client, device, ONEIP_IOCTL_SET_CONFIG, data, bytes, NULL, 0, &information);
    free(data);
    return status;
}

static void once(struct controller *controller, struct io_client *client)
{
    static UINT8 output[1 << 17];
    const ONEIP_VETO veto = {!sched_choose(16), 0};
    const ONEIP_LOOKUP lookup = {.Client = {OneIpFamilyIpv4, 0, {10, 1, 2, 3}},
                                 .Cluster = {OneIpFamilyIpv4, 0, {10, 0, 0, 100}},
                                 .Protocol = 6};
    ULONG_PTR information;
    io_handle device;

    if (!NT_SUCCESS(io_open(client, "\\\\.\\NtsOneIp", GENERIC_READ | GENERIC_WRITE, &device)))
        return;
    switch (sched_choose(8)) {
    case 0:
    case 1:
        controller_set_config(controller, client, device);
        break;
    case 2:
        io_ioctl(client, device, ONEIP_IOCTL_GET_STATUS, NULL, 0, output, sizeof output,
                 &information);
        break;
    case 3:
        io_ioctl(client, device, ONEIP_IOCTL_GET_CONFIG, NULL, 0, output, sizeof output,
                 &information);
        break;
    case 4:
        io_ioctl(client, device, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, output, sizeof output,
                 &information);
        break;
    case 5:
        io_ioctl(client, device, ONEIP_IOCTL_SET_VETO, &veto, sizeof veto, NULL, 0, &information);
        break;
    case 6:
        io_ioctl(client, device, ONEIP_IOCTL_SET_PRIMARY, NULL, 0, NULL, 0, &information);
        break;
    default:
        io_ioctl(client, device, ONEIP_IOCTL_GET_STATS, NULL, 0, output, sizeof output,
                 &information);
        break;
    }
    controller->calls++;
    io_close(client, device);
}

static void run(void *context)
{
    struct controller *controller = context;
    struct io_client *client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4713);

    while (!controller->stop) {
        if (controller->rest)
            controller->resting = 1;
        else
            once(controller, client);
        sched_lock();
        sched_park(sched_interrupt_time() + (controller->rest ? 1 * MS : sched_choose(20 * MS)));
        sched_unlock();
        controller->resting = 0;
    }
    io_client_destroy(client);
}

void controller_start(struct controller *controller)
{
    controller->thread = nt_spawn("controls", run, controller);
}

void controller_stop(struct controller *controller)
{
    controller->stop = true;
    nt_join(controller->thread);
}
