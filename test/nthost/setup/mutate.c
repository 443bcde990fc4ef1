/* Broken INFs of all kinds: whatever is done to a good one, checking it ends, and never in a crash.
 */
#include "package.h"
#include "tap.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define GOOD NTS_SOURCE_DIR "/test/nthost/setup/good/"

static uint64_t state;
static uint32_t draw(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static size_t mutate(unsigned char *data, size_t bytes, size_t room)
{
    static const char *const pieces[] = {"\"",
                                         "%",
                                         "[",
                                         "]",
                                         "\\\n",
                                         ",",
                                         "=",
                                         ";",
                                         "\n",
                                         "%13%",
                                         "%%",
                                         "0x",
                                         "[S]\n",
                                         "\xff\xfe",
                                         "\x01",
                                         "HKR,",
                                         "Include=x\n",
                                         "@",
                                         "..\\",
                                         "{",
                                         "NTamd64",
                                         "CopyFiles=Files\n",
                                         "AddService=a,,Service\n"};
    for (unsigned n = 1 + draw(6); n; n--) {
        size_t at = bytes ? draw((uint32_t)bytes) : 0,
               span = bytes - at ? 1 + draw((uint32_t)(bytes - at > 64 ? 64 : bytes - at)) : 0;
        switch (draw(6)) {
        case 0:
            if (bytes)
                data[at] = (unsigned char)draw(256);
            break;
        case 1: /* cut out */
            memmove(data + at, data + at + span, bytes - at - span);
            bytes -= span;
            break;
        case 2: /* double */
            if (bytes + span <= room) {
                memmove(data + at + span, data + at, bytes - at);
                bytes += span;
            }
            break;
        case 3: /* cut off */
            if (!draw(8))
                bytes = at;
            break;
        default: {
            const char *piece = pieces[draw(sizeof(pieces) / sizeof(*pieces))];
            size_t length = strlen(piece);
            if (bytes + length <= room) {
                memmove(data + at + length, data + at, bytes - at);
                memcpy(data + at, piece, length);
                bytes += length;
            }
            break;
        }
        }
    }
    return bytes;
}

NT_TEST(mutations_never_crash)
{
    struct dirent **entries;
    int files = scandir(GOOD, &entries, NULL, alphasort);
    unsigned long checked = 0, refused = 0;
    need(files > 0);
    state = tap_seed() * 2654435761u + 12345;
    for (int i = 0; i < files; i++) {
        static unsigned char original[65536], data[65536];
        char path[512];
        snprintf(path, sizeof(path), GOOD "%s", entries[i]->d_name);
        FILE *file = entries[i]->d_name[0] != '.' ? fopen(path, "rb") : NULL;
        free(entries[i]);
        if (!file)
            continue;
        size_t bytes = fread(original, 1, sizeof(original) / 2, file);
        fclose(file);
        for (unsigned round = 0; round < 1500; round++) {
            struct setup_error errors[2];
            struct rule_report report = {.file = path, .errors = errors, .max = 2};
            struct package package = {0};
            struct inf inf = {0};
            bool installable;
            memcpy(data, original, bytes);
            size_t size = mutate(data, bytes, sizeof(data));
            inf_parse(&inf, path, data, size, &report);
            package_check(&inf, &report, HOST_BUILD, &package, &installable);
            ok(report.stored <= 2 && report.stored <= report.count);
            inf_free(&inf);
            checked++;
            refused += report.count != 0;
        }
    }
    free(entries);
    ok(checked > 5000 && refused > checked / 2, "%lu of %lu were refused", refused, checked);
}
