/*
 * IOCTLs of any code, length and content. Nothing may crash or leak, and what is refused changes
 * nothing that can be read back.
 *
 * Input: {call, output bytes (2), repair, input...}. repair: make version, size and counts of a
 * configuration agree with its length, so that the rules behind them are reached.
 */
#include "fuzz_state.h"

#include <stdlib.h>
#include <string.h>

static struct node node;
static struct fuzz_state before, after;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (!node_start(&node, 1))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t output[4096];

    if (size < 4)
        return 0;
    ULONG code = CTL_CODE(0x12, 0x900 + data[0] % 18, 0,
                          data[0] & 0x80   ? 2
                          : data[0] & 0x40 ? 1
                                           : 0);
    ULONG output_bytes = (data[1] << 8 | data[2]) % sizeof output;
    size_t input_bytes = size - 4;
    uint8_t *input = malloc(input_bytes + 1);

    /* An inverted call would wait for events that this process does not make. */
    if (code == ONEIP_IOCTL_WAIT_EVENT)
        code = ONEIP_IOCTL_SET_CONFIG;
    memcpy(input, data + 4, input_bytes);
    if (code == ONEIP_IOCTL_SET_CONFIG && data[3] & 1)
        input_bytes = fuzz_repair(input, input_bytes);
    fuzz_state_read(&node, &before);
    NTSTATUS status =
        node_ioctl(&node, code, input, (ULONG)input_bytes, output, output_bytes, NULL);
    if (!NT_SUCCESS(status)) {
        fuzz_state_read(&node, &after);
        fuzz_state_same(&before, &after);
        if (status != STATUS_ACCESS_DENIED)
            ok(node_refusal(&node, NULL) != OneIpReasonNone);
    } else if (code == ONEIP_IOCTL_SET_CONFIG) {
        node_ioctl(&node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL);
    }
    free(input);
    return 0;
}
