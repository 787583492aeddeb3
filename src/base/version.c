/* The revision comes from a header that every build refreshes. */
#include "base/version.h"

#include "dinf_revision.h"

const char *dinf_version(void)
{
    return DINF_VERSION;
}

const char *dinf_revision(void)
{
    return DINF_REVISION;
}
