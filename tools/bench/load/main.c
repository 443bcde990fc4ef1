/*
 * The client of the bench.
 *
 *   bench-load connect|keep TARGET SECONDS WIDTH      < source addresses, one a line
 *   bench-load upload|download TARGET SECONDS WIDTH
 *   bench-load udp TARGET SECONDS RATE BYTES
 *   bench-load ping TARGET SECONDS INTERVAL           (in microseconds)
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(void)
{
    fprintf(stderr,
            "usage: bench-load connect|keep|upload|download TARGET SECONDS WIDTH\n"
            "                  udp TARGET SECONDS RATE BYTES | ping TARGET SECONDS INTERVAL\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return usage();
    const char *load = argv[1];
    double seconds = strtod(argv[3], NULL);
    unsigned number = (unsigned)strtoul(argv[4], NULL, 10);
    bool udp = !strcmp(load, "udp");
    struct address target = parse(argv[2], udp ? SINK_PORT : HTTP_PORT);

    if (argc != (udp ? 6 : 5))
        return usage();
    read_sources();
    if (!strcmp(load, "connect") || !strcmp(load, "keep"))
        run_http(&target, seconds, number, load[0] == 'k');
    else if (!strcmp(load, "upload") || !strcmp(load, "download"))
        run_bulk(&target, seconds, number, load[0] == 'u');
    else if (!strcmp(load, "ping"))
        run_ping(&target, seconds, number);
    else if (udp)
        run_udp(&target, seconds, number, (unsigned)strtoul(argv[5], NULL, 10));
    else
        return usage();
    return 0;
}
