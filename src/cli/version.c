/* dinf --version: one line. Program and revision come first, because scripts read them; then the
 * libraries of the device that is always there, with the kernels that they have chosen for this
 * processor: two machines whose lines differ may differ in the last bits of results. */
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "cli/cli.h"
#include "device/device.h"

void cli_version(void)
{
    enum { MOST = 8 };
    struct library all[MOST];
    int n = 0;
    for (int i = 0; device_kinds[i] != NULL; i++)
        if (strcmp(device_kinds[i]->name, "cpu") == 0)
            n = device_kinds[i]->libraries(all, MOST);
    printf("dinf %s (%s)", dinf_version(), dinf_revision());
    for (int i = 0; i < n; i++)
        printf("%s %s %s", i == 0 ? ":" : ";", all[i].name, all[i].version);
    putchar('\n');
}
