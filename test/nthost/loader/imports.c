/* Of every import of every driver it is known whether it may fail, and what may fail can be failed.
 */
#include <nthost/loader.h>
#include <nthost/verifier.h>
#include "tap.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

NT_TEST(what_may_fail_asks_whether_it_is_to_fail)
{
    const char *wrong = vf_fallible_check();
    ok(!wrong, "%s", wrong ? wrong : "");
    is_int(vf_fallible("ExAllocatePool2"), VfImportFallible);
    is_int(vf_fallible("ExFreePoolWithTag"), VfImportNeverFails);
    is_int(vf_fallible("ExAllocatePool"), VfImportUnknown);
    is_int(vf_fallible("Pool2"), VfImportUnknown, "whole names only");
}

static unsigned imports, may_fail;

static void check_driver(const char *path)
{
    char error[512];
    struct nt_image *image = image_load(path, error, sizeof error);
    if (!ok(image, "%s", error))
        return;
    const char *name;
    for (unsigned i = 0; (name = image_import(image, i)); i++) {
        ok(vf_fallible(name) != VfImportUnknown, "%s imports %s: may it fail?", image_name(image),
           name);
        imports++;
        may_fail += vf_fallible(name) == VfImportFallible;
    }
    image_unload(image);
}

NT_TEST(imports_of_all_drivers_are_known)
{
    const char *suffix = tap_drivers_pe() ? ".sys" : ".so";
    DIR *folder = opendir(NTS_DRIVER_DIR);
    unsigned drivers = 0;
    struct dirent *entry;

    need(folder);
    while ((entry = readdir(folder))) {
        char path[512];
        size_t length = strlen(entry->d_name);
        if (length <= strlen(suffix) || strcmp(entry->d_name + length - strlen(suffix), suffix))
            continue;
        snprintf(path, sizeof path, "%s/%s", NTS_DRIVER_DIR, entry->d_name);
        check_driver(path);
        drivers++;
    }
    closedir(folder);
    ok(drivers >= 6 && may_fail > 0);
    diag("%u drivers with %u imports, of which %u may fail", drivers, imports, may_fail);
}
