/* dinf: the command line. */
#include <stdio.h>

int main(void)
{
    fputs("dinf: not built yet\n", stderr);
    return 2;
}
